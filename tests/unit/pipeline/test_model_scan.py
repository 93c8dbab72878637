"""Model scans: between the full scans of a large registry, the rows of all models are listed in parts."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from support.polled import Polled

from bridge.diff.registry_abilities import Abilities
from bridge.errors import RegistryUnreachable
from bridge.pipeline.incremental_read import MOST_DIFFERING, Read
from bridge.store.state_metadata import ReconcileRecord

MINUTES_20 = 1_201
"""What a full scan of a minute has to wait at 5 % of the time."""

MINUTES_5 = 300
"""A full scan of a minute: a quarter of it for the models, at 4 % of the time, is some six minutes."""


@pytest.fixture(autouse=True)
def as_in_a_large_registry(monkeypatch) -> None:
    monkeypatch.setattr("bridge.pipeline.watched_models.MOST_UNNAMED", 0)


@pytest.fixture
async def world() -> Polled:
    return await of_slow_scans(await Polled().baseline())


async def of_slow_scans(world: Polled, duration_ms: int = 60_000) -> Polled:
    world.registry.page = 3
    world.poll.model_scans.are_made = True
    record = ReconcileRecord(world.now, duration_ms, went_well=True)
    await world.state.record_poll(world.state.last_poll, record)
    return world


def tagged(world: Polled, name: str, value: str = "v") -> None:
    """Change what moves no timestamp."""
    world.registry.put(replace(world.registry.models[name], tags=(("k", value),)))


@pytest.fixture
def in_parts(monkeypatch) -> None:
    """One page at each poll."""
    monkeypatch.setattr("bridge.pipeline.model_scan.PART_S", -1)


async def test_a_tag_of_a_model_at_rest_is_seen_before_the_next_full_scan(world) -> None:
    tagged(world, "m9")
    assert await world.fast() == []
    world.wait(2 * MINUTES_5)
    assert await world.fast() == ["m9 MODEL_TAG_SET"]
    assert world.registry.scans == 1


async def test_a_deleted_model_is_asked_for_by_name_and_told(world) -> None:
    del world.registry.models["m4"]
    world.wait(2 * MINUTES_5)
    assert await world.fast() == ["m4 MODEL_DELETED"]
    assert world.registry.asked == ["m4"]


async def test_a_model_that_a_page_skipped_or_that_may_not_be_read_is_not_taken_for_deleted(world) -> None:
    world.registry.hidden.update({"m4", "m5"})
    world.registry.refused.add("m5")
    world.wait(2 * MINUTES_5)
    assert await world.fast() == []
    assert world.registry.asked == ["m4", "m5"]


async def test_many_missing_models_are_left_to_a_full_scan_and_its_hold(world) -> None:
    for number in range(8):
        del world.registry.models[f"m{number}"]
    world.wait(2 * MINUTES_5)
    assert await world.fast() == []
    assert (world.registry.asked, world.registry.scans) == ([], 1)  # its share does not allow it yet
    world.wait(4 * MINUTES_5)
    assert await world.fast() == []
    assert world.registry.scans == 2
    assert await world.poll.standing_hold() is not None


async def test_a_scan_goes_on_with_the_next_polls_and_comes_again_after_its_share(world, in_parts) -> None:
    world.wait(2 * MINUTES_5)
    tagged(world, "m9")
    assert [await world.fast() for _ in range(5)] == [[], [], [], ["m9 MODEL_TAG_SET"], []]
    assert world.registry.listed == 4
    tagged(world, "m9", "other")
    world.wait(115)
    assert await world.fast() == []
    assert world.registry.listed == 4
    world.wait(10)  # it took no time, and there are five of them in the 10 minutes of a full scan
    assert [await world.fast() for _ in range(4)] == [[], [], [], ["m9 MODEL_TAG_SET"]]


async def test_models_that_come_and_go_during_a_scan_are_not_missed_or_taken_for_gone(
    world, in_parts
) -> None:
    world.wait(2 * MINUTES_5)
    await world.fast()
    new = replace(world.registry.models["m0"], name="a", created=world.now, updated=world.now)
    world.registry.put(new)  # among the pages that were listed already
    assert "a MODEL_CREATED" in await world.fast()
    for _ in range(3):
        assert await world.fast() == []
    assert world.registry.asked == []


async def test_what_is_more_urgent_comes_between_two_pages(world) -> None:
    world.poll.gives_way = lambda: True
    world.wait(2 * MINUTES_5)
    for listed in (1, 2, 3, 4, 4):
        await world.fast()
        assert world.registry.listed == listed


async def test_a_page_that_cannot_be_read_fails_no_poll_and_is_tried_again_after_the_share(world) -> None:
    world.registry.listing_failure = RegistryUnreachable("too slow")
    world.wait(2 * MINUTES_5)
    world.move("m3", "Production")
    with capture_logs() as logs:
        assert await world.fast() == ["m3 TRANSITIONED"]
    assert ("model_scan.failed", "too slow") in [(one["event"], one.get("error")) for one in logs]
    world.registry.listing_failure = None
    tagged(world, "m9")
    assert await world.fast() == []
    world.wait(MINUTES_20)
    assert await world.fast() == ["m9 MODEL_TAG_SET"]


async def test_a_model_that_only_the_scan_lists_and_nobody_can_read_fails_one_poll(
    world, monkeypatch
) -> None:
    read = world.registry.with_versions

    def hang(rows, deadline):
        if any(row.name == "m9" for row in rows):
            raise RegistryUnreachable("its versions take too long")
        return read(rows, deadline)

    monkeypatch.setattr(world.registry, "with_versions", hang)
    tagged(world, "m9")
    world.wait(2 * MINUTES_5)
    with pytest.raises(RegistryUnreachable):
        await world.fast()
    world.move("m3", "Production")
    assert await world.fast() == ["m3 TRANSITIONED"]
    world.wait(2 * MINUTES_5)
    assert await world.fast() == []
    monkeypatch.undo()
    monkeypatch.setattr("bridge.pipeline.watched_models.MOST_UNNAMED", 0)
    world.wait(2 * MINUTES_5)
    assert await world.fast() == ["m9 MODEL_TAG_SET"]


async def test_more_changes_than_a_fast_read_takes_have_everything_scanned_within_the_share(world) -> None:
    born = world.now - 10_000_000
    for number in range(MOST_DIFFERING + 1):
        name = f"n{number}"
        world.registry.put(replace(world.registry.models["m0"], name=name, created=born, updated=born))
    world.wait(2 * MINUTES_5)
    world.move("m3", "Production")
    assert await world.fast() == ["m3 TRANSITIONED"]
    assert (world.registry.scans, len(world.state.known())) == (1, 10)
    world.wait(MINUTES_20)
    assert await world.fast() == []
    assert (world.registry.scans, len(world.state.known())) == (2, 10 + MOST_DIFFERING + 1)


async def test_models_that_were_renamed_during_a_scan_are_not_missed_by_it(world, in_parts) -> None:
    world.wait(MINUTES_20)
    await world.fast()
    for number in range(4, 10):
        one = world.registry.models.pop(f"m{number}")
        world.registry.put(replace(one, name=f"a{number}", updated=world.now))
    assert len(await world.fast()) == 6
    for _ in range(3):
        assert await world.fast() == []
    assert world.registry.scans == 1
    assert world.state.last_poll.models_listed_at > 0


async def test_a_storm_is_held_and_full_scans_have_the_whole_share_until_it_is_decided() -> None:
    world = await of_slow_scans(await Polled(max_events=2).baseline())
    for number in range(4, 8):
        tagged(world, f"m{number}")
    world.wait(2 * MINUTES_5)
    assert await world.fast() == []
    assert await world.poll.standing_hold() is None  # only a full scan can tell, and it has no share left
    world.wait(MINUTES_20)
    assert await world.fast() == []
    hold = await world.poll.standing_hold()
    assert "4 for all" in str(hold)
    listed = world.registry.listed
    world.wait(2 * MINUTES_5)
    assert await world.fast() == []
    assert world.registry.listed == listed
    polled = await world.poll.run(Read.FULL, frozenset({hold.digest}))
    assert len(polled.entries) == 4


@pytest.mark.parametrize(
    ("are_made", "duration_ms", "abilities"),
    [
        (False, 60_000, Abilities("double")),
        (True, 29_000, Abilities("double")),
        (True, 60_000, Abilities("double", has_full_rows=False)),
    ],
    ids=["once", "a small registry", "a registry whose lists lack aliases"],
)
async def test_there_are_none_where_they_are_not_needed_or_cost_too_much(
    are_made, duration_ms, abilities
) -> None:
    world = Polled()
    world.registry.abilities = abilities
    world = await of_slow_scans(await world.baseline(), duration_ms)
    world.poll.model_scans.are_made = are_made
    for _ in range(10):
        world.wait(2 * MINUTES_5)
        await world.fast()
    assert world.registry.listed == 0


async def test_full_scans_are_made_less_often_once_model_scans_take_most_of_their_share(world) -> None:
    world.wait(2 * MINUTES_5)
    assert await world.poll.due() == [Read.FAST]
    for _ in range(17):  # 100 minutes; a minute at 5 % would be 20
        await world.fast()
        assert await world.poll.due() == [Read.FAST]
        world.wait(MINUTES_5)
    await world.fast()
    world.wait(MINUTES_5)
    assert await world.poll.due() == [Read.FAST, Read.FULL]


async def test_full_scans_have_the_whole_share_again_where_no_model_scans_come(world) -> None:
    world.wait(2 * MINUTES_5)
    await world.fast()
    world.wait(2 * MINUTES_5)
    await world.fast()
    world.wait(MINUTES_5)
    world.poll.model_scans.are_made = False  # `once` goes on with the state
    assert await world.poll.due() == [Read.FAST, Read.FULL]
    world.poll.model_scans.are_made = True
    assert await world.poll.due() == [Read.FAST]
    world.wait(2 * MINUTES_5)  # as if they failed again and again
    assert await world.poll.due() == [Read.FAST, Read.FULL]
