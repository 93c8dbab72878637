"""docs/cli.md, from the commands themselves."""

import inspect
from collections.abc import Iterator
from textwrap import dedent

import click

from bridge.cli import exit_codes
from bridge.cli.command_group import cli

PROGRAM = "mlflow-bridge"

_INTRODUCTION = """\
# CLI reference

Every command with its options: generated from the commands by `{command}`, and held against them by a test.
`mlflow-bridge COMMAND --help` says the same. Results go to stdout, logs and messages to stderr.

Exit codes mean the same for every command; [Operations](operations.md#exit-codes) says what to do about each.

"""


def page(command: str) -> str:
    """Return the page."""
    return _INTRODUCTION.format(command=command) + "\n".join(_chapters(cli, None)).rstrip() + "\n"


def _chapters(command: click.Command, parent: click.Context | None) -> Iterator[str]:
    name = PROGRAM if parent is None else command.name
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    yield "\n\n".join(filter(None, _parts(command, context))) + "\n"
    if isinstance(command, click.Group):
        for found in command.list_commands(context):
            inner = command.get_command(context, found)
            if inner is not None and not inner.hidden:
                yield from _chapters(inner, context)


def _parts(command: click.Command, context: click.Context) -> Iterator[str]:
    path = context.command_path
    yield f"{'###' if path.count(' ') > 1 else '##'} {path}"
    yield f"```text\n{_usage(command, context)}\n```"
    yield from _told(inspect.cleandoc(command.help or ""))
    yield from _told(inspect.cleandoc(command.epilog or ""))
    yield _options(command, context)
    yield _codes(path)


def _usage(command: click.Command, context: click.Context) -> str:
    return f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"


def _told(text: str) -> Iterator[str]:
    r"""Yield the paragraphs of a help text; those after ``\b`` are taken as they are."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b"):
            yield _as_it_is(paragraph.removeprefix("\b").strip("\n"))
        elif paragraph:
            yield _escaped(paragraph)


def _as_it_is(lines: str) -> str:
    head, _, rest = lines.partition("\n")
    if head.endswith(":") and rest:
        return f"{head}\n\n```text\n{dedent(rest)}\n```"
    return f"```text\n{lines}\n```"


def _options(command: click.Command, context: click.Context) -> str:
    return "\n".join(f"- `{option}`: {_escaped(meant)}" for option, meant in _records(command, context))


def _records(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield options with their meanings; arguments are in the usage, and told of in the text."""
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            yield record


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("<", "&lt;")


def _codes(path: str) -> str:
    """Return which exit codes the command can give, where that is written down."""
    given = getattr(exit_codes, "GIVEN", {}).get(path.removeprefix(PROGRAM).strip(), ())
    return f"Exit codes: {', '.join(str(int(code)) for code in sorted(given))}." if given else ""
