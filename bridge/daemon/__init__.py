"""The daemon: polls on schedule, relays continuously, until SIGTERM."""

from bridge.daemon.main_loop import serve

__all__ = ["serve"]
