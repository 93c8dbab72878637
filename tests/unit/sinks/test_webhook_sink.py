"""The sinks of webhooks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hooks import TRANSITION, settings_of

from bridge.config import WebhookSettings, access_of, routes_of
from bridge.delivery.event_routing import selects
from bridge.delivery.webhook import Webhook, WebhookStatus
from bridge.sinks.http.webhook_sink import sink_of_webhook, with_webhooks

ID = "0123456789abcdef0123456789abcdef"


def webhook(**more) -> Webhook:
    return Webhook(**{"id": ID, "events": (TRANSITION,), "url": "https://ci.example.com/x", **more})


def test_a_webhook_is_stored_and_read_again() -> None:
    full = webhook(model_name="m", description="d", status=WebhookStatus.TEST_MODE, secret="c", created_at=1)

    assert Webhook.from_document({**full.to_document(), "later": 1}) == full


def test_its_sink_is_among_the_others_under_its_id() -> None:
    file = {"name": "ci", "type": "http", "url": "https://h"}
    settings = settings_of(sinks=[file])

    sinks = with_webhooks(settings, [webhook()]).sinks

    assert [(sink.name, sink.type) for sink in sinks] == [("ci", "http"), (ID, "webhook")]
    assert with_webhooks(with_webhooks(settings, [webhook()]), [webhook()]).sinks == sinks
    assert sinks[1].origin() == "https://ci.example.com"


def test_switched_off_there_are_none() -> None:
    settings = settings_of().model_copy(update={"webhooks": None})

    assert with_webhooks(settings, [webhook()]).sinks == ()


@pytest.mark.parametrize(
    ("change", "gets"),
    [
        ({}, True),
        ({"status": WebhookStatus.DISABLED}, False),
        ({"status": WebhookStatus.TEST_MODE}, False),
        ({"events": ("COMMENT_CREATED",)}, False),
        ({"events": ("COMMENT_CREATED", TRANSITION)}, True),
    ],
)
def test_events_are_routed_to_an_active_one_alone(change, gets) -> None:
    settings = with_webhooks(settings_of(), [webhook(**change)])

    assert [sink.gets_events for sink in settings.sinks] == [gets]
    assert [(way.sink, way.events) for way in routes_of(settings)] == [(ID, (TRANSITION,))] * gets


@given(st.text(st.characters(exclude_characters="\0"), min_size=1), st.text())
def test_it_is_about_the_model_of_exactly_that_name(name, other) -> None:
    (way,) = routes_of(with_webhooks(settings_of(), [webhook(model_name=name)]))

    assert selects(way.models, name)
    assert selects(way.models, other) == (other == name)


@pytest.mark.parametrize("name", ["!fraud", "fraud-*", "[ab]", "?", "!", "!*", "a[!b]c"])
def test_a_name_is_no_glob(name) -> None:
    (way,) = routes_of(with_webhooks(settings_of(), [webhook(model_name=name)]))

    assert selects(way.models, name)
    assert not any(selects(way.models, other) for other in ("fraud", "fraud-x", "a", "b", "x", "", "abc"))


PRIVATE, OUTSIDE = ("hook.example", "10.0.0.1"), ("hook.example", "8.8.8.8")


@pytest.mark.parametrize(
    ("webhooks", "delivery", "key", "taken"),
    [
        (None, None, "webhooks.allowed_hosts", [OUTSIDE]),
        (["10.0.0.0/8"], None, "webhooks.allowed_hosts", [PRIVATE]),
        (["10.0.0.0/8", "public"], None, "webhooks.allowed_hosts", [PRIVATE, OUTSIDE]),
        (None, ["10.0.0.0/8"], "delivery.allowed_hosts", [PRIVATE]),
        (["public"], ["10.0.0.0/8"], "webhooks.allowed_hosts", [OUTSIDE]),
    ],
)
def test_where_it_may_point_to(webhooks, delivery, key, taken) -> None:
    settings = settings_of(
        {"allowed_hosts": webhooks} if webhooks else {},
        delivery={"allowed_hosts": delivery} if delivery else {},
    )
    access = access_of(sink_of_webhook(webhook(), settings.webhooks), settings.delivery)

    assert access.hosts_key == key
    assert [place for place in (PRIVATE, OUTSIDE) if access.targets.take(*place)] == taken


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"]
)
def test_no_name_leads_it_inside(address) -> None:
    access = access_of(sink_of_webhook(webhook(), WebhookSettings()), settings_of().delivery)

    assert not access.targets.take("rebound.example", address)
