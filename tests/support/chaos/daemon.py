"""One life of the daemon, under the launcher that plants its faults."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from signal import SIGKILL, SIGUSR2, Signals
from threading import Event, Thread
from typing import Any

from support.command import Bridge

LAUNCHER = Path(__file__).with_name("launcher.py")


class Daemon:
    """A running daemon; its log goes through a pipe, as a disk may be full for a while."""

    def __init__(self, bridge: Bridge, log: Path, faults: Mapping[str, Any]) -> None:
        self._log = log
        self.has_polled = Event()
        self.started_after: float | None = None
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-P", LAUNCHER, "--log-format", "json", "run", "--config", bridge.config],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**bridge.environment, "FAULTS": json.dumps(faults)},
            cwd=bridge.folder,
        )
        self._reader = Thread(target=self._copy, daemon=True)
        self._reader.start()

    def _copy(self) -> None:
        with self._log.open("wb") as log, self._process.stderr as lines:
            for line in lines:
                log.write(line)
                if b'"daemon.started"' in line:
                    self.started_after = time.monotonic() - self._began
                if b'"poll.committed"' in line:
                    self.has_polled.set()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self, signal: Signals = SIGKILL) -> int:
        """Send ``signal`` and wait; return the exit status, negative for a signal."""
        self._process.send_signal(signal)
        return self.wait()

    def wait(self, seconds: float = 60) -> int:
        """Return the exit status; who does not end in time says where it is, and is killed."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.send_signal(SIGUSR2)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
        self._process.kill()
        self._reader.join()
        return self._process.wait()


def log_lines(log: Path) -> list[dict[str, Any]]:
    """Return what a life said, but for half a line at its end and what is no log line."""
    found = []
    for line in log.read_text(errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            found.append({"event": "chaos.unreadable", "line": line})
    return found


def instant_of(line: Mapping[str, Any]) -> float:
    """Return when a line was logged, in seconds since the epoch."""
    return datetime.fromisoformat(line["timestamp"]).timestamp()
