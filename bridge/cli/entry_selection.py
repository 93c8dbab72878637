"""Entries that an operator chooses, and what is said before anything is done with them."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import click

from bridge.cli.common_options import count, print_json
from bridge.cli.exit_codes import ExitCode
from bridge.config import Settings
from bridge.delivery.event_routing import matches
from bridge.delivery.outbox_entry import Entry, Status
from bridge.delivery.resend import Resend, find_overtaken
from bridge.errors import NotFound
from bridge.events.display_text import changed, instant, printable
from bridge.events.event import Event
from bridge.store.state import State


@dataclass(frozen=True, slots=True)
class Choice:
    """Which entries are meant: by number, sink, status and globs of models; empty means any."""

    numbers: tuple[int, ...] = ()
    sinks: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    models: tuple[str, ...] = ()

    def of(self, state: State) -> list[Entry]:
        """Return the entries that are meant, in their order.

        Raises:
            NotFound: there is none of such a number.
        """
        unknown = [number for number in self.numbers if state.entry(number) is None]
        if unknown:
            raise NotFound(f"there is no entry {unknown[0]}: mlflow-bridge outbox list shows them")
        return sorted((one for one in state.entries() if self._means(one, state)), key=lambda one: one.id)

    def _means(self, entry: Entry, state: State) -> bool:
        if self.numbers and entry.id not in self.numbers:
            return False
        if self.sinks and entry.sink not in self.sinks:
            return False
        if self.statuses and entry.status not in self.statuses:
            return False
        event = state.event(entry.event_id) if self.models else None
        return not self.models or (event is not None and _is_of(event, self.models))


def _is_of(event: Event, globs: Iterable[str]) -> bool:
    names = {event.model_name, event.changed.get("previous_name") or event.model_name}
    return any(matches(name, glob) for name in names for glob in globs)


def check_sinks(names: Iterable[str], settings: Settings, state: State) -> None:
    """Go on if each sink is configured, or has entries though it is not configured any more.

    Raises:
        NotFound: one is neither.
    """
    known = dict.fromkeys([*(sink.name for sink in settings.sinks), *state.summaries()])
    for name in names:
        if name not in known:
            raise no_such_sink(name, known)


def no_such_sink(name: str, known: Collection[str]) -> NotFound:
    """Return what to raise where no sink is called ``name``: with the name that was probably meant."""
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"
    return NotFound(f"no sink is called {name!r} ({hint})")


def by_sink(sinks: Iterable[str]) -> str:
    """Return how many go to whom: *3 entries to ci, 1 entry to deploy*."""
    return ", ".join(f"{count(number, 'entry')} to {sink}" for sink, number in Counter(sinks).items())


def warn_of_overtaken(state: State, resends: Sequence[Resend]) -> int:
    """Say what would undo something newer; return how many that are."""
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
    """Return what is meant; nothing at all is no choice.

    Raises:
        click.UsageError: it is not said which, or said twice.
    """
    named = given["numbers"] or given["sinks"] or given["models"]
    if not named and not given["everything"]:
        msg = "which? Give numbers (mlflow-bridge outbox list shows them), --sink, --model or --all"
        raise click.UsageError(msg)
    if named and given["everything"]:
        msg = "--all means all: give it alone"
        raise click.UsageError(msg)
    return Choice(given["numbers"], given["sinks"], statuses, given["models"])


def those(entries: Iterable[Entry], numbers: Iterable[int]) -> list[Entry]:
    """Return the entries with these numbers."""
    done = set(numbers)
    return [entry for entry in entries if entry.id in done]


def tell_done(what: str, entries: list[Entry], output: str) -> int:
    """Say what was done with which entries."""
    if output == "json":
        print_json({what: [entry.id for entry in entries]})
    elif entries:
        click.echo(f"{what}: {by_sink(entry.sink for entry in entries)}")
    else:
        click.echo(f"{what}: {count(0, 'entry')}")
    return ExitCode.DONE
