"""Commands on a real terminal of a given size: what they draw, and answers typed at them."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from support.patience import patience

_UNWANTED = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES")


def _sit_down() -> None:
    """Take the terminal, and Ctrl-C as it is in a shell: what runs in the background inherits that it is ignored."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A command on a terminal; ``text`` is everything that it wrote, escape sequences included."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        columns: int = 80,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start ``command`` in ``folder``, with stdin, stdout and stderr on a terminal."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        inherited = {key: value for key, value in os.environ.items() if key not in _UNWANTED}
        self._process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={**inherited, "TERM": "xterm-256color", **(environment or {})},
            start_new_session=True,
            preexec_fn=_sit_down,  # noqa: PLW1509 - no threads here
        )
        os.close(slave)
        self._raw = b""

    @property
    def text(self) -> str:
        """What came so far, with the terminal's line breaks as ours."""
        return self._raw.decode("utf-8", "replace").replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        """Read until ``text`` has come."""
        end = time.monotonic() + patience()
        while text not in self.text:
            assert time.monotonic() < end, f"no {text!r} in {self.text!r}"
            assert self._read(), f"it ended without {text!r}: {self.text!r}"

    def type(self, text: str) -> None:
        """Type ``text``; a line break is the Enter key, \x03 is Ctrl-C."""
        os.write(self._master, text.encode())

    def interrupt(self, until: str) -> int:
        """Press Ctrl-C until ``until`` has come, and return the exit code.

        Once may not be enough: a signal that comes just before Python waits for a line is noticed after it.
        """
        end = time.monotonic() + patience()
        while until not in self.text:
            assert time.monotonic() < end, f"no {until!r} in {self.text!r}"
            self.type("\x03")
            again = time.monotonic() + 3
            while until not in self.text and time.monotonic() < again and self._read():
                pass
        return self.finish()

    def finish(self) -> int:
        """Read until the command ends, and return its exit code."""
        end = time.monotonic() + patience()
        try:
            while self._read():
                assert time.monotonic() < end, f"it does not end: {self.text!r}"
            return self._process.wait(max(0.1, end - time.monotonic()))
        finally:
            self.close()

    def close(self) -> None:
        """End whatever still runs."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with suppress(OSError):
            os.close(self._master)

    def _read(self) -> bool:
        """Take in what comes within a second; return whether more can come."""
        if not select.select([self._master], [], [], 1)[0]:
            return True
        try:
            found = os.read(self._master, 65_536)
        except OSError:  # Linux: the other side is closed
            return False
        self._raw += found
        return bool(found)
