"""The daemon's status page: take a snapshot of the state in the event loop, and render it in the server's threads."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from threading import Lock

import structlog

from bridge.config import ServerSettings, Settings
from bridge.daemon.configuration_reload import Configuration
from bridge.operations.status_report import full_scan, hold, registry_facts, sink_rows
from bridge.pipeline.clocks import Clock
from bridge.server.health_probes import Probes
from bridge.server.host_header_check import is_welcome
from bridge.server.http_application import Answer, Later, Page, PageRequest, text_answer
from bridge.server.page.page_templates import TYPE
from bridge.server.page.status_page import refresh_of, render
from bridge.server.page.status_page_data import DeadLetter, Pulse, View
from bridge.store.base import State
from bridge.store.state_reader import StateReader

log = structlog.get_logger(__name__)

MOST_EVENTS = 100
MOST_ENTRIES = 1_000
MOST_DEAD = 20
MOST_ATTEMPTS = 10
"""How many events, entries, dead letters and attempts the page shows; the commands show all."""

_MEND = "it has no authentication: set server.page = false, or true if only those reach it who may"
_STRANGER = (
    "the status page answers to addresses, to names without a dot and to those in server.hosts: "
    "ask by another name, or add this one to the configuration"
)


_LASTS_S = 1.0
"""How long a snapshot is reused, so that frequent requests do not slow down the poll and the relay."""


def status_page(configuration: Configuration, state: State, probes: Probes) -> Page | None:
    """Return the status page; None if there is no server, or its pages are switched off."""
    server = configuration.settings.server
    if server is None or not server.page:
        return None
    if not server.tokens and not server.is_loopback and "page" not in server.model_fields_set:
        log.warning("server.page_unprotected", address=server.listen, mend=_MEND)
    return _StatusPage(
        server,
        probes.clock,
        lambda: state.ask(
            lambda reader: take_snapshot(configuration.settings, reader, probes, configuration.refusal)
        ),
    )


class _StatusPage:
    """Takes snapshots in the event loop; each is rendered in the thread of a request."""

    def __init__(self, server: ServerSettings, clock: Clock, see: Callable[[], Awaitable[View]]) -> None:
        self._names = frozenset({server.address[0].lower(), *server.hosts})
        self._clock = clock
        self._see = see
        self._at = float("-inf")
        self._rendering = Rendering(View(0, {}))

    async def __call__(self) -> Later:
        now = self._clock.monotonic()
        if now - self._at >= _LASTS_S:
            rendering = Rendering(await self._see())
            self._at, self._rendering = now, rendering
        rendering = self._rendering
        return lambda asked: self._answer(rendering, asked)

    def _answer(self, rendering: "Rendering", asked: PageRequest) -> Answer:
        if not is_welcome(asked.host, self._names):
            return text_answer(HTTPStatus.MISDIRECTED_REQUEST, _STRANGER)
        return HTTPStatus.OK, TYPE, rendering.page(refresh_of(asked.query))


class Rendering:
    """One snapshot, rendered at most once for each refresh interval."""

    def __init__(self, view: View) -> None:
        """Prepare to render ``view``."""
        self._view = view
        self._pages: dict[int | None, bytes] = {}
        self._turn = Lock()

    def page(self, refresh_s: int | None) -> bytes:
        """Return the page; concurrent requests wait for its rendering."""
        with self._turn:
            if refresh_s not in self._pages:
                self._pages[refresh_s] = render(self._view, refresh_s)
            return self._pages[refresh_s]


def take_snapshot(settings: Settings, state: StateReader, probes: Probes, refusal: str = "") -> View:
    """Return the snapshot for the page. Its cost grows neither with the registry nor with the history."""
    now_ms = probes.clock.now_ms()
    poll, events = state.last_poll, state.newest_events(MOST_EVENTS)
    return View(
        now_ms,
        registry_facts(settings, state),
        poll,
        full_scan(settings, state, now_ms),
        hold(poll),
        sink_rows(settings, state, now_ms),
        _pulse(probes),
        events,
        state.newest_entries(MOST_ENTRIES),
        has_all_entries=state.count_entries() <= MOST_ENTRIES,
        dead=_dead_letters(state),
        is_full=len(events) == MOST_EVENTS,
        refusal=refusal,
    )


def _pulse(probes: Probes) -> Pulse:
    polling_for, next_in = probes.polling_for_s(), probes.next_poll_in_s()
    return Pulse(
        None if polling_for is None else round(polling_for * 1000),
        None if next_in is None else round(next_in * 1000),
        is_polling_stuck=not probes.is_making_progress(),
        is_relay_stuck=probes.relay_is_stuck(),
    )


def _dead_letters(state: StateReader) -> list[DeadLetter]:
    return [
        DeadLetter(entry, state.attempts(entry)[-MOST_ATTEMPTS:], state.event(entry.event_id))
        for entry in state.newest_dead(MOST_DEAD)
    ]
