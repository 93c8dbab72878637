"""What systemd hears of a life of the daemon, at a real socket."""

import asyncio
import threading

import pytest
from support.manager import managed
from support.world import World

from bridge.config.load import build
from bridge.daemon import life as module
from bridge.daemon.standing import standing
from bridge.errors import RegistryUnreachable
from bridge.sinks.kinds import SETTINGS

LONG_S = 3_600
POLL_LIMIT_S = 65
"""Longer than a poll may take here, and shorter than the relay may rest."""


@pytest.fixture
def world(monkeypatch) -> World:
    monkeypatch.setattr(module, "_TELL_EVERY_S", 0.02)
    return World()


@pytest.fixture(params=[False, True], ids=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    with managed(tmp_path, monkeypatch, abstract=request.param) as manager:
        yield manager


async def stopped(world, running) -> None:
    world.signals.ask(world.signals.stop)
    await asyncio.wait_for(running, 30)


async def test_it_is_ready_alive_and_stopping(world, manager) -> None:
    running = asyncio.create_task(world.life().run())
    await manager.hears("READY=1")
    await manager.is_fed(3)
    await stopped(world, running)
    await manager.hears("STOPPING=1")

    assert set(manager.said) == {"READY=1", "STATUS=polls http://h for 0 sinks; 0 waiting", "STOPPING=1"}
    assert manager.said[-1] == "STOPPING=1"


async def test_it_is_ready_only_once_a_poll_was_attempted(world, manager, monkeypatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(world.registry, "scan", lambda *_, **__: release.wait(20))
    running = asyncio.create_task(world.life().run())
    await manager.is_fed(3)
    assert "READY=1" not in manager.said
    release.set()
    await manager.hears("READY=1")
    await stopped(world, running)


async def test_a_registry_that_is_down_does_not_keep_it_from_being_ready_and_shows(world, manager) -> None:
    world.registry.failure = RegistryUnreachable("nobody\nREADY=0 there")
    running = asyncio.create_task(world.life().run())
    await manager.hears("READY=1")
    await manager.hears(
        "STATUS=last poll failed: nobody READY=0 there; polls http://h for 0 sinks; 0 waiting"
    )
    await stopped(world, running)


async def test_a_first_poll_that_hangs_does_not_keep_it_from_being_ready(world, manager, monkeypatch) -> None:
    monkeypatch.setattr(module, "_READY_AT_THE_LATEST_S", 0.05)
    release = threading.Event()
    monkeypatch.setattr(world.registry, "scan", lambda *_, **__: release.wait(20))
    running = asyncio.create_task(world.life().run())
    await manager.hears("READY=1")
    release.set()
    await stopped(world, running)


async def test_a_poll_that_never_ends_starves_the_watchdog(world, manager, monkeypatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(world.registry, "scan", lambda *_, **__: release.wait(20))
    running = asyncio.create_task(world.life().run())
    await manager.is_fed(2)
    await starves(world, manager, POLL_LIMIT_S)
    release.set()
    await stopped(world, running)


async def test_a_relay_that_never_comes_round_starves_the_watchdog(world, manager, monkeypatch) -> None:
    life = world.life()
    monkeypatch.setattr(life._app.relay, "_wait", lambda: asyncio.sleep(LONG_S))
    running = asyncio.create_task(life.run())
    await manager.hears("READY=1")
    await manager.is_fed(2)
    await starves(world, manager, LONG_S)
    running.cancel()
    await asyncio.wait({running})


async def test_a_relay_that_cannot_write_does_not_starve_it(world, manager, monkeypatch) -> None:
    """A restart mends no disk, and would have it send again what it holds the outcome of."""
    life = world.life()
    running = asyncio.create_task(life.run())
    await manager.hears("READY=1")
    life._app.relay.is_stuck = True
    await manager.is_fed(3)
    assert world.probes.is_making_progress()
    assert not world.probes.is_ready()
    await stopped(world, running)


async def starves(world, manager, seconds) -> None:
    """Let time pass by the daemon's clock; then nothing more may come."""
    assert world.probes.is_making_progress()
    world.clock.sleep(seconds)
    assert not world.probes.is_making_progress()
    await asyncio.sleep(0.05)
    manager.listen()
    fed = manager.fed
    await asyncio.sleep(0.2)
    manager.listen()
    assert manager.fed == fed


@pytest.mark.parametrize(
    ("sinks", "waiting", "trouble", "refusal", "expected"),
    [
        (1, 3, "", "", "polls http://h for 1 sink; 3 waiting"),
        (2, 0, "down", "no", "no; last poll failed: down; polls http://h for 2 sinks; 0 waiting"),
    ],
)
def test_how_it_stands_begins_with_what_is_wrong(sinks, waiting, trouble, refusal, expected) -> None:
    rows = [{"name": f"s{number}", "type": "http", "url": "http://h"} for number in range(sinks)]
    settings = build({"registry": {"tracking_uri": "http://h"}, "sinks": rows}, SETTINGS)

    assert standing(settings, waiting, trouble, refusal) == expected
