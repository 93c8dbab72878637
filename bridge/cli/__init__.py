"""The command line: commands parse their options, call an operation, print its result and return an exit code."""

import gc

from bridge.cli.startup_signals import hold_signals, release_signals


def main() -> None:
    """Run the command ``mlflow-bridge``; signals are blocked until the program can handle them."""
    hold_signals()
    gc.disable()  # until the command's modules are imported: none of what imports make is garbage
    try:
        from bridge.cli.command_group import main as run  # noqa: PLC0415 - the import takes a while, and signals can arrive during it

        run()
    finally:
        release_signals()


__all__ = ["main"]
