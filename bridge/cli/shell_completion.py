"""Complete option values in a shell: file names, sink names and entry numbers; errors are ignored."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

_LARGEST_JOURNAL = 5_000_000
"""The largest journal, in bytes, that is read to complete entry numbers: a larger one would take too long."""

_MOST_ENTRIES = 100


def config_files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete file names."""
    return [CompletionItem(incomplete, type="file")]


def sink_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of the configured sinks; the rest of the configuration need not be valid."""
    found: list[CompletionItem] = []
    with suppress(Exception):
        for sink in _document(ctx).get("sinks", ()):
            name = str(sink["name"])
            if name.startswith(incomplete):
                found.append(CompletionItem(name, help=str(sink.get("type", ""))))
    return found


def entry_numbers(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the pending and dead entries, newest first."""
    found: list[CompletionItem] = []
    with suppress(Exception):
        found += (one for one in _entries(ctx) if one.value.startswith(incomplete))
    return found[:_MOST_ENTRIES]


def starting_with(incomplete: str, words: Iterable[str]) -> list[CompletionItem]:
    """Return the ``words`` that begin with the incomplete word, regardless of case."""
    return [CompletionItem(word) for word in words if word.lower().startswith(incomplete.lower())]


def _document(ctx: click.Context) -> Mapping[str, Any]:
    import tomllib  # noqa: PLC0415 - as below

    return tomllib.loads(_path(ctx).read_text(encoding="utf-8-sig"))


def _path(ctx: click.Context) -> Path:
    from bridge.config import find  # noqa: PLC0415 - most completions need no configuration

    return find(ctx.params.get("config") or ctx.find_root().params.get("config"))


def _entries(ctx: click.Context) -> Iterator[CompletionItem]:
    from bridge.delivery.outbox_entry import Status  # noqa: PLC0415 - as above
    from bridge.operations.verified_configuration import load_settings  # noqa: PLC0415
    from bridge.store.state_opening import read_state  # noqa: PLC0415

    settings = load_settings(_path(ctx))
    if (
        settings.state.is_database
        or (Path(settings.state.folder) / "journal").stat().st_size > _LARGEST_JOURNAL
    ):
        return
    with read_state(settings) as state:
        waiting = [one for one in state.entries() if one.status is not Status.DELIVERED]
        for entry in sorted(waiting, key=lambda one: one.id, reverse=True):
            yield CompletionItem(
                str(entry.id), help=f"{entry.status.value}, {entry.sink}, {entry.event_name}"
            )
