"""Signals at any moment of a daemon's life, sent to a real one by itself, at the very instant."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.patience import patience
from support.until import wait_until

FIRST_INSTANT = """
import os, signal, sys
import bridge.cli
hold = bridge.cli.hold_signals
def then_sent():
    hold()
    for name in sys.argv.pop(1).split(","):
        os.kill(os.getpid(), signal.Signals[name])
bridge.cli.hold_signals = then_sent
bridge.cli.main()
"""
LAST_INSTANT = """
import atexit, os, signal, sys
import bridge.cli
names = sys.argv.pop(1).split(",")
atexit.register(lambda: [os.kill(os.getpid(), signal.Signals[name]) for name in names])
bridge.cli.main()
"""
ALL = "SIGHUP,SIGUSR1,SIGTERM,SIGINT"


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "config.toml").write_text(
        '[registry]\ntracking_uri = "http://127.0.0.1:1"\n[state]\nurl = "tinydb:./state"\n'
    )
    return tmp_path


class Daemon:
    """A daemon that sends itself signals; its registry is not there."""

    def __init__(self, folder: Path, script: str, names: str, **options) -> None:
        self._log = folder / "log"
        command = [sys.executable, "-c", script, names, "--log-format", "json", "run"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **options)

    def logged(self, event: str) -> int:
        lines = self._log.read_text().splitlines()
        return sum(json.loads(line)["event"] == event for line in lines if line.startswith("{"))

    def until(self, event: str) -> None:
        wait_until(lambda: self.logged(event) or self.process.poll() is not None)
        assert self.logged(event), self._log.read_text()

    def ended(self) -> int:
        try:
            return self.process.wait(patience())
        finally:
            self.process.kill()
            self.process.wait()


@pytest.mark.parametrize(
    ("names", "events"),
    [
        ("SIGHUP", ["config.reloaded"]),
        ("SIGHUP,SIGHUP", ["config.reloaded"]),
        ("SIGUSR1", ["scan.asked"]),
        ("SIGHUP,SIGUSR1,SIGHUP", ["config.reloaded", "scan.asked"]),
    ],
)
def test_what_is_asked_at_the_first_instant_is_done_once_it_can_be(folder, names, events) -> None:
    daemon = Daemon(folder, FIRST_INSTANT, names)
    for event in events:
        daemon.until(event)
    daemon.process.terminate()

    assert daemon.ended() == 0


@pytest.mark.parametrize("names", ["SIGTERM", "SIGINT", "SIGHUP,SIGTERM", "SIGTERM,SIGTERM"])
def test_a_stop_at_the_first_instant_is_a_stop(folder, names) -> None:
    assert Daemon(folder, FIRST_INSTANT, names).ended() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_what_comes_while_it_ends_changes_nothing(folder, how) -> None:
    daemon = Daemon(folder, LAST_INSTANT, ALL)
    daemon.until("daemon.started")
    for number in (signal.SIGHUP, how, signal.SIGHUP, signal.SIGUSR1, how):
        daemon.process.send_signal(number)

    assert daemon.ended() == 0
    assert daemon.logged("daemon.stopped") == 1


def test_a_daemon_under_nohup_is_reloaded_by_what_nohup_ignores(folder) -> None:
    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    daemon = Daemon(folder, LAST_INSTANT, ALL, preexec_fn=nohup)
    daemon.until("daemon.started")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until("config.reloaded")
    daemon.process.terminate()

    assert daemon.ended() == 0


def test_signals_that_a_parent_blocked_are_heard(folder) -> None:
    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})

    daemon = Daemon(folder, LAST_INSTANT, ALL, preexec_fn=block)
    daemon.until("daemon.started")
    daemon.process.terminate()

    assert daemon.ended() == 0


def test_a_daemon_that_is_stopped_and_continued_goes_on(folder) -> None:
    daemon = Daemon(folder, LAST_INSTANT, ALL)
    daemon.until("daemon.started")
    for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGHUP):
        daemon.process.send_signal(number)
    daemon.until("config.reloaded")
    daemon.process.terminate()

    assert daemon.ended() == 0


def test_a_command_that_is_no_daemon_dies_by_signals_as_any_program_does(folder) -> None:
    def heard() -> None:  # also where the tests themselves run under nohup, which has it ignored
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    command = [sys.executable, "-c", FIRST_INSTANT, "SIGHUP", "check"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, check=False, timeout=patience(), preexec_fn=heard
    )

    assert done.returncode == -signal.SIGHUP


@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_a_daemon_without_streams_lives_and_prints_into_none_of_its_files(folder, streams) -> None:
    command = ["/bin/sh", "-c", f'exec "$0" -m bridge -vv run {streams}', sys.executable]
    process = subprocess.Popen(command, cwd=folder)
    journal = folder / "state" / "journal"
    try:
        wait_until(lambda: journal.exists() and b"failed" in journal.read_bytes())
        own = {Path(f"/proc/{process.pid}/fd/{number}").readlink().parts[1] for number in range(1, 3)}
        process.send_signal(signal.SIGHUP)
        process.terminate()
        assert process.wait(patience()) == 0
    finally:
        process.kill()
        process.wait()
    assert own == {"dev"}
    assert b"daemon" not in journal.read_bytes()


@pytest.mark.parametrize("names", ["SIGHUP", "SIGUSR1,SIGHUP"])
def test_a_daemon_that_cannot_start_ends_by_its_own_code(folder, names) -> None:
    (folder / "config.toml").write_text("nonsense")

    assert Daemon(folder, FIRST_INSTANT, names).ended() == 78
