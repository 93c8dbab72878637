"""The status page of the daemon: what is seen of it in the event loop, in next to no time."""

from collections.abc import Mapping
from http import HTTPStatus

from bridge.config import ServerSettings, Settings
from bridge.daemon.reload import Configuration
from bridge.report import full_scan, hold, registry_facts, sink_rows
from bridge.server.hosts import is_welcome
from bridge.server.http import Answer, Asked, Later, Page, told
from bridge.server.page.document import TYPE, refresh_of, render
from bridge.server.page.view import DeadLetter, Pulse, View
from bridge.server.probes import Probes
from bridge.store.state import State

MOST_EVENTS = 100
MOST_ENTRIES = 1_000
MOST_DEAD = 20
MOST_ATTEMPTS = 10
"""How much is shown: the page tells what is so now, the commands tell all."""

_STRANGER = (
    "the status page answers to addresses, to names without a dot and to those in server.hosts: "
    "ask by another name, or add this one to the configuration"
)


def status_pages(configuration: Configuration, state: State, probes: Probes) -> Mapping[str, Page]:
    """Return the status page, unless it is switched off."""
    server = configuration.settings.server
    if server is None:
        return {}
    state.summaries()  # counts the outbox once, before anybody waits for it, be it for the metrics
    if not server.page:
        return {}

    def page() -> Later:
        view = look(configuration.settings, state, probes)
        return lambda asked: _answer(view, server, asked)

    return {"/": page}


def _answer(view: View, server: ServerSettings, asked: Asked) -> Answer:
    """Return the page; made in the server's thread, while the loop goes on."""
    if not is_welcome(asked.host, {server.address[0].lower(), *server.hosts}):
        return told(HTTPStatus.MISDIRECTED_REQUEST, _STRANGER)
    return HTTPStatus.OK, TYPE, render(view, refresh_of(asked.query))


def look(settings: Settings, state: State, probes: Probes) -> View:
    """Return what the page shows. What that costs grows neither with the registry nor with the history."""
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
    )


def _pulse(probes: Probes) -> Pulse:
    polling_for, next_in = probes.polling_for_s(), probes.next_poll_in_s()
    return Pulse(
        None if polling_for is None else round(polling_for * 1000),
        None if next_in is None else round(next_in * 1000),
        is_polling_stuck=not probes.is_making_progress(),
        is_relay_stuck=probes.relay_is_stuck(),
    )


def _dead_letters(state: State) -> list[DeadLetter]:
    return [
        DeadLetter(entry, state.attempts(entry)[-MOST_ATTEMPTS:], state.event(entry.event_id))
        for entry in state.newest_dead(MOST_DEAD)
    ]
