"""``http``: method, headers, query and credentials of one's own."""

import json
from base64 import b64encode

import pytest
from pydantic import ValidationError
from support.receiver import Answer, Receiver
from support.sinks import DELIVERY, attempt, built, settings_of

from bridge.delivery.attempt_outcome import Reason, Verdict
from bridge.operations.json_serialization import trial_document
from bridge.operations.sink_trial import Trial
from bridge.sinks.transport.exchange_recorder import RecordingTransport
from bridge.sinks.transport.http_client import Client

SECRET = "s3cret&Value/+="
HERE = {"env": "SINK_SECRET"}
SIGNED = {"secret": {"env": "SIGNING"}}


@pytest.fixture(autouse=True)
def secrets(monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", SECRET)
    monkeypatch.setenv("SIGNING", "signing-secret")


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


async def send(receiver, path: str = "/hook", **more):
    return await attempt("http", url=f"{receiver.url}{path}", **more)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_the_method_is_the_one_asked_for_with_the_body_and_its_signature(method, receiver) -> None:
    outcome = await send(receiver, method=method, **SIGNED)

    (got,) = receiver.got
    assert (outcome.verdict, got.method, got.body["model_name"]) == (Verdict.DELIVERED, method, "fraud")
    assert got.headers["x-mlflow-signature"].startswith("v1,")


async def test_headers_are_added_texts_and_secrets_alike(receiver) -> None:
    await send(receiver, headers={"X-Team": "ml ops", "X-Api-Key": HERE})

    headers = receiver.got[0].headers
    assert (headers["x-team"], headers["x-api-key"]) == ("ml ops", SECRET)


async def test_the_query_is_added_to_that_of_the_url_and_escaped(receiver) -> None:
    await send(receiver, "/hook?a=1#part", query={"token": HERE, "b c": "d&e"})

    assert receiver.got[0].path == "/hook?a=1&token=s3cret%26Value%2F%2B%3D&b%20c=d%26e"


async def test_basic_and_bearer_are_what_their_rfcs_say(receiver) -> None:
    await send(receiver, basic_auth={"username": "bridge", "password": HERE})
    await send(receiver, bearer=HERE)

    first, second = (got.headers["authorization"] for got in receiver.got)
    assert first == "Basic " + b64encode(f"bridge:{SECRET}".encode()).decode()
    assert second == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    "own",
    [
        {"headers": {"X-Key": HERE}},
        {"query": {"key": HERE}},
        {"basic_auth": {"username": HERE, "password": HERE}},
        {"bearer": HERE},
    ],
    ids=str,
)
async def test_no_secret_shows_in_an_outcome_or_a_trial(own, receiver) -> None:
    receiver.answer = lambda got: Answer(
        400, {"X-Echo": got.path}, f"you sent {got.path} {json.dumps(dict(got.headers))} {SECRET}".encode()
    )
    async with Client() as client:
        recording = RecordingTransport(client)
        outcome = await built("http", recording, url=f"{receiver.url}/hook", **own).deliver(DELIVERY)

    shown = json.dumps(trial_document(Trial(tuple(recording.exchanges), outcome), sends=True)) + repr(outcome)
    encoded = b64encode(f"{SECRET}:{SECRET}".encode()).decode()
    for hidden in (SECRET, "s3cret%26Value%2F%2B%3D", encoded, "s3cret"):
        assert hidden not in shown


@pytest.mark.parametrize("own", [{"headers": {"X-Key": HERE}}, {"bearer": HERE}], ids=str)
@pytest.mark.parametrize("value", ["two\r\nX-Evil: 1", "\N{SNOWMAN}", "trailing "])
async def test_a_secret_cannot_bring_a_header_with_it(own, value, receiver, monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", value)

    outcome = await send(receiver, **own)

    assert (outcome.verdict, outcome.reason, receiver.got) == (Verdict.RETRYABLE, Reason.SECRET, [])
    assert value not in outcome.detail


@pytest.mark.parametrize(
    ("own", "key"),
    [
        ({"headers": {"X-Key": HERE}}, "headers.X-Key"),
        ({"query": {"key": HERE}}, "query.key"),
        ({"basic_auth": {"username": "x", "password": HERE}}, "basic_auth.password"),
        ({"bearer": HERE}, "bearer"),
    ],
)
async def test_each_secret_is_known_by_its_key_and_missed_by_it(own, key, receiver, monkeypatch) -> None:
    assert list(settings_of("http", url=receiver.url, **own).secrets()) == [key]
    monkeypatch.delenv("SINK_SECRET")

    outcome = await send(receiver, **own)

    assert (outcome.reason, receiver.got) == (Reason.SECRET, [])
    assert outcome.detail.startswith(f"sinks.ci.{key}: ")


@pytest.mark.parametrize(
    ("own", "key"),
    [
        ({"method": "GET"}, "method"),
        ({"method": "post"}, "method"),
        ({"headers": {"X-MLflow-Delivery-Id": "forged"}}, "headers"),
        ({"headers": {"x-mlflow-signature": "v1,forged"}}, "headers"),
        ({"headers": {"Webhook-Id": "forged"}}, "headers"),
        ({"headers": {"X-Hub-Signature-256": "forged"}}, "headers"),
        ({"headers": {"X-Databricks-Signature": "forged"}}, "headers"),
        ({"headers": {"ce-id": "forged"}}, "headers"),
        ({"headers": {"Host": "elsewhere"}}, "headers"),
        ({"headers": {"Content-Length": "0"}}, "headers"),
        ({"headers": {"X-A": "two\r\nlines"}}, "headers"),
        ({"headers": {"X-A\r\nX-B": "x"}}, "headers"),
        ({"headers": {"X-A": "\N{SNOWMAN}"}}, "headers"),
        ({"headers": {"": "x"}}, "headers"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers"),
        ({"headers": {"X-A": 7}}, "headers"),
        ({"query": {"a": 7}}, "query"),
        ({"bearer": "plain"}, "bearer"),
        ({"bearer": HERE, "basic_auth": {"username": "x", "password": HERE}}, "bearer"),
        ({"bearer": HERE, "headers": {"authorization": HERE}}, "bearer"),
        (
            {"basic_auth": {"username": "x", "password": HERE}, "headers": {"Authorization": "y"}},
            "basic_auth",
        ),
        ({"basic_auth": {"username": "x:y", "password": HERE}}, "basic_auth"),
        ({"basic_auth": {"username": "x"}}, "basic_auth"),
    ],
    ids=str,
)
def test_what_cannot_work_is_found_when_it_is_configured(own, key) -> None:
    with pytest.raises(ValidationError) as found:
        settings_of("http", url="https://h/hook", **own)

    assert {fault["loc"][0] for fault in found.value.errors()} == {key}


async def test_the_credential_in_a_header_is_masked_without_its_scheme_too(receiver, monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", "Bearer t0ken-value")
    receiver.answer = Answer(500, body=b"what is t0ken-value?")

    outcome = await send(receiver, headers={"Authorization": HERE})

    assert receiver.got[0].headers["authorization"] == "Bearer t0ken-value"
    assert "t0ken-value" not in outcome.detail


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (f"Basic {b64encode(b'svc:hunter2-swordfish').decode()}", "hunter2-swordfish"),
        ('Token token="abcdef-012345"', "abcdef-012345"),
        ("Token token=abcdef-012345, x=1", "abcdef-012345"),
        ("ApiKey id:abcdef-012345", "abcdef-012345"),
    ],
)
async def test_what_is_inside_a_credential_is_masked(receiver, monkeypatch, header, shown) -> None:
    monkeypatch.setenv("SINK_SECRET", header)
    receiver.answer = Answer(401, body=f"the password {shown} is wrong".encode())

    outcome = await send(receiver, headers={"Authorization": HERE})

    assert "is wrong" in outcome.detail
    assert shown not in outcome.detail
