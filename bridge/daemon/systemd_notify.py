"""Tell systemd how the service is (sd_notify(3)): ready, reloading, stopping, alive, and in words."""

import os
import socket
import time
from contextlib import suppress

_LONGEST = 500
"""So many characters of a status are enough for one line of ``systemctl status``."""


def notify(state: str) -> bool:
    """Send ``state`` (``READY=1``, say) to the service manager; return whether there is one.

    The address is that of ``$NOTIFY_SOCKET``: a path, or an abstract name that begins with @.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    target = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), target)
        return True
    return False


def notify_reloading() -> bool:
    """Say that a reload begins; ``READY=1`` ends it.

    The time is what ``Type=notify-reload`` (systemd 253) asks for, and older ones pass over.
    """
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def notify_ready(status: str = "") -> bool:
    """Say that the start, or a reload, has ended; ``status`` as for `notify_status`."""
    return notify("READY=1" + (f"\n{_status(status)}" if status else ""))


def notify_status(text: str) -> bool:
    """Have ``systemctl status`` show ``text``."""
    return notify(_status(text))


def _status(text: str) -> str:
    """Return the assignment: one line, or what follows would be taken for assignments of their own."""
    return (
        "STATUS=" + " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_LONGEST]
    )


def watchdog_interval() -> float | None:
    """Return how often to report being alive, in seconds, or None where nobody asks.

    Half of ``$WATCHDOG_USEC``, if that is meant for this process (sd_watchdog_enabled(3)).
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    meant_for = os.environ.get("WATCHDOG_PID") or str(os.getpid())
    if not microseconds.isdigit() or meant_for != str(os.getpid()):
        return None
    return int(microseconds) / 2_000_000 or None
