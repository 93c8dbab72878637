"""The bridge's own resources for its API: what is asked, and what is done, beside running loops."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from bridge.config import Settings, SinkSettings, routes_of
from bridge.delivery.event_routing import Route, match, route
from bridge.delivery.outbox_entry import Entry
from bridge.delivery.resend import Resend
from bridge.delivery.sink_state import RUNNING
from bridge.delivery.webhook import Webhook
from bridge.diff.snapshot import RegisteredModel
from bridge.errors import InvalidArgument, NotFound
from bridge.events.event import Event
from bridge.events.event_names import EVENT_NAMES
from bridge.events.event_types import EVENT_TYPES
from bridge.governance.transition_request import TransitionRequest
from bridge.operations.bridge_api_arguments import (
    EntriesArguments,
    EntryArguments,
    EventArguments,
    EventsArguments,
    NumbersArguments,
    PageArguments,
    ReplayArguments,
    SinkArguments,
    SinkTestArguments,
)
from bridge.operations.gate_listing import gate_document
from bridge.operations.json_serialization import entry_document, event_document, trial_document
from bridge.operations.outbox_execution import Operations
from bridge.operations.request_arguments import RequestArguments, RequestsArguments
from bridge.operations.sink_listing import sink_documents
from bridge.operations.sink_trial import Trial, try_out
from bridge.operations.status_report import condition_word, status_document
from bridge.operations.transition_request_responses import request_document
from bridge.operations.webhook_answers import without_addresses
from bridge.operations.webhook_execution import Webhooks
from bridge.operations.webhook_redaction import redacted_webhook
from bridge.pipeline.clocks import Clock
from bridge.store.base import State
from bridge.store.state_metadata import SinkSummary
from bridge.store.state_reader import StateReader

Document = dict[str, Any]
T = TypeVar("T")

_MOST_SCANNED = 2_000
"""How many items are looked at for one page: a filter that selects few must not hold up the loops."""

_EVERY = tuple(kind.value for kind in EVENT_TYPES)


MOST_EVENTS = 100
"""How many events of a model are returned."""

MOST_OTHERS = 20
"""How many other requests about a version are returned."""


@dataclass(frozen=True, slots=True)
class ModelHistory:
    """A model as it is now (None: there is none), its newest events, newest first, and the newest outbox entries."""

    model: RegisteredModel | None
    events: Sequence[Event]
    entries: Sequence[Entry]
    has_more: bool


class Resources:
    """Answers and carries out requests. ``who`` asks is noted in the audit trail.

    Each raises `NotFound` if what it is about does not exist, and `StateUnwritable` if a change cannot be written.
    """

    def __init__(
        self,
        state: State,
        settings: Callable[[], Settings],
        clock: Clock,
        operations: Operations,
        webhooks: Webhooks,
    ) -> None:
        """Use ``state``; ``operations`` change the outbox, ``webhooks`` test those; ``settings`` returns the present ones."""
        self._webhooks = webhooks
        self._state = state
        self._settings = settings
        self._clock = clock
        self._operations = operations

    @property
    def has_webhooks(self) -> bool:
        """Whether webhooks at run time are switched on."""
        return self._settings().webhooks is not None

    async def status(self) -> Document:
        """Return the same as the command ``status``."""
        settings, now_ms = self._settings(), self._clock.now_ms()
        return await self._state.ask(lambda state: status_document(settings, state, now_ms))

    async def events(self, arguments: EventsArguments) -> Document:
        """Return a page of events, newest first."""

        def page(state: StateReader) -> Document:
            before = state.events_before(arguments.cursor or None)
            found, cursor = _page(before, lambda one: _is_asked_for(one, arguments), arguments)
            return _paged("events", [event.to_document() for event in found], cursor.id if cursor else None)

        return await self._state.ask(page)

    async def event(self, arguments: EventArguments) -> Document:
        """Return an event with its deliveries."""

        def found(state: StateReader) -> Document:
            event = state.event(arguments.event_id)
            if event is None:
                raise NotFound(f"there is no event {arguments.event_id!r:.80}")
            return event_document(event, state.entries_of(event.id), state.details(event.id))

        return await self._state.ask(found)

    async def notes(self, arguments: PageArguments) -> Document:
        """Return a page of the notes in the audit trail, newest first."""

        def page(state: StateReader) -> Document:
            numbered = state.notes_before(arguments.cursor or None)
            found, cursor = _page(numbered, lambda _one: True, arguments)
            return _paged("notes", [note.to_document() for _, note in found], cursor[0] if cursor else None)

        return await self._state.ask(page)

    async def requests(self, arguments: RequestsArguments) -> Document:
        """Return a page of transition requests, newest first."""

        def is_asked_for(one: TransitionRequest) -> bool:
            return arguments.model in {"", one.model_name} and arguments.status in {None, one.status}

        def page(state: StateReader) -> Document:
            before = state.requests_before(arguments.cursor or None)
            found, cursor = _page(before, is_asked_for, arguments)
            return _paged("requests", list(map(request_document, found)), cursor.id if cursor else None)

        return await self._state.ask(page)

    async def request(self, arguments: RequestArguments) -> Document:
        """Return a transition request."""
        found = await self._state.load_request(arguments.request_id)
        if found is None:
            raise NotFound(f"there is no request {arguments.request_id!r:.80}")
        return request_document(found)

    async def others_like(self, arguments: RequestArguments) -> list[Document]:
        """Return the other requests about the version of a request, newest first."""
        one = await self._state.load_request(arguments.request_id)
        found = await self._state.load_requests_of(one.model_name, one.version) if one else []
        others = (other for other in reversed(found) if other.id != arguments.request_id)
        return list(map(request_document, islice(others, MOST_OTHERS)))

    async def gates(self) -> Document:
        """Return the gates of the configuration."""
        return {"gates": list(map(gate_document, self._settings().gates))}

    async def model(self, name: str) -> ModelHistory:
        """Return what is recorded of a model: its newest events, and the newest entries of the outbox."""

        def history(state: StateReader) -> ModelHistory:
            known = state.known().get(name)
            found, last = _page(
                state.events_before(None), lambda one: _is_of(one, name), PageArguments(limit=MOST_EVENTS)
            )
            entries = list(islice(state.entries_before(None), _MOST_SCANNED))
            return ModelHistory(known, found, entries, has_more=last is not None)

        return await self._state.ask(history)

    async def replay(self, arguments: ReplayArguments, who: str) -> Document:
        """Send events again, to sinks that ask for them now; return the numbers of their new entries."""
        settings = self._settings()
        for name in arguments.sinks:
            _sink(settings, name)
        events = [await self._event(event_id) for event_id in dict.fromkeys(arguments.events)]
        ways = [way for way in routes_of(settings) if not arguments.sinks or way.sink in arguments.sinks]
        resends = [Resend(one.event.id, one.sink, one.event_name) for one in route(events, ways)]
        return {"entries": await self._operations.replay(resends, new_ids=arguments.new_ids, by=who)}

    async def entries(self, arguments: EntriesArguments) -> Document:
        """Return a page of outbox entries, newest first."""
        before = _number(arguments.cursor)

        def page(state: StateReader) -> Document:
            found, cursor = _page(
                state.entries_before(before), lambda one: _is_wanted(one, arguments), arguments
            )
            documents = [entry_document(one, state.event(one.event_id)) for one in found]
            return _paged("entries", documents, str(cursor.id) if cursor else None)

        return await self._state.ask(page)

    async def entry(self, arguments: EntryArguments) -> Document:
        """Return an entry with its attempts."""

        def found(state: StateReader) -> Document:
            entry = state.entry(arguments.number)
            if entry is None:
                raise NotFound(f"there is no entry {arguments.number}")
            attempts = [one.to_document() for one in state.attempts(entry)]
            return {**entry_document(entry, state.event(entry.event_id)), "attempts_on_record": attempts}

        return await self._state.ask(found)

    async def redrive(self, arguments: NumbersArguments, who: str) -> Document:
        """Send dead entries again; return the numbers of those that were dead, and whose sinks are there."""
        known = {sink.name for sink in self._settings().sinks}
        entries = await self._state.load_entries(arguments.entries)
        numbers = [entry.id for entry in entries if entry.sink in known]
        return {"entries": await self._operations.redrive(numbers, by=who)}

    async def drop(self, arguments: NumbersArguments, who: str) -> Document:
        """Drop pending and dead entries that are not being sent; return their numbers."""
        return {"entries": await self._operations.drop(arguments.entries, by=who)}

    async def sinks(self) -> Document:
        """Return the sinks, with what they ask for and what waits for them."""
        settings = self._settings()
        return {"sinks": await self._state.ask(lambda state: list(sink_documents(settings, state)))}

    async def webhooks(self, most: int) -> tuple[list[Document], bool]:
        """Return what may be shown of the oldest ``most`` webhooks, and whether there are more."""
        settings = self._settings()

        def facts(state: StateReader) -> tuple[list[Document], bool]:
            webhooks = state.webhooks()
            return _facts(webhooks[:most], settings, state), len(webhooks) > most

        return await self._state.ask(facts)

    async def webhook(self, webhook_id: str) -> Document:
        """Return what may be shown of a webhook."""
        settings = self._settings()

        def facts(state: StateReader) -> Document:
            wanted = [one for one in state.webhooks() if one.id == webhook_id]
            if not wanted:
                raise NotFound(f"there is no webhook {webhook_id!r:.80}")
            return _facts(wanted, settings, state)[0]

        return await self._state.ask(facts)

    async def pause(self, arguments: SinkArguments, who: str) -> Document:
        """Pause deliveries to a sink; return its state."""
        _sink(self._settings(), arguments.name)
        return {"condition": (await self._operations.pause(arguments.name, by=who)).word}

    async def resume(self, arguments: SinkArguments, who: str) -> Document:
        """Resume deliveries to a sink; return the state that it had."""
        _sink(self._settings(), arguments.name)
        return {"was": (await self._operations.resume(arguments.name, by=who)).word}

    async def test(self, arguments: SinkTestArguments) -> Document:
        """Send a synthetic event to a sink; return the requests, with secrets masked, and the answers."""
        settings, sends = self._settings(), not arguments.dry_run
        sink = _sink(settings, arguments.name)
        name = EVENT_NAMES[arguments.event or sink.events[0]].name
        if sink.type == "webhook" and sends:  # a deletion has to end it
            return _shown(await self._webhooks.trial(sink.name, arguments.event))
        return _shown(await try_out(sink, settings, name, sends=sends), sends=sends)

    async def test_webhook(self, webhook_id: str) -> Document:
        """Send a synthetic event to a webhook; return the requests, with secrets masked, and the answers."""
        return _shown(await self._webhooks.trial(webhook_id))

    async def _event(self, event_id: str) -> Event:
        event = await self._state.load_event(event_id)
        if event is None:
            raise NotFound(f"there is no event {event_id!r:.80}")
        return event


def _shown(trial: Trial, *, sends: bool = True) -> Document:
    document = trial_document(trial, sends=sends)
    return {**document, "detail": document["detail"] and without_addresses(document["detail"])}


def _facts(webhooks: Iterable[Webhook], settings: Settings, state: StateReader) -> list[Document]:
    """Return what may be shown of webhooks, with what waits for them."""
    sinks = {sink.name: sink for sink in settings.sinks}
    summaries, conditions = state.summaries(), state.conditions()

    def facts(webhook: Webhook) -> Document:
        summary = summaries.get(webhook.id) or SinkSummary(webhook.id)
        condition = condition_word(sinks.get(webhook.id), conditions.get(webhook.id, RUNNING))
        waits = {"pending": summary.pending, "dead": summary.dead, "condition": condition}
        return {**redacted_webhook(webhook, settings.webhooks), **waits}

    return list(map(facts, webhooks))


def _sink(settings: Settings, name: str) -> SinkSettings:
    for sink in settings.sinks:
        if sink.name == name:
            return sink
    raise NotFound(f"no sink is called {name!r:.80}")


def _page(
    items: Iterator[T], is_wanted: Callable[[T], bool], arguments: PageArguments
) -> tuple[list[T], T | None]:
    """Return the wanted items of a page, and the last item that was looked at, if there may be more."""
    found: list[T] = []
    last: T | None = None
    for last in islice(items, _MOST_SCANNED):
        if is_wanted(last):
            found.append(last)
        if len(found) == arguments.limit:
            return found, last
    return found, None if next(items, None) is None else last


def _is_of(event: Event, name: str) -> bool:
    return name in {event.model_name, event.changed.get("previous_name")}


def _paged(name: str, documents: list[Document], cursor: str | None) -> Document:
    return {name: documents, **({"next_cursor": cursor} if cursor else {})}


def _is_asked_for(event: Event, arguments: EventsArguments) -> bool:
    if arguments.since is not None and event.observed_at < arguments.since:
        return False
    if arguments.until is not None and event.observed_at > arguments.until:
        return False
    return match(event, Route("", arguments.type or _EVERY, arguments.model)) is not None


def _is_wanted(entry: Entry, arguments: EntriesArguments) -> bool:
    is_of_sink = not arguments.sink or entry.sink in arguments.sink
    return is_of_sink and (not arguments.status or entry.status.value in arguments.status)


def _number(cursor: str) -> int | None:
    """Return the number in a cursor.

    Raises:
        InvalidArgument: it is no cursor of a list of entries.
    """
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 20):  # noqa: PLR2004 - digits of 64 bits
        msg = "cursor: is none: give next_cursor of the page before"
        raise InvalidArgument(msg)
    return int(cursor)
