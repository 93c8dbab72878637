"""Entries that an operator chooses, and what is said before anything is done with them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import click

from bridge.cli.shared import count
from bridge.delivery.again import Resend, overtaken
from bridge.delivery.entry import Entry, Status
from bridge.errors import NotFound
from bridge.events.event import Event
from bridge.store.state import State
from bridge.wording import changed, instant, printable


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
    return any(fnmatchcase(name, glob) for name in names for glob in globs)


def by_sink(sinks: Iterable[str]) -> str:
    """Return how many go to whom: *3 entries to ci, 1 entry to deploy*."""
    return ", ".join(f"{count(number, 'entry')} to {sink}" for sink, number in Counter(sinks).items())


def warn_of_overtaken(state: State, resends: Sequence[Resend]) -> int:
    """Say what would undo something newer; return how many that are."""
    delivered = (entry for entry in state.entries() if entry.status is Status.DELIVERED)
    found = overtaken(resends, delivered, {event.id: event for event in state.events()})
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
