"""The daemon: polls on schedule, relays continuously, until SIGTERM."""

from bridge.daemon.serve import serve

__all__ = ["serve"]
