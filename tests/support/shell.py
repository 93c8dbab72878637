"""Shells as a person has them open: each runs blocks of commands, one after the other."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

_DONE = "<done>"
_LONGEST_S = 120.0
_TO_END_S = 20.0


class Shell:
    """One bash; what it prints is in `output`."""

    def __init__(self, folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                ["/bin/bash", "--noprofile", "--norc"],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                cwd=folder,
                env=environment,
                text=True,
                start_new_session=True,
            )
        self._count = 0

    @property
    def output(self) -> str:
        return self._log.read_text()

    def run(self, commands: str) -> None:
        """Run commands to their end; the first that fails ends the shell, and is told."""
        before = self.output.count(_DONE)
        self.begin(commands)
        self.wait(lambda: self.output.count(_DONE) > before, commands)

    def begin(self, commands: str) -> None:
        """Begin to run commands."""
        self._count += 1
        script = self._log.with_suffix(f".{self._count}.sh")
        script.write_text(commands)
        line = f"set -e; . '{script}' </dev/null; set +e; echo '{_DONE}'\n"
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def wait(self, holds: Callable[[], object], what: str) -> None:
        """Wait until something holds; fail where the shell has ended, or it takes too long."""
        end = time.monotonic() + _LONGEST_S
        while not holds():
            assert self._process.poll() is None, f"this failed: {what}\n{self.output}"
            assert time.monotonic() < end, f"this takes too long: {what}\n{self.output}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Press Ctrl-C, and close the shell."""
        self._signal(signal.SIGINT)
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_TO_END_S)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
