"""Reading the configuration again: whole or not at all, and systemd hears the end of it either way."""

import pytest
from structlog.testing import capture_logs
from support.manager import managed

from bridge.config.file_loading import build
from bridge.daemon.configuration_reload import Configuration
from bridge.errors import ConfigurationError
from bridge.sinks.sink_type_table import SETTINGS


def settings(**sections):
    return build({"registry": {"tracking_uri": "http://h"}, **sections}, SETTINGS)


class File:
    """A configuration that changes."""

    def __init__(self) -> None:
        self.now = settings()

    def read(self):
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


@pytest.fixture
def file() -> File:
    return File()


@pytest.fixture
def configuration(file) -> Configuration:
    return Configuration(settings(), file.read)


@pytest.fixture
def manager(tmp_path, monkeypatch):
    with managed(tmp_path, monkeypatch) as manager:
        yield manager


REFUSED = {
    "wrong": (ConfigurationError(["sinks[0].url: wrong", "poll.interval: wrong"]), "sinks\\[0\\].url: wrong"),
    "cron": (settings(poll={"cron": "61 * * * *"}), "poll.cron"),
    "state": (settings(state={"url": "tinydb:/other"}), "a change of state needs a restart"),
    "server": (settings(server={"listen": "127.0.0.1:1"}), "a change of server needs a restart"),
    "registry": (
        settings(registry={"tracking_uri": "http://x"}),
        "of registry needs a restart .*state rebind",
    ),
}


@pytest.mark.parametrize(("fresh", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_and_the_old_stays_in_force(
    configuration, file, manager, fresh, why
) -> None:
    file.now = fresh
    before = configuration.settings
    with capture_logs() as logs, pytest.raises(ConfigurationError, match=why):
        configuration.take_up()
    assert not configuration.reload()
    manager.listen()

    assert configuration.settings is before
    assert [line["event"] for line in logs] == ["config.refused"]
    assert manager.said[:2] == ["RELOADING=1", "READY=1"]
    assert manager.said[2].startswith("STATUS=configuration refused, the one before stays in force: ")
    assert configuration.refusal


def test_what_is_as_it_was_ends_the_reload_at_once(configuration, manager) -> None:
    assert not configuration.reload()
    manager.listen()

    assert manager.said == ["RELOADING=1", "READY=1"]


def test_what_changed_is_in_force_and_left_to_the_next_life_to_report(configuration, file, manager) -> None:
    file.now = ConfigurationError(["wrong"])
    configuration.reload()
    manager.listen()
    manager.said.clear()
    file.now = settings(poll={"interval": "5s"})

    assert configuration.reload()
    manager.listen()
    assert (configuration.settings.poll.interval, configuration.refusal) == (5_000, "")
    assert manager.said == ["RELOADING=1"]


def test_a_reload_says_when_it_began_by_the_clock_that_systemd_compares_with(tmp_path, monkeypatch) -> None:
    """Type=notify-reload waits for a RELOADING=1 later than its own signal."""
    import socket
    import time

    from bridge.daemon.systemd_notify import notify_reloading

    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify_reloading()
        said = manager.recv(100).decode().split("\n")
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    assert said[0] == "RELOADING=1"
    assert before <= int(said[1].removeprefix("MONOTONIC_USEC=")) <= after
