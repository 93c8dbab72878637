"""Send notifications to systemd (sd_notify(3)): ready, reloading, stopping, watchdog, and a status text."""

import os
import socket
import time
from contextlib import suppress

_LONGEST = 500
"""The longest status text in characters: enough for one line of ``systemctl status``."""


def notify(state: str) -> bool:
    """Send ``state`` (such as ``READY=1``) to the service manager; return whether that succeeded.

    The address is in ``$NOTIFY_SOCKET``: a path, or an abstract socket name that begins with @.
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
    """Notify that a reload begins; ``READY=1`` ends it.

    ``Type=notify-reload`` (systemd 253) requires the time; older versions ignore it.
    """
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def notify_ready(status: str = "") -> bool:
    """Notify that the start or a reload has ended; ``status`` is as for `notify_status`."""
    return notify("READY=1" + (f"\n{_status(status)}" if status else ""))


def notify_status(text: str) -> bool:
    """Have ``systemctl status`` show ``text``."""
    return notify(_status(text))


def _status(text: str) -> str:
    """Return the assignment as one line: systemd would read further lines as assignments of their own."""
    return (
        "STATUS=" + " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_LONGEST]
    )


def watchdog_interval() -> float | None:
    """Return the interval of watchdog notifications in seconds; None if the watchdog is off.

    It is half of ``$WATCHDOG_USEC``, if that is meant for this process (sd_watchdog_enabled(3)).
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    meant_for = os.environ.get("WATCHDOG_PID") or str(os.getpid())
    if not microseconds.isdigit() or meant_for != str(os.getpid()):
        return None
    return int(microseconds) / 2_000_000 or None
