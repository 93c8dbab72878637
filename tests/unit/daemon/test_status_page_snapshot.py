"""The daemon's status page: what is seen of it, and whom it is shown to."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus

import pytest
from structlog.testing import capture_logs
from support.done import done
from support.page_reader import read
from support.page_story import NOW, Story
from support.values import transition
from support.world import World

from bridge.config import Settings
from bridge.config.file_loading import build
from bridge.daemon import status_page_snapshot as module
from bridge.daemon.configuration_reload import Configuration
from bridge.daemon.status_page_snapshot import (
    MOST_DEAD,
    MOST_ENTRIES,
    MOST_EVENTS,
    status_page,
    take_snapshot,
)
from bridge.delivery.outbox_entry import Status
from bridge.errors import ConfigurationError
from bridge.server.http_application import PageRequest
from bridge.server.page.page_templates import TYPE
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.poll_commit import EVENTS, MODELS, OUTBOX


@pytest.fixture(autouse=True)
def token(monkeypatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret")


def settings(**server) -> Settings:
    return build(
        {"registry": {"tracking_uri": "http://h"}, "server": {"listen": "[::1]:1", **server}}, SETTINGS
    )


def pages(given: Settings, story: Story | None = None):
    story = story or Story()
    return status_page(Configuration(given, lambda: given), story.state, story.probes)


def test_it_is_shown_unless_it_is_switched_off() -> None:
    page = pages(settings())
    status, kind, body = done(page())(PageRequest("localhost:1", "refresh=30"))

    assert (status, kind) == (HTTPStatus.OK, TYPE)
    assert read(body).all("meta")[-1].attributes == {"http-equiv": "refresh", "content": "30"}
    assert pages(settings(page=False)) is None
    assert pages(build({"registry": {"tracking_uri": "http://h"}}, SETTINGS)) is None


def test_a_configuration_that_was_refused_shows() -> None:
    story = Story()
    configuration = Configuration(settings(), _refuse)
    page = status_page(configuration, story.state, story.probes)
    assert configuration.reload() is False

    body = done(page())(PageRequest())[2]

    assert b"The configuration was changed, and refused" in body
    assert b"sinks[0].url: is missing" in body


def _refuse() -> Settings:
    raise ConfigurationError(["sinks[0].url: is missing"])


def test_a_name_that_a_stranger_may_own_gets_nothing() -> None:
    page = pages(settings(hosts=["Bridge.example.com"]))
    refused = done(page())(PageRequest("evil.example:9464"))

    assert refused[:2] == (HTTPStatus.MISDIRECTED_REQUEST, "text/plain; charset=utf-8")
    assert b"server.hosts" in refused[2]
    assert done(page())(PageRequest("bridge.example.com"))[0] is HTTPStatus.OK


def test_the_name_that_it_listens_on_is_its_own() -> None:
    given = build(
        {"registry": {"tracking_uri": "http://h"}, "server": {"listen": "bridge.internal:1"}}, SETTINGS
    )
    page = pages(given)

    assert done(page())(PageRequest("bridge.internal:1"))[0] is HTTPStatus.OK


@pytest.mark.parametrize("name", ["http://x", "x:80", "", "a b", "-x", "x/"])
def test_a_host_that_is_no_name_is_refused(name) -> None:
    with pytest.raises(ConfigurationError, match=r"server\.hosts\[0\]: must be a name"):
        settings(hosts=[name])


def test_asked_again_at_once_it_is_the_same_page_and_nobody_looks() -> None:
    story = Story()
    page = pages(settings(), story)
    first = done(page())(PageRequest())
    story.clock.sleep(0.9)

    assert done(page())(PageRequest())[2] is first[2]
    assert (
        b"refreshing every 30 s" in done(page())(PageRequest(query="refresh=30"))[2]
    )  # the same view, shown another way
    story.clock.sleep(0.2)
    later = done(page())(PageRequest())
    assert later[2] != first[2]
    assert b"03:02:12Z" in later[2]


def test_it_is_made_once_for_all_who_wait_for_it(monkeypatch) -> None:
    made = []
    monkeypatch.setattr(module, "render", lambda *of: made.append(of) or b"page")
    rendering = module.Rendering(Story().view())
    with ThreadPoolExecutor(8) as many:
        found = list(many.map(rendering.page, [None] * 8))

    assert (found, len(made)) == ([b"page"] * 8, 1)


@pytest.mark.parametrize(
    ("server", "warned"),
    [
        ({}, 0),
        ({"listen": "127.0.0.53:1"}, 0),
        ({"listen": "localhost:1"}, 0),
        ({"listen": "0.0.0.0:1"}, 1),
        ({"listen": "[::]:1"}, 1),
        ({"listen": "0.0.0.0:1", "page": True}, 0),
        ({"listen": "0.0.0.0:1", "page": False}, 0),
    ],
)
def test_who_opens_it_to_others_without_meaning_to_is_warned(server, warned) -> None:
    with capture_logs() as logs:
        pages(settings(**server))

    assert [line["event"] for line in logs] == ["server.page_unprotected"] * warned


def test_it_shows_the_settings_in_force() -> None:
    story = Story()
    configuration = Configuration(story.settings, lambda: story.settings)
    configuration.settings = replace_server(story.settings)
    page = status_page(configuration, story.state, story.probes)
    configuration.settings = replace_server(story.settings).model_copy(update={"sinks": ()})

    rows = read(done(page())(PageRequest())[2]).within("sinks").all("tr")[1:]
    assert len(rows) == 3
    assert all("orphaned" in row.text for row in rows)


def replace_server(before: Settings) -> Settings:
    return before.model_copy(update={"server": settings().server})


class Counting(MemoryDocuments):
    """Counts the documents that were asked for."""

    looked_at = 0

    def get(self, table, key):
        self.looked_at += 1
        return super().get(table, key)

    def items(self, table):
        for one in super().items(table):
            self.looked_at += 1
            yield one

    def newest(self, table, count):
        found = super().newest(table, count)
        self.looked_at += len(found)
        return found


def test_what_a_look_costs_grows_with_nothing() -> None:
    """No table is gone through: not the models, not the events, not the outbox."""
    story = Story()
    documents = Counting()
    for table in ("meta", "sinks"):
        documents.write({table: dict(story.state._documents.items(table))})
    many = 3 * MOST_ENTRIES
    dead = replace(next(iter(story.state.newest_dead(1))), attempts=1)
    documents.write(
        {
            MODELS: {f"m{n}": {} for n in range(many)},
            EVENTS: {f"event-{n}": transition(n).to_document() for n in range(many)},
            OUTBOX: {str(n): replace(dead, id=n, event_id=f"event-{n}").to_document() for n in range(many)},
        }
    )
    state = DocumentState(documents)
    state.summaries()
    documents.looked_at = 0

    view = take_snapshot(story.settings, state, story.probes)

    assert documents.looked_at < MOST_EVENTS + MOST_ENTRIES + 5 * MOST_DEAD + 100
    assert (len(view.events), view.is_full, view.has_all_entries) == (MOST_EVENTS, True, False)
    assert [one.entry.id for one in view.dead] == list(range(many - 1, many - 1 - MOST_DEAD, -1))
    assert len(list(view.entries)) == MOST_ENTRIES


def test_what_was_seen_stays_as_it_was() -> None:
    story = Story()
    view = story.view()
    before = [entry.id for entry in story.state.entries() if entry.status is Status.PENDING]
    story.delivered(*(story.state.entry(number) for number in before))

    assert {entry.id for entry in view.entries if entry.status is Status.PENDING} == set(before)


def test_how_the_loops_do_is_seen() -> None:
    world = World()
    assert take_snapshot(world.settings, world.state, world.probes).pulse.next_poll_in is None

    world.probes.poll_began()
    world.clock.sleep(30)
    world.probes.relay_is_stuck = lambda: True
    world.probes.next_poll_in_s = lambda: 12.5
    pulse = take_snapshot(world.settings, world.state, world.probes).pulse
    assert (pulse.polling_for, pulse.next_poll_in, pulse.is_relay_stuck) == (30_000, 12_500, True)
    assert not pulse.is_polling_stuck

    world.clock.sleep(60)
    assert take_snapshot(world.settings, world.state, world.probes).pulse.is_polling_stuck


def test_what_it_tells_of_a_sink_is_what_status_tells() -> None:
    from bridge.operations.status_report import status_document

    story = Story()
    told = status_document(story.settings, story.state, NOW)
    view = story.view()

    assert json.dumps(told["sinks"]) == json.dumps(view.sinks)
    assert (told["full_scan"], told["registry"], told["held"]) == (view.scan, view.registry, view.held)
