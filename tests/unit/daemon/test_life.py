"""A life of the daemon, with clocks turned by hand."""

import asyncio
import os
import socket

import pytest
from structlog.testing import capture_logs
from support.until import eventually
from support.world import World

from bridge.config.load import build
from bridge.daemon import life as module
from bridge.daemon.reload import Configuration
from bridge.daemon.watch import WatchedPoll
from bridge.errors import ConfigurationError, RegistryUnreachable
from bridge.sinks.kinds import SETTINGS


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
    await asyncio.wait_for(running, 30)

    assert not world.signals.renew.is_set()


async def test_it_ends_on_a_reload_that_changes_something_and_on_no_other(world) -> None:
    answers = [False, True]
    running = asyncio.create_task(world.life(lambda: answers.pop(0)).run())
    await world.polled(1)
    world.signals.ask(world.signals.reload)
    await asyncio.sleep(0.05)
    assert not running.done()
    world.signals.ask(world.signals.reload)
    await asyncio.wait_for(running, 30)

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
        await asyncio.wait_for(running, 30)
    release.set()

    assert [line["log_level"] for line in logs] == ["info"]


async def test_systemd_hears_that_it_is_ready_and_alive(world, monkeypatch, tmp_path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "100000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        running = asyncio.create_task(world.life().run())
        loop = asyncio.get_running_loop()
        heard = {await asyncio.wait_for(loop.sock_recv(manager, 100), 5) for _ in range(4)}
        world.signals.ask(world.signals.stop)
        await running

    assert heard == {b"READY=1", b"WATCHDOG=1"}


async def test_a_poll_that_never_ends_starves_the_watchdog(world) -> None:
    world.probes.poll_began()
    assert world.probes.is_making_progress()
    world.clock.sleep(100)

    assert not world.probes.is_making_progress()


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


def test_a_configuration_is_taken_whole_or_not_at_all(world) -> None:
    def settings(**sections):
        return build({"registry": {"tracking_uri": "http://h"}, **sections}, SETTINGS)

    answers = [
        ConfigurationError(["sinks: wrong"]),
        settings(state={"url": "tinydb:/other"}),
        settings(poll={"cron": "61 * * * *"}),
        settings(),
        settings(poll={"interval": "5s"}),
    ]

    def reread():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    configuration = Configuration(settings(), reread)

    assert [configuration.reload() for _ in range(5)] == [False, False, False, False, True]
    assert configuration.settings.poll.interval == 5_000
