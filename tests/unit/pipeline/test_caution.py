"""Holds that neither leak nor invent, and reads that are interrupted by what they read."""

from dataclasses import replace

import pytest
from support.polled import MINUTE, Polled
from support.values import model

from bridge.diff.absence_verification import Absence
from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.snapshot import ModelVersion
from bridge.errors import RegistryUnreachable
from bridge.pipeline.incremental_read import MOST_DIFFERING, Read


@pytest.fixture(autouse=True)
def as_in_a_large_registry(monkeypatch) -> None:
    monkeypatch.setattr("bridge.pipeline.watched_models.MOST_UNNAMED", 0)


def told(world, polled) -> list[str]:
    events = {one.event_id: world.state.event(one.event_id) for one in polled.entries}
    return [f"{event.model_name} {event.type.name}" for event in events.values()]


def restarted(world) -> None:
    """The poll of a new process: what only the old one remembered is gone."""
    world.poll._overlooked = {}


def tagged(world, *names: str) -> None:
    for name in names:
        one = world.registry.models[name]
        version = replace(one.versions["1"], tags=(("k", str(world.now)),))
        world.registry.put(replace(one, versions={"1": version}))


async def test_what_a_storm_holds_is_held_from_fast_reads_too_also_after_a_restart() -> None:
    world = await Polled(max_events=5).baseline()
    tagged(world, *(f"m{number}" for number in range(8)))
    assert (await world.poll.run(Read.FULL)).held
    restarted(world)
    world.move("m1", "Production")

    polled = await world.poll.run(Read.FAST)

    assert told(world, polled) == ["m1 TRANSITIONED"]
    accepted = await world.poll.run(Read.FULL, accepted=frozenset(polled.held.digest.split("+")))
    assert told(world, accepted) == [f"m{number} VERSION_TAG_SET" for number in range(8)]


async def test_while_most_models_are_gone_new_ones_wait_also_after_a_restart() -> None:
    world = await Polled().baseline()
    foreign = replace(model("foreign", "Production"), created=world.now, updated=world.now)
    world.registry.models = {"m9": world.registry.models["m9"], "foreign": foreign}
    assert (await world.poll.run(Read.FULL)).held
    restarted(world)
    world.registry.put(replace(foreign, updated=world.now + 1))

    assert told(world, await world.poll.run(Read.FAST)) == []


async def test_another_registry_with_the_same_names_is_held() -> None:
    world = await Polled().baseline()
    world.registry.print = None
    for name in list(world.registry.models):
        world.registry.put(replace(model(name, "Production"), created=world.now, updated=world.now))

    for read in (Read.FAST, Read.FULL):
        polled = await world.poll.run(read)
        assert "10 of 10 known models are gone" in str(polled.held)
        assert told(world, polled) == []


async def test_a_storm_of_versions_moves_no_alias_away_from_its_version() -> None:
    world = await Polled(max_events=5).baseline()
    for number in range(8):
        one = world.registry.models[f"m{number}"]
        world.registry.put(replace(one, aliases=(("champion", "1"),)))
    await world.poll.rebaseline()
    for number in range(8):
        one = world.registry.models[f"m{number}"]
        second = ModelVersion("2", world.now, world.now)
        versions = {**one.versions, "2": second}
        world.registry.put(replace(one, versions=versions, aliases=(("champion", "2"),), updated=world.now))

    held = await world.poll.run(Read.FULL)

    assert "ALIAS_DELETED" not in " ".join(told(world, held))
    accepted = await world.poll.run(Read.FULL, accepted=frozenset(held.held.digest.split("+")))
    moved = [world.state.event(one.event_id) for one in accepted.entries]
    assert {e.changed["previous_version"] for e in moved if e.type is K.ALIAS_SET} <= {"1"}


async def test_a_model_that_comes_into_view_during_a_storm_is_not_promoted_afterwards() -> None:
    world = await Polled(max_events=5).baseline()
    for number in range(8):
        world.move(f"m{number}", "Staging")
    late = replace(model("late", "Production"), created=world.now - 90 * MINUTE, updated=world.now)
    world.registry.put(late)

    held = await world.poll.run(Read.FULL)
    accepted = await world.poll.run(Read.FULL, accepted=frozenset(held.held.digest.split("+")))

    assert not [line for line in told(world, held) + told(world, accepted) if line.startswith("late")]


async def test_a_held_rename_keeps_whoever_took_the_old_name_waiting() -> None:
    world = await Polled(max_events=5).baseline()
    for number in range(8):
        old = world.registry.models.pop(f"m{number}")
        fresh = replace(model(f"m{number}", versions=0), created=world.now + number, updated=world.now)
        world.registry.put(replace(old, name=f"m{number}-old", updated=world.now), fresh)

    held = await world.poll.run(Read.FULL)
    assert "MODEL_DELETED" not in " ".join(told(world, held))
    digests = frozenset(held.held.digest.split("+"))
    again = await world.poll.run(Read.FULL, accepted=digests)
    rest = await world.poll.run(
        Read.FULL, accepted=frozenset(again.held.digest.split("+")) if again.held else digests
    )

    everything = told(world, held) + told(world, again) + told(world, rest)
    assert sorted(everything) == sorted(
        [f"m{n}-old MODEL_RENAMED" for n in range(8)] + [f"m{n} MODEL_CREATED" for n in range(8)]
    )


async def test_a_model_renamed_between_its_row_and_its_versions_is_renamed_not_deleted() -> None:
    world = await Polled().baseline()
    world.registry.put(replace(world.registry.models["m3"], updated=world.now))
    read = world.registry.with_versions

    def rename_first(rows, deadline):
        old = world.registry.models.pop("m3")
        world.registry.put(replace(old, name="m3b", updated=world.now))
        world.registry.with_versions = read
        return {row.name: replace(row, versions={}) for row in rows}

    world.registry.with_versions = rename_first

    assert await world.fast() == ["m3b MODEL_RENAMED"]
    world.wait(1)
    assert await world.fast() == []


async def test_a_model_renamed_while_a_scan_turns_its_pages_is_not_deleted() -> None:
    world = await Polled().baseline()
    old = world.registry.models.pop("m3")
    world.registry.put(replace(old, name="a-before-the-page", updated=world.now))
    world.registry.atomic = False
    world.registry.hidden = {"a-before-the-page"}
    latest = world.registry.latest

    def all_shown(deadline):
        world.registry.hidden = set()
        return latest(deadline)

    world.registry.latest = all_shown

    assert told(world, await world.poll.run(Read.FULL)) == ["a-before-the-page MODEL_RENAMED"]
    assert await world.fast() == []


async def test_what_a_first_scan_in_pages_skipped_is_no_news() -> None:
    world = Polled()
    world.registry.atomic = False
    world.registry.hidden = {"m4"}
    await world.poll.run(Read.FULL)
    world.registry.hidden = set()

    assert told(world, await world.poll.run(Read.FULL)) == []


def skipping(world, name: str) -> None:
    """Have the next scan skip the versions of a model, as pages do that shift."""
    whole = world.registry.models[name]
    world.registry.pages_versions = True
    world.registry.put(replace(whole, versions={}))
    scan = world.registry.scan

    def once(*args, **kwargs):
        listing = scan(*args, **kwargs)
        world.registry.put(whole)
        world.registry.scan = scan
        return listing

    world.registry.scan = once


async def test_versions_that_a_first_scan_in_pages_skipped_are_no_news() -> None:
    world = Polled()
    skipping(world, "m4")
    await world.poll.run(Read.FULL)

    assert not world.state.known()["m4"].versions
    assert told(world, await world.poll.run(Read.FULL)) == []
    assert world.state.known()["m4"].versions == world.registry.models["m4"].versions
    assert [(note.kind, note.model, note.version) for note in world.state.notes()] == [
        ("surfaced", "m4", "1")
    ]


async def test_versions_that_a_rebaseline_in_pages_skipped_are_no_news() -> None:
    world = await Polled().baseline()
    world.registry.put(replace(model("late"), created=world.now, updated=world.now))
    world.wait(300)
    skipping(world, "late")
    await world.poll.rebaseline()

    assert told(world, await world.poll.run(Read.FULL)) == []
    assert world.state.known()["late"].versions


async def test_a_version_made_after_a_first_scan_in_pages_is_news_also_where_fast_reads_missed_it() -> None:
    world = Polled()
    world.registry.pages_versions = True
    await world.baseline()
    new = ModelVersion("2", world.now, world.now)
    old = world.registry.models["m4"]
    world.registry.put(replace(old, versions={**old.versions, "2": new}))
    world.wait(300)

    assert told(world, await world.poll.run(Read.FULL)) == ["m4 VERSION_CREATED"]


async def test_a_held_creation_does_not_hold_versions_that_a_first_scan_skipped() -> None:
    world = Polled(max_events=1)
    skipping(world, "m4")
    await world.baseline()
    for name in ("m1", "m2"):
        old = world.registry.models[name]
        new = ModelVersion("2", world.now, world.now)
        world.registry.put(replace(old, updated=world.now, versions={**old.versions, "2": new}))

    assert (await world.poll.run(Read.FULL)).held
    assert set(world.state.known()["m4"].versions) == {"1"}
    assert set(world.state.known()["m1"].versions) == {"1"}


async def test_a_first_scan_in_pages_is_soon_followed_by_another() -> None:
    world = Polled()
    world.registry.pages_versions = True
    await world.baseline()

    assert (await world.poll.due()) == [Read.FAST, Read.FULL]
    await world.poll.run(Read.FULL)
    world.wait(300)
    assert (await world.poll.due()) == [Read.FAST]


async def test_a_machine_that_slept_during_a_scan_has_not_been_scanning() -> None:
    world = await Polled().baseline()
    scan = world.registry.scan

    def asleep(*args, **kwargs):
        world.clock.jump(8 * 3_600)
        return scan(*args, **kwargs)

    world.registry.scan = asleep
    await world.poll.run(Read.FULL)

    assert world.state.last_reconcile.duration_ms < MINUTE


async def test_a_scan_that_a_fast_read_needed_counts_as_one_also_when_it_fails() -> None:
    world = await Polled().baseline()
    world.registry.models = {}

    def fail(*_args, **_kwargs):
        raise RegistryUnreachable("down")

    world.registry.scan = fail
    with pytest.raises(RegistryUnreachable):
        await world.poll.run(Read.FAST)

    assert (world.state.last_reconcile.at, world.state.last_reconcile.went_well) == (world.now, False)


async def test_more_unsettled_models_than_can_be_asked_for_are_scanned() -> None:
    world = Polled()
    world.registry.put(
        *(
            replace(model(f"n{n}"), created=world.now - n, updated=world.now)
            for n in range(MOST_DIFFERING + 1)
        )
    )
    await world.poll.run(Read.FULL)
    world.wait(30)
    scans = world.registry.scans

    assert await world.fast() == []
    assert (world.registry.scans, world.registry.read) == (scans + 1, [])


async def test_questions_take_turns() -> None:
    """Where time is too short for all of them, none of them is always the last."""
    world = await Polled(max_vanished=1.0).baseline()
    for name in ("m1", "m5", "m9"):
        world.registry.hidden.add(name)
    world.registry.refused = {"m1", "m5", "m9"}
    first = set()
    for _ in range(30):
        world.wait(0.007)
        await world.poll.run(Read.FULL)
        first.add(world.registry.asked[0])

    assert first == {"m1", "m5", "m9"}
    assert world.registry._answer("m1") is Absence.UNKNOWN


async def test_a_fault_in_a_poll_is_written_down() -> None:
    world = await Polled().baseline()

    def broken(_deadline):
        raise TypeError("secret")

    world.registry.latest = broken
    with pytest.raises(TypeError):
        await world.poll.run(Read.FAST)

    assert (world.state.last_poll.outcome, world.state.last_poll.error) == ("failed", "a fault: TypeError")
