"""What comes from outside changes nothing of the page but texts."""

from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from support.page_reader import Node, read
from support.page_story import NOW

from bridge.delivery.outbox_entry import Entry, Status
from bridge.diff.registry_changes import ChangeKind
from bridge.events.display_text import visible
from bridge.events.event import Event
from bridge.server.page.page_templates import shortened
from bridge.server.page.status_page import render
from bridge.server.page.status_page_data import DeadLetter, View
from bridge.store.state_metadata import AttemptRecord, PollRecord

HOSTILE = st.one_of(
    st.text(max_size=600), st.sampled_from(["<script>", "\ud800", "\u202e", "a\n" * 250, '"><x y="'])
)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_whatever_the_registry_and_receivers_say_the_page_stays_what_it_is(name, value, detail) -> None:
    shown, usual = read(render(_told(name, value, detail))), read(render(_told("m", "v", "d")))

    assert _skeleton(shown) == _skeleton(usual)


@given(HOSTILE)
def test_what_is_shown_is_the_text_with_its_invisible_characters_made_visible(name) -> None:
    document = render(_told(name, "v", "d")).decode("utf-8")
    model = next(one for one in read(document).within("timeline").all("a"))

    assert model.text == visible(shortened(name))
    assert not {character for character in document if not character.isprintable()} - {"\n"}


@given(HOSTILE)
def test_a_link_to_a_model_leads_to_nothing_else(name) -> None:
    model = next(one for one in read(render(_told(name, "v", "d"))).within("timeline").all("a"))
    target = urlsplit(model.attributes["href"])

    assert (target.scheme, target.netloc, target.path, target.fragment) == ("", "", "./models", "")
    assert parse_qsl(target.query, keep_blank_values=True) == [("name", name.replace("\ud800", "?"))]


def _told(name: str, value: str, detail: str) -> View:
    """Return a view in which the registry and a receiver say such things wherever they can."""
    tag = {"key": "k", "value": value or "v", "previous_value": name}
    event = Event("e", ChangeKind.VERSION_TAG_SET, 1, 1, name, name, value, None, tag)
    dead = Entry(
        1, "ci", name, "e", "MODEL_VERSION_TAG_SET", 1, Status.DEAD, 1, reason="refused", detail=detail
    )
    pending = {"pending": 1, "dead": 0, "delivered": 0, "oldest_age_seconds": 900, "last_attempt_at": 1}
    stopped = {"condition": "stopped", "condition_since": 1, "condition_why": detail or "d"}
    sink = {
        "name": "ci",
        "type": "http",
        "to": name or "x",
        "next_attempt_seconds": None,
        "last_detail": detail,
    }
    return View(
        NOW,
        {"uri": name, "workspace": value or "w", "server": detail or "3", "lacks": [], "abilities": {}},
        PollRecord(1, "failed", 1, error=detail or "d"),
        held={"why": detail or "d", "digest": "1"},
        sinks=[{**sink, **pending, **stopped, "last_outcome": "gone"}],
        events=[event],
        entries=[dead],
        dead=[DeadLetter(dead, [AttemptRecord(1, 1, "refused", 400, detail)], event)],
    )


def _skeleton(node: Node) -> list:
    """Return the elements and which attributes they have; that a long text has its whole beside it is meant."""
    return [(one.tag, sorted(one.attributes.keys() - {"title"})) for one in node.all()]
