"""Who gives a command, for the audit trail."""

import os
from pwd import getpwuid


def command_user() -> str:
    """Return the user of this process as the audit trail names who gave a command."""
    return f"command ({user_name()})"


def user_name() -> str:
    """Return the name of the user of this process, by its number: variables such as $USER could name anybody."""
    number = os.getuid()
    try:
        return getpwuid(number).pw_name
    except KeyError:  # a container's user may have no name
        return f"uid {number}"
