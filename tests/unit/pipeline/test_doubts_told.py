"""How it is told that the registry reads as older than it is known."""

from dataclasses import replace

import pytest
from support.polled import MINUTE, Polled

from bridge.pipeline.full_scan_interval import is_pressing
from bridge.pipeline.incremental_read import Read


@pytest.fixture(autouse=True)
def as_in_a_large_registry(monkeypatch) -> None:
    monkeypatch.setattr("bridge.pipeline.watched_models.MOST_UNNAMED", 0)


@pytest.fixture
async def world() -> Polled:
    """A registry in which a promotion was told; `old` is the model as it was before it."""
    world = await Polled().baseline()
    world.old = world.registry.models["m3"]
    world.move("m3", "Production")
    await world.poll.run(Read.FULL)
    world.wait(30)
    return world


def notes(world) -> list[tuple[str, str]]:
    return [(note.kind, note.model) for note in world.state.notes()]


async def test_a_fast_read_that_is_old_has_the_full_scan_judge_and_that_is_told(world) -> None:
    world.registry.put(world.old)

    polled = await world.poll.run(Read.FAST)

    assert (polled.read, "reads as older than known ('m3')" in str(polled.held)) == (Read.FULL, True)
    assert world.state.last_poll.doubted == ("m3",)
    assert notes(world) == [("doubted", "m3"), ("held", "")]
    assert world.state.head.stale_at == world.now


async def test_beyond_the_share_of_a_scan_a_fast_read_keeps_what_is_known_and_scans_are_pressing(
    world, monkeypatch
) -> None:
    monkeypatch.setattr(type(world.poll), "_is_full_due", lambda _self, _basis, **_: False)
    world.registry.put(world.old)
    world.move("m4", "Staging")

    polled = await world.poll.run(Read.FAST)

    assert (polled.read, polled.held, len(polled.entries)) == (Read.FAST, None, 1)
    assert world.state.last_poll.doubted == ("m3",)
    assert is_pressing(world.state.head, world.state.last_reconcile, world.state.last_poll, None)


async def test_while_a_hold_stands_other_models_are_told_by_fast_reads_and_it_is_noted_once(world) -> None:
    world.registry.put(world.old)
    await world.poll.run(Read.FULL)
    world.wait(30)
    world.move("m4", "Production")

    assert await world.fast() == ["m4 TRANSITIONED"]
    await world.poll.run(Read.FULL)
    assert notes(world) == [("doubted", "m3"), ("held", "")]


async def test_a_reading_that_a_second_one_contradicts_is_noted_and_holds_nothing(world) -> None:
    today = world.registry.models["m3"]
    world.registry.put(world.old)
    ask = world.registry.ask

    def asked_again(doubts, deadline):
        world.registry.put(today)
        return ask(doubts, deadline)

    world.registry.ask = asked_again
    polled = await world.poll.run(Read.FULL)

    assert (polled.held, polled.entries, world.state.last_poll.doubted) == (None, [], ())
    (note,) = world.state.notes()
    assert (note.kind, note.model) == ("doubted", "m3")
    assert note.detail.endswith("asked again, it read as known")
    assert world.state.head.stale_at == world.now


async def test_an_old_listing_that_was_in_doubt_anyway_is_noted_too(world) -> None:
    """Its aliases were all gone, so it was asked for at once, and read as known."""
    today = replace(world.registry.models["m3"], aliases=(("champion", "1"),))
    world.registry.put(today)
    await world.poll.run(Read.FULL)
    world.wait(30)
    world.registry.put(world.old)
    ask = world.registry.ask

    def asked(doubts, deadline):
        world.registry.put(today)
        return ask(doubts, deadline)

    world.registry.ask = asked
    polled = await world.poll.run(Read.FULL)

    assert (polled.held, polled.entries) == (None, [])
    assert notes(world) == [("doubted", "m3")]
    assert world.state.head.stale_at == world.now


async def test_many_that_read_as_old_are_judged_by_a_few(world) -> None:
    for name in list(world.registry.models):
        for number in range(5):
            world.registry.put(replace(world.registry.models[name], name=f"{name}-{number}", created=number))
    await world.poll.rebaseline()
    world.wait(3_600)
    await world.poll.run(Read.FULL)
    for name, one in world.registry.models.items():
        world.registry.models[name] = replace(one, updated=one.updated - 60 * MINUTE)
    world.registry.asked.clear()

    assert (await world.poll.run(Read.FULL)).held
    assert len(set(world.registry.asked)) == 20
    assert len(world.state.last_poll.doubted) == 20


async def test_what_waits_without_a_time_is_noted_too(world) -> None:
    world.registry.put(world.old)
    world.registry.put(replace(world.registry.models["m5"], tags=(("k", "v"),)))

    assert (await world.poll.run(Read.FULL)).entries == []
    details = {note.model: note.detail for note in world.state.notes() if note.kind == "doubted"}
    assert details["m5"] == "what was read of it may be from before what is known: it waits for another look"
    assert details["m3"].startswith("it reads as of 20")
