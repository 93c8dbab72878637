"""Tell systemd how the service is (sd_notify(3)): ready, stopping, alive."""

import os
import socket
from contextlib import suppress


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


def watchdog_interval() -> float | None:
    """Return how often to report being alive, in seconds, or None where nobody asks.

    Half of ``$WATCHDOG_USEC``, if that is meant for this process (sd_watchdog_enabled(3)).
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    meant_for = os.environ.get("WATCHDOG_PID") or str(os.getpid())
    if not microseconds.isdigit() or meant_for != str(os.getpid()):
        return None
    return int(microseconds) / 2_000_000 or None
