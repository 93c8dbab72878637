"""The control socket, over which a command asks the daemon that owns the state to act on it."""
