"""The command line: parse, call, print. Exit codes live here and nowhere else."""

from bridge.cli.main import main

__all__ = ["main"]
