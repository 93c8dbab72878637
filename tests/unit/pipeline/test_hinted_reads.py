"""Polls that begin with hints: the models they name are read by name, and who changed them is told."""

from dataclasses import replace

import pytest
from support.polled import Polled as World

from bridge.diff.absence_verification import Absence
from bridge.errors import RegistryUnreachable
from bridge.events.change_hints import Hint
from bridge.pipeline.incremental_read import FullScanNeeded, Read


@pytest.fixture(autouse=True)
def as_in_a_large_registry(monkeypatch) -> None:
    monkeypatch.setattr("bridge.pipeline.watched_models.MOST_UNNAMED", 0)


@pytest.fixture
async def world() -> World:
    return await World().baseline()


def hint(world, model: str, operation: str = "", user=None, **arguments) -> None:
    world.poll.hints.add([Hint(model, operation, arguments, user)])


async def events(world) -> list:
    polled = await world.poll.run(Read.FAST)
    return [world.state.event(one.event_id) for one in polled.entries]


def tagged(world, name: str) -> None:
    """Change what moves no timestamp: without a hint, only a full scan finds it."""
    known = world.registry.models[name]
    version = replace(known.versions["1"], tags=(("k", "v"),))
    world.registry.put(replace(known, aliases=(("a", "1"),), versions={"1": version}))


async def test_what_moves_no_timestamp_is_seen_where_a_hint_names_the_model(world) -> None:
    tagged(world, "m9")
    assert await world.fast() == []
    hint(world, "m9")
    assert await world.fast() == ["m9 ALIAS_SET", "m9 VERSION_TAG_SET"]
    assert not world.poll.hints


async def test_a_deleted_model_is_seen_where_a_hint_names_it(world) -> None:
    del world.registry.models["m9"]
    assert await world.fast() == []
    hint(world, "m9", "registered-models/delete")
    assert await world.fast() == ["m9 MODEL_DELETED"]


async def test_a_model_that_may_not_be_read_any_more_is_not_taken_for_deleted(world, monkeypatch) -> None:
    del world.registry.models["m9"]
    monkeypatch.setattr(
        world.registry, "ask", lambda doubts, _deadline: {one.name: Absence.UNKNOWN for one in doubts}
    )
    hint(world, "m9", "registered-models/delete")
    assert await world.fast() == []


async def test_many_that_are_gone_are_left_to_the_next_full_scan_and_its_hold(world) -> None:
    for number in range(8):
        del world.registry.models[f"m{number}"]
        hint(world, f"m{number}")
    scans = world.registry.scans
    assert await world.fast() == []
    assert world.registry.scans == scans
    await world.poll.run(Read.FULL)
    assert (await world.poll.standing_hold()) is not None


async def test_forged_hints_change_nothing(world) -> None:
    hint(world, "m9", "model-versions/transition-stage", "eve", version="1", stage="Production")
    hint(world, "no such model", "registered-models/create", "eve")
    hint(world, "m8", "registered-models/delete", "eve")
    assert await world.fast() == []


async def test_an_event_has_the_user_of_the_hint_that_names_it(world) -> None:
    world.move("m9", "Production")
    world.move("m8", "Production")
    hint(world, "m9", "model-versions/transition-stage", "ann", version="1", stage="Production")
    hint(world, "m8", "model-versions/transition-stage", "ann", version="1", stage="Staging")
    found = {event.model_name: event.user_id for event in await events(world)}
    assert found == {"m9": "ann", "m8": None}


async def test_a_hint_that_comes_while_a_poll_reads_also_names_the_user(world, monkeypatch) -> None:
    latest = world.registry.latest

    def late(deadline):
        hint(world, "m9", "model-versions/transition-stage", "ann", version="1", stage="Production")
        return latest(deadline)

    world.move("m9", "Production")
    monkeypatch.setattr(world.registry, "latest", late)
    assert [event.user_id for event in await events(world)] == ["ann"]
    assert world.poll.hints  # and it is read again: the change may have come after the read


async def test_a_used_hint_names_nobody_for_a_later_change(world) -> None:
    hint(world, "m9", "model-versions/transition-stage", "ann", version="1", stage="Production")
    assert await events(world) == []
    world.wait(30)
    world.move("m9", "Production")
    assert [event.user_id for event in await events(world)] == [None]


async def test_hints_outlast_a_registry_that_does_not_answer(world, monkeypatch) -> None:
    tagged(world, "m9")
    hint(world, "m9")

    def down(_deadline):
        raise RegistryUnreachable("down")

    with monkeypatch.context() as patch:
        patch.setattr(world.registry, "latest", down)
        with pytest.raises(RegistryUnreachable):
            await world.fast()
    assert world.poll.hints
    assert await world.fast() == ["m9 ALIAS_SET", "m9 VERSION_TAG_SET"]


async def brief(world) -> list[str]:
    """Read only what hints name."""
    polled = await world.poll.run(Read.FAST, only_named=True)
    return [world.state.event(one.event_id).model_name for one in polled.entries]


async def test_a_read_of_what_hints_name_reads_nothing_else_and_hides_nothing_else(world) -> None:
    world.move("m8", "Production")
    tagged(world, "m9")
    pages = world.registry.pages
    before = world.state.last_poll.read_from
    hint(world, "m9")
    assert set(await brief(world)) == {"m9"}
    assert (world.registry.pages, world.state.last_poll.read_from) == (pages, before)
    world.wait(30)
    assert await world.fast() == ["m8 TRANSITIONED"]


async def test_without_hints_or_while_something_is_held_the_latest_rows_are_read_too(world) -> None:
    world.move("m8", "Production")
    assert await brief(world) == ["m8"]
    for number in range(8):
        del world.registry.models[f"m{number}"]
    await world.poll.run(Read.FULL)
    assert await world.poll.standing_hold() is not None
    world.move("m8", "Staging")
    hint(world, "m9")
    await brief(world)
    assert await world.poll.standing_hold() is not None
    assert world.state.known()["m8"].versions["1"].stage == "Staging"


async def test_a_brief_read_that_becomes_a_full_scan_moves_the_time_on_as_any_other(
    world, monkeypatch
) -> None:
    def refuse(*_arguments):
        raise FullScanNeeded

    before = world.state.last_poll.read_from
    monkeypatch.setattr("bridge.pipeline.registry_reading.read_fast", refuse)
    hint(world, "m9")
    world.wait(30)
    await world.poll.run(Read.FAST, only_named=True)
    assert world.state.last_poll.kind == "full"
    assert world.state.last_poll.read_from > before
