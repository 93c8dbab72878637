"""The command line: parse, call, print. Exit codes live here and nowhere else."""

from bridge.cli.startup_signals import hold_signals, release_signals


def main() -> None:
    """Be the command ``mlflow-bridge``; signals wait from now on until somebody is there for them."""
    hold_signals()
    try:
        from bridge.cli.command_group import main as run  # noqa: PLC0415 - takes a while, in which signals can come

        run()
    finally:
        release_signals()


__all__ = ["main"]
