"""Set a home directory for users without one, such as a container's user that is only a number."""

import os


def provide_home() -> None:
    """Set $HOME to ``/``, as container runtimes do, if neither $HOME nor the user database names a directory.

    Without it MLflow's client cannot be imported.
    """
    if os.path.expanduser("~") == "~":  # noqa: PTH111 - Path.home() raises
        os.environ["HOME"] = "/"
