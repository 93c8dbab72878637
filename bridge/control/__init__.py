"""The control socket, over which a command asks the daemon that owns the state to act on it."""

from bridge.control.socket_client import ask
from bridge.control.socket_server import Command, listening

__all__ = ["Command", "ask", "listening"]
