"""Who gives a command, for the audit trail."""

from getpass import getuser


def command_user() -> str:
    """Return the user of this process as the audit trail names who gave a command."""
    try:
        return f"command ({getuser()})"
    except (KeyError, OSError):  # a container's user may have no name
        return "command"
