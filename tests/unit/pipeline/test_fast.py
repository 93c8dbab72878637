"""The fast read: cheap when nothing happens, and what it finds when something does."""

from dataclasses import replace

import pytest
from support.polled import MINUTE
from support.polled import Polled as World
from support.values import model

from bridge.delivery.event_routing import Route
from bridge.diff.registry_abilities import Abilities
from bridge.diff.registry_changes import ChangeKind as K
from bridge.errors import StateForeign
from bridge.pipeline.incremental_read import MOST_DIFFERING, Read


@pytest.fixture(autouse=True)
def as_in_a_large_registry(monkeypatch) -> None:
    """Without this, the few models here would all be watched for the sink that names none."""
    monkeypatch.setattr("bridge.pipeline.watched_models.MOST_UNNAMED", 0)


@pytest.fixture
async def world() -> World:
    return await World().baseline()


async def test_nothing_happened_is_seen_from_one_small_page(world) -> None:
    scans = world.registry.scans

    assert await world.fast() == []
    assert (world.registry.pages, world.registry.scans, world.registry.read) == (1, scans, [])


async def test_a_registry_at_rest_for_days_is_one_small_page_however_close_its_last_changes_were() -> None:
    world = World()
    rest = world.now - 3 * 24 * 60 * MINUTE
    for number, name in enumerate(sorted(world.registry.models)):
        version = replace(world.registry.models[name].versions["1"], created=rest, updated=rest)
        moved = replace(
            world.registry.models[name], created=rest, updated=rest + number, versions={"1": version}
        )
        world.registry.put(moved)
    await world.baseline()
    assert await world.fast() == []
    assert world.registry.pages == 1


async def test_a_transition_of_a_model_at_the_very_end_is_found(world) -> None:
    world.move("m9", "Production")

    assert await world.fast() == ["m9 TRANSITIONED"]
    assert world.registry.read == ["m9"]


async def test_a_model_changed_lately_is_read_again_until_nothing_can_follow_unseen(world) -> None:
    """A second change of the same millisecond can become visible later, with the same timestamp."""
    at = world.now
    world.move("m9", "Staging", at)
    assert await world.fast() == ["m9 TRANSITIONED"]
    world.move("m9", "Production", at)
    world.wait(30)
    assert await world.fast() == ["m9 TRANSITIONED"]

    for seconds, read in ((30, ["m9"]), (100, ["m9"]), (30, [])):
        world.wait(seconds)
        assert await world.fast() == []
        assert world.registry.read == read


async def test_rows_without_a_time_do_not_hide_what_comes_after_them(world, monkeypatch) -> None:
    """PostgreSQL puts NULL first where it orders by time, the latest first."""
    for name in ("m7", "m8"):
        world.registry.put(replace(world.registry.models[name], updated=0))
    await world.poll.run(Read.FULL)
    world.wait(300)
    monkeypatch.setattr(
        world.registry,
        "latest",
        lambda _deadline: iter([iter([rows(world, "m7", "m8"), rows(world, "m9", "m6", "m5")])]),
    )
    world.move("m9", "Production")

    assert await world.fast() == ["m9 TRANSITIONED"]


def rows(world, *names: str):
    return [replace(world.registry.models[name], versions={}) for name in names]


async def test_a_timestamp_that_moves_backwards_is_a_difference_too(world) -> None:
    world.move("m1", "Staging", at=world.registry.models["m1"].updated - 3)

    assert await world.fast() == ["m1 TRANSITIONED"]


async def test_a_row_that_became_visible_late_behind_newer_ones_is_found(world) -> None:
    late = world.now
    world.wait(60)
    for number in range(6):
        world.move(f"m{number}", "Staging")
    await world.fast()
    world.wait(30)
    world.move("m9", "Production", at=late)

    assert await world.fast() == ["m9 TRANSITIONED"]


async def test_a_model_that_is_new_is_announced_and_one_that_comes_into_view_late_is_not(world) -> None:
    old = replace(model("hidden"), created=world.now - 90 * MINUTE, updated=world.now)
    world.registry.put(replace(model("new"), created=world.now, updated=world.now), old)

    assert await world.fast() == ["new MODEL_CREATED", "new VERSION_CREATED"]
    assert [(note.kind, note.model) for note in world.state.notes()] == [("appeared", "hidden")]


async def test_a_rename_is_one_and_no_deletion(world) -> None:
    old = world.registry.models.pop("m4")
    world.registry.put(replace(old, name="better", updated=world.now))

    assert await world.fast() == ["better MODEL_RENAMED"]
    assert world.registry.asked == ["better", "m4"]


async def test_a_chain_of_renames_within_one_interval_is_followed(world) -> None:
    models = world.registry.models
    first, third = models.pop("m1"), models.pop("m3")
    world.registry.put(
        replace(first, name="gone-on", updated=world.now), replace(third, name="m1", updated=world.now)
    )

    assert await world.fast() == ["gone-on MODEL_RENAMED", "m1 MODEL_RENAMED"]


async def test_a_model_deleted_and_made_again_is_another(world) -> None:
    fresh = replace(model("m1", "Production"), created=world.now, updated=world.now)
    world.registry.put(fresh)

    assert await world.fast() == [
        "m1 MODEL_DELETED",
        "m1 MODEL_CREATED",
        "m1 VERSION_CREATED",
        "m1 TRANSITIONED",
    ]


async def test_a_deleted_version_is_told_once_the_registry_says_so(world) -> None:
    one = world.registry.models["m1"]
    world.registry.put(replace(one, versions={}, updated=world.now))

    assert await world.fast() == ["m1 VERSION_DELETED"]
    assert world.registry.asked == ["m1"]


async def test_what_was_not_looked_at_is_not_gone(world) -> None:
    for name in ("m7", "m8", "m9"):
        del world.registry.models[name]

    assert await world.fast() == []
    assert len(world.state.known()) == 10


async def test_an_empty_answer_is_looked_at_in_full_and_held() -> None:
    world = await World().baseline()
    world.registry.print = None
    world.registry.models = {}

    polled = await world.poll.run(Read.FAST)

    assert "10 of 10 known models are gone" in str(polled.held)
    assert len(world.state.known()) == 10


async def test_another_database_is_noticed_before_anything_is_told(world) -> None:
    world.registry.print = "2"
    assert await world.fast() == []
    world.move("m1", "Production")

    with pytest.raises(StateForeign):
        await world.poll.run(Read.FAST)
    assert world.state.pending() == []


async def test_more_than_can_be_asked_for_is_scanned(world) -> None:
    world.registry.put(
        *(
            replace(model(f"n{n}"), created=world.now + n, updated=world.now)
            for n in range(MOST_DIFFERING + 1)
        )
    )
    scans = world.registry.scans

    assert len(await world.fast()) == 2 * (MOST_DIFFERING + 1)
    assert world.registry.scans == scans + 1


async def test_after_an_outage_everything_since_is_found(world) -> None:
    for number in range(10):
        world.wait(600)
        world.move(f"m{number}", "Staging")

    assert sorted(await world.fast()) == [f"m{number} TRANSITIONED" for number in range(10)]


async def test_watched_models_show_their_aliases_at_once_and_others_at_the_next_scan() -> None:
    world = await World([Route("ci", ("MODEL_VERSION_ALIAS_SET",), ("m8",))]).baseline()
    for name in ("m8", "m9"):
        world.registry.put(replace(world.registry.models[name], aliases=(("champion", "1"),)))

    assert await world.fast() == ["m8 ALIAS_SET"]
    assert [
        world.state.event(one.event_id).model_name for one in (await world.poll.run(Read.FULL)).entries
    ] == ["m9"]


async def test_watched_versions_show_their_tags_at_once() -> None:
    world = await World([Route("ci", ("MODEL_VERSION_TAG_SET",), ("m8",))]).baseline()
    version = replace(world.registry.models["m8"].versions["1"], tags=(("k", "v"),))
    world.registry.put(replace(world.registry.models["m8"], versions={"1": version}))

    assert await world.fast() == ["m8 VERSION_TAG_SET"]


async def test_a_timestamp_that_moved_without_a_change_is_noted_as_missed(world) -> None:
    world.move("m1", "None")

    assert await world.fast() == []
    assert [(note.kind, note.model, note.version) for note in world.state.notes()] == [("missed", "m1", "1")]


async def test_what_a_hold_keeps_back_is_not_read_at_every_poll_and_other_models_go_on() -> None:
    world = await World(max_events=5).baseline()
    for number in range(8):
        one = world.registry.models[f"m{number}"]
        world.registry.put(replace(one, description="storm", updated=world.now))

    polled = await world.poll.run(Read.FAST)
    assert "REGISTERED_MODEL_UPDATED" in str(polled.held)
    world.wait(300)
    await world.poll.run(Read.FAST)
    world.wait(30)
    world.move("m9", "Production")
    polled = await world.poll.run(Read.FAST)

    assert world.registry.read == ["m9"]
    assert [world.state.event(one.event_id).type for one in polled.entries] == [K.TRANSITIONED]
    assert polled.held, "the hold stands until a full scan finds it gone"


async def test_a_hold_lifts_by_itself_once_the_registry_is_whole_again() -> None:
    world = await World(max_events=5).baseline()
    before = dict(world.registry.models)
    world.registry.put(*(replace(one, description="storm") for one in before.values()))
    assert (await world.poll.run(Read.FULL)).held
    world.registry.models = before

    assert (await world.poll.run(Read.FULL)).held is None
    assert [note.kind for note in world.state.notes()] == ["held", "lifted"]


async def test_models_that_are_held_as_new_are_still_announced_when_they_are_accepted() -> None:
    world = await World(max_events=5).baseline()
    world.registry.put(*(replace(model(f"n{n}", versions=0), created=world.now + n) for n in range(9)))
    held = (await world.poll.run(Read.FULL)).held
    world.wait(3_600)
    assert (await world.poll.run(Read.FULL)).held.digest == held.digest

    polled = await world.poll.run(Read.FULL, accepted=frozenset({held.digest}))

    assert {world.state.event(one.event_id).type for one in polled.entries} == {K.MODEL_CREATED}
    assert (len(polled.entries), polled.held) == (9, None)


async def test_where_most_models_vanished_new_ones_wait_and_known_ones_go_on() -> None:
    world = await World().baseline()
    stays = world.registry.models["m9"]
    world.registry.models = {"m9": stays, "other": replace(model("other"), created=world.now)}
    world.move("m9", "Production")

    polled = await world.poll.run(Read.FULL)

    assert polled.held
    assert [world.state.event(one.event_id).model_name for one in polled.entries] == ["m9"]


async def test_a_full_scan_comes_when_it_is_due_and_at_the_first_poll() -> None:
    world = World()
    assert (await world.poll.due()) == [Read.FULL]
    await world.poll.run(Read.FULL)
    assert (await world.poll.due()) == [Read.FAST]
    world.wait(700)
    assert (await world.poll.due()) == [Read.FAST, Read.FULL]


async def test_a_registry_without_order_is_scanned_as_often_as_the_share_allows() -> None:
    world = World()
    world.registry.abilities = Abilities(has_order=False)
    scan = world.registry.scan

    def slow(*args, **kwargs):
        world.clock.sleep(3)
        return scan(*args, **kwargs)

    world.registry.scan = slow
    await world.poll.run(Read.FULL)

    assert (await world.poll.due()) == []
    world.wait(58)
    assert (await world.poll.due()) == [Read.FULL]


async def test_a_server_that_lost_its_order_is_scanned(world) -> None:
    world.registry.abilities = Abilities(has_order=False)
    world.move("m1", "Production")

    assert await world.fast() == ["m1 TRANSITIONED"]
    assert world.state.abilities == Abilities(has_order=False)
