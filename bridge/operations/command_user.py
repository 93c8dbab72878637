"""Who gives a command, for the audit trail."""

from getpass import getuser


def command_user() -> str:
    """Return the user of this process as the audit trail names who gave a command."""
    name = user_name()
    return f"command ({name})" if name else "command"


def user_name() -> str:
    """Return the name of the user of this process; empty if it has none, as in some containers."""
    try:
        return getuser()
    except (KeyError, OSError):
        return ""
