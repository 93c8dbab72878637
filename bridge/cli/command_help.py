"""Classes for commands whose help lists their exit codes, and for groups that suggest a name after a typing error."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import click

from bridge.cli.exit_codes import GIVEN, MEANINGS

WIDEST = 100
"""The largest width of help text in columns: longer lines are hard to read."""


def exit_codes(path: str) -> list[tuple[str, str]]:
    """Return the exit codes of the command ``path`` (such as ``"outbox list"``), with their meanings."""
    return [(str(int(code)), MEANINGS[code]) for code in sorted(GIVEN[path])]


def path_of(ctx: click.Context) -> str:
    """Return the full name of the command, without the program's name."""
    names: list[str] = []
    while ctx.parent is not None:
        names.insert(0, ctx.info_name or "")
        ctx = ctx.parent
    return " ".join(names)


class Command(click.Command):
    """A command whose help ends with its exit codes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes."""
        _write_exit_codes(ctx, formatter)


class Group(click.Group):
    """A group whose help ends with its exit codes, and that suggests the command that was probably meant."""

    command_class = Command

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the command names in the order of their definition."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that ``args`` name; an unknown one is a usage error that suggests a name."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            ctx.fail(_no_such_command(ctx.command_path, args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their full summaries."""
        summaries = [(name, _summary(self.get_command(ctx, name))) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(summaries)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes."""
        _write_exit_codes(ctx, formatter)


def new_group(name: str) -> Callable[[Callable[..., Any]], Group]:
    """Return the decorator that makes a `Group` of a function."""
    return click.group(name=name, cls=Group)


def new_command(name: str) -> Callable[[Callable[..., Any]], Command]:
    """Return the decorator that makes a `Command` of a function."""
    return click.command(name=name, cls=Command)


def _summary(found: click.Command | None) -> str:
    return found.get_short_help_str(limit=200) if found else ""


def _no_such_command(path: str, given: str, known: Iterable[str]) -> str:
    if given == "help":
        return f"No such command 'help': write {path} --help, or {path} COMMAND --help"
    names = list(known)
    close = get_close_matches(given.lower(), names, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(names)}."
    return f"No such command {given!r}. {hint}"


def _write_exit_codes(ctx: click.Context, formatter: click.HelpFormatter) -> None:
    with formatter.section("Exit codes"):
        formatter.write_dl(exit_codes(path_of(ctx)))
