"""What systemd hears of a life of the daemon, at a real socket."""

import asyncio
import os
import signal
import sys
import threading

import pytest
from support.manager import managed
from support.patience import patience
from support.world import World

from bridge.cli import main
from bridge.config.file_loading import build
from bridge.daemon import run_until_reload as module
from bridge.daemon.systemd_notify import notify_status
from bridge.daemon.systemd_status import status_text
from bridge.errors import RegistryUnreachable
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.state_metadata import SinkSummary

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
    await asyncio.wait_for(running, patience())


async def test_it_is_ready_alive_and_stopping(world, manager) -> None:
    running = asyncio.create_task(world.life().run())
    await manager.hears("READY=1")
    await manager.is_fed(3)
    await stopped(world, running)
    await manager.hears("STOPPING=1")

    assert set(manager.said) == {"READY=1", "STATUS=polls http://h for 0 sinks; 0 waiting", "STOPPING=1"}
    assert manager.said[-1] == "STOPPING=1"


async def test_what_a_refused_reload_said_does_not_outlast_it(world, manager) -> None:
    running = asyncio.create_task(world.life().run())
    usual = "STATUS=polls http://h for 0 sinks; 0 waiting"
    await manager.hears(usual, 2)
    notify_status("configuration refused")  # and taken up, mended, before the next look
    await manager.hears("STATUS=configuration refused")
    await manager.hears(usual, manager.said.count(usual) + 2)
    await stopped(world, running)


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

    assert status_text(settings, waiting, trouble, refusal) == expected


def test_how_it_stands_names_a_hold_and_the_sinks_that_take_nothing() -> None:
    settings = build(
        {
            "registry": {"tracking_uri": "http://h"},
            "sinks": [{"name": name, "type": "http", "url": "http://h"} for name in ("ci", "well", "idle")],
        },
        SETTINGS,
    )
    summaries = [
        SinkSummary("ci", pending=2, last_reason="secret"),
        SinkSummary("well", pending=1, last_reason="ok"),
        SinkSummary("idle", last_reason="connect"),
        SinkSummary("gone", pending=1, last_reason="connect"),
    ]

    assert status_text(settings, 4, "", "", is_held=True, summaries=summaries) == (
        "changes are held: see mlflow-bridge diff; deliveries fail: ci (secret); "
        "polls http://h for 3 sinks; 4 waiting"
    )


@pytest.mark.parametrize("main_pid", ["", "0", "1", "x"])
def test_a_reload_of_a_broken_file_signals_nobody_but_the_service_of_systemd(
    main_pid, tmp_path, monkeypatch
) -> None:
    signalled = reload_of_a_broken_file(tmp_path, monkeypatch, main_pid)

    assert signalled == []


def test_a_reload_of_a_broken_file_has_the_service_say_that_it_refuses_it(tmp_path, monkeypatch) -> None:
    assert reload_of_a_broken_file(tmp_path, monkeypatch, "4711") == [(4711, signal.SIGHUP)]


def reload_of_a_broken_file(folder, monkeypatch, main_pid: str) -> list[tuple[int, int]]:
    signalled: list[tuple[int, int]] = []
    (folder / "config.toml").write_text("[registry\n")
    monkeypatch.setenv("MAINPID", main_pid)
    monkeypatch.setattr(os, "kill", lambda *args: signalled.append(args))
    monkeypatch.setattr(sys, "argv", ["mlflow-bridge", "reload", "-c", str(folder / "config.toml")])
    with pytest.raises(SystemExit, match="78"):
        main()
    return signalled
