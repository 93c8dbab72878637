"""Events and what receivers read of them."""

import json

import pytest

from bridge.diff.registry_changes import Change, Flag
from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.delivery_signatures import SIGNATURES, mlflow_signature
from bridge.events.event import Event, event_of
from bridge.events.event_names import EVENT_NAMES
from bridge.events.formats import default_payload, mlflow_body, webhook_id

TRANSITION = Change(
    K.TRANSITIONED, "m", 1, "3", 2, before="Staging", after="Production", changed_at=1678886400000
)


def event(change: Change = TRANSITION) -> Event:
    return event_of(change, "id-1", "lane", 5)


def body(change: Change) -> dict[str, object]:
    payload = json.loads(mlflow_body(event(change), change.kind.value, "ci"))
    return {key: value for key, value in payload.items() if key not in {"event", "timestamp", "webhook_id"}}


def test_a_transition_has_exactly_the_eight_members_of_the_contract_in_order() -> None:
    payload = json.loads(mlflow_body(event(), TRANSITION.kind.value, "ci"))

    assert [
        ("event", "MODEL_VERSION_TRANSITIONED_STAGE"),
        ("timestamp", 1678886400000),
        ("model_name", "m"),
        ("model_version", "3"),
        ("to_stage", "Production"),
        ("from_stage", "Staging"),
        ("user_id", None),
        ("webhook_id", webhook_id("ci")),
    ] == list(payload.items())


def test_a_webhook_id_is_a_function_of_the_name_that_never_changes() -> None:
    assert webhook_id("ci") == "520c5a24-43ca-5a58-9570-56dee4a4aefb"
    assert webhook_id("ci") != webhook_id("cd")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change(K.MODEL_CREATED, "m", 1, details=(("description", "d"),)), {"description": "d"}),
        (Change(K.MODEL_DELETED, "m", 1), {}),
        (Change(K.MODEL_RENAMED, "m", 1, before="old", after="m"), {"previous_name": "old"}),
        (
            Change(K.MODEL_UPDATED, "m", 1, before="a", after="b"),
            {"description": "b", "previous_description": "a"},
        ),
        (
            Change(K.MODEL_TAG_SET, "m", 1, key="k", after="v"),
            {"key": "k", "value": "v", "previous_value": None},
        ),
        (Change(K.MODEL_TAG_DELETED, "m", 1, key="k", before="v"), {"key": "k", "previous_value": "v"}),
        (Change(K.VERSION_DELETED, "m", 1, "2"), {"model_version": "2"}),
        (
            Change(K.STATUS_CHANGED, "m", 1, "2", before="A", after="B"),
            {"model_version": "2", "status": "B", "previous_status": "A"},
        ),
        (
            Change(K.ALIAS_SET, "m", 1, "2", key="champion", before="1", after="2"),
            {"model_version": "2", "alias": "champion", "previous_version": "1"},
        ),
        (
            Change(K.ALIAS_DELETED, "m", 1, "2", key="champion", before="2"),
            {"model_version": "2", "alias": "champion"},
        ),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Change) else "",
)
def test_the_other_events_say_what_changed(change, expected) -> None:
    assert {"model_name": "m", "user_id": None, **expected} == body(change)


def test_a_user_that_the_registry_records_is_named() -> None:
    change = Change(K.VERSION_DELETED, "m", 1, "2", user_id="ann")

    assert body(change)["user_id"] == "ann"


def test_an_event_survives_its_document() -> None:
    original = event(Change(K.TRANSITIONED, "m", 1, "3", flags=(Flag.FIRST_SEEN,)))

    assert original == Event.from_document(json.loads(json.dumps(original.to_document())))


def test_a_document_of_a_later_version_is_read() -> None:
    assert event() == Event.from_document({**event().to_document(), "later": 1})


def test_text_that_is_no_unicode_is_sent_as_escapes() -> None:
    raw = mlflow_body(event(Change(K.MODEL_DELETED, "\ud800\N{SNOWMAN}", 1)), "X", "ci")

    assert json.loads(raw)["model_name"] == "\ud800\N{SNOWMAN}"


def test_the_github_payload_names_the_delivery_instead_of_the_webhook() -> None:
    payload = default_payload(event(), "MODEL_VERSION_TRANSITIONED_STAGE", ("delivery_id", "id-1"))

    assert list(payload.items())[-1] == ("delivery_id", "id-1")
    assert len(payload) == 8


def test_a_signature_is_that_of_mlflow_own_webhooks() -> None:
    expected = "v1,3CH39uZxMTTZBV9mdW9gtiSAvyyKNbQXkIxpNKFkcco="

    assert expected == mlflow_signature("secret", "id", 1_700_000_000, b'{"a":1}')


def test_the_signature_none_adds_nothing() -> None:
    assert SIGNATURES["none"].sign((), "id", 1, b"") == {}


def test_every_event_of_the_contract_has_a_name_and_databricks_and_mlflow_names_work() -> None:
    assert set(K) <= {name.kind for name in EVENT_NAMES.values()}
    assert EVENT_NAMES["MODEL_VERSION_TRANSITIONED_TO_PRODUCTION"].to_stage == "Production"
    assert EVENT_NAMES["model_version_alias.created"].name == "MODEL_VERSION_ALIAS_SET"
