"""Select outbox entries by the options of a command, and warn before they are sent again or dropped."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import click

from bridge.cli.common_options import print_json
from bridge.cli.exit_codes import ExitCode
from bridge.config import Settings
from bridge.delivery.event_routing import matches
from bridge.delivery.outbox_entry import Entry, Status
from bridge.delivery.resend import Resend, find_overtaken
from bridge.errors import NotFound
from bridge.events.display_text import changed, count, instant, printable
from bridge.events.event import Event
from bridge.sinks.http.webhook_sink import with_webhooks
from bridge.store.entry_header import EntryHeader
from bridge.store.state_reader import StateReader


@dataclass(frozen=True, slots=True)
class Choice:
    """A selection of entries by number, sink, status and globs of model names; an empty part selects all."""

    numbers: tuple[int, ...] = ()
    sinks: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    models: tuple[str, ...] = ()

    def of(self, state: StateReader) -> list[Entry]:
        """Return the selected entries, ordered by number.

        Raises:
            NotFound: an entry number does not exist.
        """
        unknown = [number for number in self.numbers if state.entry(number) is None]
        if unknown:
            raise NotFound(f"there is no entry {unknown[0]}: mlflow-bridge outbox list shows them")
        found = (state.entry(number) for number in self.numbers_in(state))
        return [entry for entry in found if entry is not None]

    def numbers_in(self, state: StateReader) -> list[int]:
        """Return the numbers of the selected entries, in order."""
        named = (state.entry(number) for number in set(self.numbers))
        candidates = named if self.numbers else state.entry_headers()
        return sorted(one.id for one in candidates if one is not None and self._means(one, state))

    def _means(self, entry: Entry | EntryHeader, state: StateReader) -> bool:
        if self.sinks and entry.sink not in self.sinks:
            return False
        if self.statuses and entry.status not in self.statuses:
            return False
        event = state.event(entry.event_id) if self.models else None
        return not self.models or (event is not None and _is_of(event, self.models))


def _is_of(event: Event, globs: Iterable[str]) -> bool:
    names = {event.model_name, event.changed.get("previous_name") or event.model_name}
    return any(matches(name, glob) for name in names for glob in globs)


def check_sinks(names: Collection[str], settings: Settings, state: StateReader) -> None:
    """Check that each sink is configured, or still has entries.

    Raises:
        NotFound: one is neither.
    """
    if not names:
        return
    configured = with_webhooks(settings, state.webhooks()).sinks
    known = dict.fromkeys([*(sink.name for sink in configured), *state.summaries()])
    for name in names:
        if name not in known:
            raise no_such_sink(name, known)


def no_such_sink(name: str, known: Collection[str]) -> NotFound:
    """Return the error for an unknown sink ``name``, with the name that was probably meant."""
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"
    return NotFound(f"no sink is called {name!r} ({hint})")


def by_sink(sinks: Iterable[str]) -> str:
    """Return the number of entries for each sink as text: *3 entries to ci, 1 entry to deploy*."""
    return ", ".join(f"{count(number, 'entry')} to {sink}" for sink, number in Counter(sinks).items())


def warn_of_overtaken(state: StateReader, resends: Sequence[Resend]) -> int:
    """Warn on stderr about resends that are older than what their sink has already received; return their number."""
    delivered = (entry for entry in state.entries() if entry.status is Status.DELIVERED)
    found = find_overtaken(resends, delivered, {event.id: event for event in state.events()})
    for resend, later in found:
        event = state.event(resend.event_id)
        told = (
            f"{event.model_name} {event.model_version or ''} {changed(event)}" if event else resend.event_id
        )
        newer = (
            f"{later.type.value} {later.model_version or ''} {changed(later)} ({instant(later.timestamp)})"
        )
        click.echo(
            f"mlflow-bridge: {resend.sink} has since got something newer than "
            f"{printable(told)}: {printable(newer)}; sending it again can undo that",
            err=True,
        )
    return len(found)


def choice_of(given: dict[str, Any], statuses: tuple[Status, ...]) -> Choice:
    """Return the selection that the options make.

    Raises:
        click.UsageError: nothing is selected, or ``--all`` is given with another selection.
    """
    named = given["numbers"] or given["sinks"] or given["models"]
    if not named and not given["everything"]:
        msg = "which? Give numbers (mlflow-bridge outbox list shows them), --sink, --model or --all"
        raise click.UsageError(msg)
    if named and given["everything"]:
        msg = "--all means all: give it alone"
        raise click.UsageError(msg)
    return Choice(given["numbers"], given["sinks"], statuses, given["models"])


def entries_numbered(entries: Iterable[Entry], numbers: Iterable[int]) -> list[Entry]:
    """Return the entries with these numbers, in the order of ``entries``."""
    done = set(numbers)
    return [entry for entry in entries if entry.id in done]


def print_done(what: str, entries: list[Entry], output: str) -> int:
    """Print what was done, and with which entries; return the exit code."""
    if output == "json":
        print_json({what: [entry.id for entry in entries]})
    elif entries:
        click.echo(f"{what}: {by_sink(entry.sink for entry in entries)}")
    else:
        click.echo(f"{what}: {count(0, 'entry')}")
    return ExitCode.DONE
