"""A home folder for those who have none: users of containers that are a number and nothing else."""

import os


def provide_home() -> None:
    """Set $HOME to ``/``, as container runtimes do, where neither it nor the users' database names one.

    Without it MLflow's client cannot be imported.
    """
    if os.path.expanduser("~") == "~":  # noqa: PTH111 - Path.home() raises
        os.environ["HOME"] = "/"
