"""Formats, judged by those who read them: MLflow's own code, and the official SDKs."""

import json
import re
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from cloudevents.http import from_http
from hypothesis import given
from hypothesis import strategies as st
from support.golden import CHANGED_AT, SENT_AT, request, sample, told
from support.values import transition

from bridge.events.event_names import EVENT_NAMES
from bridge.events.formats import FORMATS, formats_for, mlflow_body, unsupported_events

TRANSITION = "MODEL_VERSION_TRANSITIONED_STAGE"
NATIVE = {
    "REGISTERED_MODEL_CREATED": "registered_model.created",
    "MODEL_VERSION_CREATED": "model_version.created",
    "MODEL_VERSION_TAG_SET": "model_version_tag.set",
    "MODEL_VERSION_TAG_DELETED": "model_version_tag.deleted",
    "MODEL_VERSION_ALIAS_SET": "model_version_alias.created",
    "MODEL_VERSION_ALIAS_DELETED": "model_version_alias.deleted",
}


def body(name: str, event_name: str) -> dict:
    return json.loads(request(name, event_name).body)


def from_mlflow(monkeypatch, native: str, **webhook) -> tuple[dict, dict]:
    """Have MLflow send the example of an event; return headers and body."""
    from mlflow.entities.webhook import WebhookEvent
    from mlflow.webhooks import delivery, types

    monkeypatch.setattr(delivery, "_validate_webhook_url", lambda _: None)
    sent = {}
    session = SimpleNamespace(post=lambda _url, **request: sent.update(request))
    event = WebhookEvent.from_str(native)
    payload = types.get_example_payload_for_event(event)
    hook = SimpleNamespace(url="https://h", secret=None, workspace=None, **webhook)
    delivery._send_webhook_request(hook, payload, event, session)
    return sent["headers"], json.loads(sent["data"])


@pytest.mark.parametrize(("name", "native"), NATIVE.items())
def test_mlflow3_has_the_members_and_headers_of_mlflow_own_webhooks_in_their_order(
    name, native, monkeypatch
) -> None:
    headers, theirs = from_mlflow(monkeypatch, native)

    sent = request("mlflow3", name)
    ours = json.loads(sent.body)
    assert (list(ours), list(ours["data"])) == (list(theirs), list(theirs["data"]))
    assert (ours["entity"], ours["action"]) == (theirs["entity"], theirs["action"])
    assert f"{ours['entity']}.{ours['action']}" == native
    for key, value in theirs["data"].items():
        assert isinstance(ours["data"][key], type(value) | None), key
    assert set(sent.headers) == set(headers)
    assert sent.headers["X-MLflow-Timestamp"] == str(SENT_AT // 1000)
    assert len(ours["timestamp"]) == len("2023-03-15T13:20:00.000000+00:00")
    assert (
        datetime.fromisoformat(ours["timestamp"]).utcoffset()
        == datetime.fromisoformat(theirs["timestamp"]).utcoffset()
    )


def test_mlflow3_tells_of_exactly_what_mlflow_names() -> None:
    assert set(told("mlflow3")) == set(NATIVE)


def test_databricks_has_the_documented_body_of_a_transition() -> None:
    assert list(body("databricks", TRANSITION)) == [
        "event", "webhook_id", "event_timestamp", "model_name", "version", "to_stage", "from_stage", "text",
    ]  # fmt: skip
    assert body("databricks", TRANSITION)["event_timestamp"] == CHANGED_AT


def test_databricks_has_the_documented_body_of_a_tag() -> None:
    found = body("databricks", "MODEL_VERSION_TAG_SET")

    assert found["tags"] == [{"key": "validated", "value": "true"}]
    assert (found["version"], found["text"].startswith("A user set version tag(s)")) == ("7", True)


def test_databricks_text_names_whom_the_registry_records() -> None:
    event = replace(sample("MODEL_VERSION_TAG_SET"), user_id="ann")

    rendered = FORMATS["databricks"].render(event, "MODEL_VERSION_TAG_SET", "ci", 1)

    assert json.loads(rendered.content)["text"].startswith("ann set version tag(s) 'validated' => 'true'")


@pytest.mark.parametrize("name", told("registry"))
def test_registry_has_the_members_of_the_default_body_and_those_of_databricks(name) -> None:
    ours, default = body("registry", name), body("mlflow", name)

    assert default.items() <= ours.items()
    assert (ours["event_timestamp"], ours.get("version")) == (ours["timestamp"], ours.get("model_version"))
    assert re.fullmatch(r"\S[^{}]*\.", ours["text"])
    if name in told("databricks"):
        assert body("databricks", name).items() <= ours.items()


def test_registry_tells_a_transition_that_happened_by_its_type_and_nothing_else_has_one() -> None:
    typed = {name: body("registry", name).get("webhook_type") for name in told("registry")}

    assert {name for name, kind in typed.items() if kind == "TRANSITION_COMPLETED"} == {
        name for name in typed if "TRANSITIONED" in name
    }
    assert set(typed.values()) == {None, "TRANSITION_COMPLETED"}


@given(st.text(), st.text())
def test_registry_puts_names_into_its_sentence_as_they_are(name, key) -> None:
    event = replace(sample("MODEL_VERSION_ALIAS_SET"), model_name=name, changed={"alias": key})

    text = json.loads(FORMATS["registry"].render(event, "MODEL_VERSION_ALIAS_SET", "ci", 1).content)["text"]

    assert text == f"A user set alias '{key}' to registered model '{name}' version 7."


@pytest.mark.parametrize("name", told("standard"))
def test_standard_is_type_timestamp_and_data_and_says_in_headers_which_message_it_is(name) -> None:
    sent = request("standard", name)
    found = json.loads(sent.body)

    assert list(found) == ["type", "timestamp", "data"]
    assert (found["type"], found["data"]) == (name, body("mlflow", name))
    assert sent.headers["webhook-id"] == sample(name).id
    assert sent.headers["webhook-timestamp"] == str(SENT_AT // 1000)


@pytest.mark.parametrize("form", ["cloudevents", "cloudevents-binary"])
@pytest.mark.parametrize("name", told("cloudevents"))
def test_the_sdk_of_cloudevents_reads_what_was_meant(form, name) -> None:
    sent = request(form, name)

    found = from_http(dict(sent.headers), sent.body)

    assert (found["specversion"], found["id"], found["type"]) == ("1.0", sample(name).id, name)
    assert (found["source"], found["datacontenttype"]) == ("/mlflow-bridge/ci", "application/json")
    assert found["subject"].startswith("models:/fraud-detector")
    assert datetime.fromisoformat(found["time"]).timestamp() * 1000 == sample(name).timestamp
    assert found.data == body("mlflow", name)


def test_structured_cloudevents_have_their_content_type() -> None:
    assert request("cloudevents", TRANSITION).headers["Content-Type"] == "application/cloudevents+json"


def test_a_header_of_cloudevents_is_percent_encoded_as_the_binding_says() -> None:
    event = transition(model='caf\N{LATIN SMALL LETTER E WITH ACUTE} "5%" \N{KEY}/~')

    headers = FORMATS["cloudevents-binary"].render(event, TRANSITION, "ci", 1).headers

    assert headers["ce-subject"] == "models:/caf%C3%A9%20%225%25%22%20%F0%9F%94%91/~/1"
    assert unquote(headers["ce-subject"]) == f"models:/{event.model_name}/1"


hostile = st.text(max_size=20) | st.text(st.characters(categories=["Cs", "Cc", "Cn"]), max_size=5)


@given(name=hostile, value=hostile, ms=st.integers(-(2**63), 2**63))
@pytest.mark.parametrize("form", FORMATS)
def test_nothing_in_a_registry_keeps_a_format_from_making_a_request(form, name, value, ms) -> None:
    for asked in told(form):
        event = sample(asked)
        changed = dict.fromkeys(event.changed, value)
        odd = replace(event, model_name=name, timestamp=ms, changed=changed)

        rendered = FORMATS[form].render(odd, asked, "ci", 1_700_000_000_000)

        assert rendered.content.isascii()
        assert json.loads(rendered.content)
        for header in rendered.headers.values():
            assert all("!" <= char <= "~" for char in header)


def test_which_formats_can_tell_of_what_is_known() -> None:
    kinds = [EVENT_NAMES["REGISTERED_MODEL_RENAMED"].kind]

    assert formats_for(kinds) == ["mlflow", "registry", "standard", "cloudevents", "cloudevents-binary"]
    assert unsupported_events("mlflow3", [TRANSITION, "model_version.created"]) == [TRANSITION]


def test_the_default_body_is_the_body_of_binary_cloudevents() -> None:
    event = sample(TRANSITION)

    assert request("cloudevents-binary", TRANSITION).body == mlflow_body(event, TRANSITION, "ci")
