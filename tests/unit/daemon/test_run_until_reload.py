"""A life of the daemon, with clocks turned by hand."""

import asyncio

import pytest
from structlog.testing import capture_logs
from support.patience import patience
from support.until import eventually
from support.world import World

from bridge.daemon import run_until_reload as module
from bridge.daemon.registry_outage_log import WatchedPoll
from bridge.errors import RegistryUnreachable


@pytest.fixture
def world(monkeypatch) -> World:
    monkeypatch.setattr(module, "_LOOK_AT_CLOCKS_S", 0.02)
    return World()


@pytest.mark.parametrize("seconds", [-365 * 86_400, 365 * 86_400])
async def test_a_clock_that_jumps_either_way_makes_it_poll_at_once(world, seconds) -> None:
    running = asyncio.create_task(world.life().run())
    await world.polled(1)
    with capture_logs() as logs:
        world.clock.jump(seconds)
        await world.polled(2)
    world.signals.ask(world.signals.stop)
    await running

    assert [line["by_ms"] for line in logs if line["event"] == "clock.jumped"] == [seconds * 1000]
    assert not world.trust.is_given()


async def test_a_clock_set_back_while_a_poll_is_under_way_still_makes_it_poll_at_once(
    world, monkeypatch
) -> None:
    """The next run was reckoned by the old clock: unless the jump is noticed, it is an hour away."""
    monkeypatch.setattr(module, "_LOOK_AT_CLOCKS_S", 0.3)
    scan = world.registry.scan

    def jumping(*args, **kwargs):
        world.registry.scan = scan
        world.clock.jump(-3_600)
        return scan(*args, **kwargs)

    world.registry.scan = jumping
    running = asyncio.create_task(world.life().run())
    await world.polled(2)
    world.signals.ask(world.signals.stop)
    await running

    assert world.registry.asked_for >= 2


async def test_a_scan_that_is_asked_for_is_made_at_once(world) -> None:
    running = asyncio.create_task(world.life().run())
    await world.polled(1)
    world.signals.ask(world.signals.scan)
    await world.polled(2)
    world.signals.ask(world.signals.stop)
    await running

    assert not world.signals.scan.is_set()


async def test_when_the_next_poll_is_due_can_be_asked(world) -> None:
    assert world.probes.next_poll_in_s() is None
    running = asyncio.create_task(world.life().run())
    await world.polled(1)
    await eventually(lambda: world.probes.polling_for_s() is None)
    assert 3_500 < world.probes.next_poll_in_s() <= 3_600
    world.signals.ask(world.signals.stop)
    await running

    assert world.probes.next_poll_in_s() is None


async def test_it_ends_when_the_settings_in_force_are_others(world) -> None:
    running = asyncio.create_task(world.life().run())
    await world.polled(1)
    world.signals.ask(world.signals.renew)
    await asyncio.wait_for(running, patience())

    assert not world.signals.renew.is_set()


async def test_it_ends_on_a_reload_that_changes_something_and_on_no_other(world) -> None:
    answers = [False, True]
    running = asyncio.create_task(world.life(lambda: answers.pop(0)).run())
    await world.polled(1)
    world.signals.ask(world.signals.reload)
    await asyncio.sleep(0.05)
    assert not running.done()
    world.signals.ask(world.signals.reload)
    await asyncio.wait_for(running, patience())

    assert answers == []


async def test_a_poll_under_way_is_left_at_the_stop_without_a_word(world, monkeypatch) -> None:
    import threading

    release = threading.Event()
    began = threading.Event()

    def hang(*_args, **_kwargs):
        began.set()
        while not release.wait(0.01):
            pass

    monkeypatch.setattr(world.registry, "scan", hang)
    running = asyncio.create_task(world.life().run())
    await eventually(began.is_set)
    with capture_logs() as logs:
        world.signals.ask(world.signals.stop)
        await asyncio.wait_for(running, patience())
    release.set()

    assert [line["log_level"] for line in logs] == ["info"]


async def test_trouble_is_told_once_and_so_is_its_end(world) -> None:
    watched = WatchedPoll(world.life()._app.poll)
    with capture_logs() as logs:
        world.registry.failure = RegistryUnreachable("down")
        await watched.run()
        await watched.run()
        world.registry.failure = RuntimeError("secret")
        await watched.run()
        world.registry.failure = None
        await watched.run()

    told = [(line["event"], line.get("error")) for line in logs if line["log_level"] in ("error", "info")]
    assert told[:2] == [
        ("poll.failed", "down"),
        ("poll.failed", "a fault in the bridge or in MLflow's client: RuntimeError"),
    ]
    assert "poll.recovered" in [event for event, _ in told]
    assert watched.attempts == 4
