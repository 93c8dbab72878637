"""The daemon: it polls on a schedule and relays continuously, until SIGTERM."""

from bridge.daemon.main_loop import serve

__all__ = ["serve"]
