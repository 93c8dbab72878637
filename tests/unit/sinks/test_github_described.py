"""Requests to GitHub, held to GitHub's own OpenAPI description: every sink, every event."""

import asyncio
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.github import Github
from support.github_openapi import CLOUD, EXCERPT, OLD_SERVER, OPERATIONS, Description
from support.golden import NAMES, request, sample
from support.receiver import Answer, Got, Receiver
from support.sinks import DELIVERY, NOW, attempt, built, settings_of

from bridge.delivery.attempt_outcome import Reason, Verdict
from bridge.sinks.base import Delivery, Request
from bridge.sinks.transport.exchange_recorder import NoTransport, RecordingTransport

KEY = rsa.generate_private_key(65_537, 2_048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
TOKEN = {"token": {"env": "SINK_SECRET"}}
APP = {"app": {"id": 123, "installation": 456, "private_key": {"env": "APP_KEY"}}}
DISPATCH = {"repository": "acme/deploy", "event_type": "model_promoted"}
WORKFLOW = {"repository": "acme/deploy", "workflow": "deploy.yml", "ref": "main"}
SINKS = {
    "dispatch": ("github_dispatch", DISPATCH),
    "dispatch, shaped": (
        "github_dispatch",
        {**DISPATCH, "client_payload": {"model": "${model_name}", "nested": {"event": ["${event}"]}}},
    ),
    "workflow": ("github_workflow", WORKFLOW),
    "workflow by id, with inputs": (
        "github_workflow",
        {**WORKFLOW, "workflow": 42, "inputs": {"model": "${model_name}", "at": "${timestamp}"}},
    ),
}


@pytest.fixture(autouse=True)
def secret(monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", "ghp_x")
    monkeypatch.setenv("APP_KEY", PEM)


def as_got(made: Request) -> Got:
    path = made.url.removeprefix("https://api.github.com")
    headers = {name.lower(): value for name, value in made.headers.items()}
    return Got(path, headers, made.body, 0.0, made.method)


async def sent(kind: str, own: dict, name: str) -> list[Got]:
    recording = RecordingTransport(NoTransport())
    outcome = await built(kind, recording, **own).deliver(Delivery(sample(name), name, NOW))
    assert outcome.verdict is Verdict.DELIVERED
    return [as_got(one.request) for one in recording.exchanges]


def operation_of(kind: str) -> str:
    return OPERATIONS[0] if kind == "github_dispatch" else OPERATIONS[1]


@pytest.mark.parametrize("which", SINKS)
async def test_every_event_is_sent_as_github_describes_it(which) -> None:
    kind, own = SINKS[which]
    described = Description()

    for name in NAMES:
        (got,) = await sent(kind, {**own, **TOKEN}, name)
        assert (described.operation(got), described.faults(got)) == (operation_of(kind), []), name


@pytest.mark.parametrize("which", SINKS)
async def test_an_app_asks_for_its_token_as_github_describes_it(which) -> None:
    kind, own = SINKS[which]
    described = Description()

    requests = await sent(kind, {**own, **APP}, NAMES[0])

    assert [described.operation(one) for one in requests] == [OPERATIONS[2], operation_of(kind)]
    assert [described.faults(one) for one in requests] == [[], []]


@pytest.mark.parametrize("name", NAMES)
def test_the_payload_of_every_event_has_the_members_of_the_default_body_at_its_top_level(name) -> None:
    (got,) = asyncio.run(sent("github_dispatch", {**DISPATCH, **TOKEN}, name))

    payload, body = got.body["client_payload"], json.loads(request("mlflow", name).body)

    assert payload.pop("delivery_id") == sample(name).id
    del body["webhook_id"]
    assert payload == body
    assert len(payload) < 10


VIOLATIONS = {
    "path": (lambda got: replace(got, path=f"{got.path}/now"), "no operation"),
    "method": (lambda got: replace(got, method="PUT"), "no operation"),
    "media type": (lambda got: replace(got, headers={"content-type": "text/plain"}), "is none of"),
    "member": (lambda got: with_body(got, payload={}), '"payload" is not a permitted key'),
    "type": (lambda got: with_body(got, event_type=7), "body.event_type: 7 is not of type"),
    "length": (lambda got: with_body(got, event_type="x" * 101), "is too long"),
    "none": (lambda got: replace(got, raw=b"{}"), "'event_type' is a required property"),
    "many": (lambda got: with_body(got, client_payload=dict.fromkeys("abcdefghijk")), "too many properties"),
}


def with_body(got: Got, **more: object) -> Got:
    return replace(got, raw=json.dumps({**got.body, **more}).encode())


@pytest.mark.parametrize("violation", VIOLATIONS)
async def test_a_request_that_github_would_not_take_is_found(violation) -> None:
    (right,) = await sent("github_dispatch", {**DISPATCH, **TOKEN}, NAMES[0])
    spoil, said = VIOLATIONS[violation]

    faults = Description().faults(spoil(right))

    assert any(said in fault for fault in faults), faults


async def test_permissions_and_installations_that_github_does_not_know_are_found() -> None:
    right, _ = await sent("github_dispatch", {**DISPATCH, **APP}, NAMES[0])
    described = Description()

    assert described.faults(with_body(right, permissions={"content": "write"})) == [
        'body.permissions: "content" is not a permitted key.'
    ]
    assert described.faults(with_body(right, permissions={"contents": "admin"}))
    assert described.faults(replace(right, path="/app/installations/mine/access_tokens"))


async def test_an_older_server_is_sent_what_it_describes_once_it_refused_what_it_does_not_know() -> None:
    hub = Github(token="ghp_x", server=OLD_SERVER)
    hub.inputs = {"model"}
    receiver = Receiver(hub)
    own = {**WORKFLOW, **TOKEN, "inputs": {"model": "${model_name}"}, "api_url": f"{receiver.url}/api/v3"}

    outcome = await attempt("github_workflow", DELIVERY, **own)

    receiver.stop()
    assert (outcome.verdict, outcome.status) == (Verdict.DELIVERED, 204)
    described = Description(OLD_SERVER)
    faults = [described.faults(replace(got, path=got.path.removeprefix("/api/v3"))) for got in receiver.got]
    assert faults == [['body: "return_run_details" is not a permitted key.'], []]


def test_more_inputs_than_an_older_server_takes_are_remarked_on_there_only() -> None:
    own = {**WORKFLOW, **TOKEN, "inputs": {f"i{n}": "x" for n in range(11)}}
    server = {"api_url": "https://github.example.com/api/v3/"}

    assert list(settings_of("github_workflow", **own).remarks()) == []
    assert list(settings_of("github_workflow", **{**own, "inputs": {}}, **server).remarks()) == []
    (remark,) = settings_of("github_workflow", **own, **server).remarks()
    assert remark.startswith("inputs: are 11: ")
    described = Description(OLD_SERVER).operations[OPERATIONS[1]]["request"]["application/json"]
    assert described["properties"]["inputs"]["maxProperties"] == 10


@pytest.mark.parametrize("server", [CLOUD, OLD_SERVER])
async def test_the_stand_in_answers_as_github_describes_it(server) -> None:
    hub = Github(server=server)
    hub.app_key = KEY.public_key()
    answers: list[tuple[str, Answer]] = []

    def noting(got: Got) -> Answer:
        answer = hub(got)
        operation = hub.described.operation(replace(got, path=got.path.removeprefix("/api/v3")))
        answers.append((operation, answer))
        return answer

    receiver = Receiver(noting)
    at = {"api_url": f"{receiver.url}/api/v3"}
    outcomes = [
        await attempt("github_dispatch", **DISPATCH, **APP, **at),
        await attempt("github_workflow", **WORKFLOW, **APP, **at),
        await attempt("github_dispatch", **{**DISPATCH, "repository": "acme/other"}, **APP, **at),
        await attempt("github_dispatch", **DISPATCH, app={**APP["app"], "id": 9}, **at),
    ]
    receiver.stop()

    assert [one.reason for one in outcomes] == [Reason.OK, Reason.OK, *[Reason.MISCONFIGURED] * 2]
    assert {201, 204, 401, 404} <= {answer.status for _, answer in answers}
    assert [fault for one in answers for fault in hub.described.answer_faults(*one)] == []


def test_what_the_bridge_reads_of_answers_is_described() -> None:
    operations = Description().operations
    run = operations["actions/create-workflow-dispatch"]["responses"]["200"]["application/json"]
    token = operations["apps/create-installation-access-token"]["responses"]["201"]["application/json"]

    assert "html_url" in run["required"]
    assert {"token", "expires_at"} <= set(token["required"])


def test_the_excerpt_holds_all_operations_of_both_servers_and_says_where_it_is_from() -> None:
    document = json.loads(EXCERPT.read_bytes())

    assert {name: set(one) for name, one in document["servers"].items()} == {
        CLOUD: set(OPERATIONS),
        OLD_SERVER: set(OPERATIONS),
    }
    assert document["source"].items() >= {"of": "github/rest-api-description", "license": "MIT"}.items()
    assert document["source"]["version"]
