"""GitHub with a token: dispatches, workflows, and what it refuses."""

from dataclasses import replace

import pytest
from pydantic import ValidationError
from support.github import Github
from support.github_openapi import OLD_SERVER
from support.receiver import Answer, Receiver
from support.sinks import DELIVERY, NOW, attempt, built, settings_of
from support.values import transition

from bridge.app import _terms
from bridge.config import DeliverySettings
from bridge.delivery.attempt_outcome import Reason, Verdict
from bridge.sinks.base import Delivery, Response
from bridge.sinks.github.dispatch_sink import broken_limit
from bridge.sinks.github.github_settings import judge, mends
from bridge.sinks.transport.http_client import Client

SECRET = "s3cret-Token/+="
TOKEN = {"token": {"env": "SINK_SECRET"}}
DISPATCH = {"repository": "acme/deploy", "event_type": "model_promoted", **TOKEN}
WORKFLOW = {
    "repository": "acme/deploy",
    "workflow": "deploy.yml",
    "ref": "main",
    "inputs": {"model": "${model_name}", "version": "v${model_version}"},
    **TOKEN,
}
SAID = mends("Contents: write", "no such repository", by_app=False)


@pytest.fixture(autouse=True)
def secret(monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", SECRET)


@pytest.fixture
def receiver():
    receiver = Receiver(Github(token=SECRET))
    yield receiver
    receiver.stop()


async def dispatch(receiver, delivery: Delivery = DELIVERY, **more):
    return await attempt("github_dispatch", delivery, **DISPATCH, api_url=receiver.url, **more)


async def run(receiver, delivery: Delivery = DELIVERY, **more):
    return await attempt("github_workflow", delivery, **{**WORKFLOW, "api_url": receiver.url, **more})


async def test_a_dispatch_is_what_github_takes(receiver) -> None:
    outcome = await dispatch(receiver)

    (got,) = receiver.got
    assert outcome.verdict is Verdict.DELIVERED
    assert got.body == {
        "event_type": "model_promoted",
        "client_payload": {
            "event": "MODEL_VERSION_TRANSITIONED_STAGE",
            "timestamp": 1_000,
            "model_name": "fraud",
            "model_version": "1",
            "to_stage": "Production",
            "from_stage": "Staging",
            "user_id": None,
            "delivery_id": "event-1",
        },
    }


@pytest.mark.parametrize(
    ("token", "repository", "mend"),
    [("wrong", "acme/deploy", "the token is refused"), (SECRET, "acme/other", "no such repository")],
)
async def test_what_github_refuses_is_explained(token, repository, mend, receiver) -> None:
    receiver.answer = Github(repository, token)

    outcome = await dispatch(receiver)

    assert outcome.reason is Reason.MISCONFIGURED
    assert mend in outcome.detail


async def test_a_payload_beyond_github_limits_is_not_sent(receiver) -> None:
    big = transition(changed={"description": "x" * 70_000})

    outcome = await dispatch(receiver, Delivery(big, "X", NOW))

    assert (outcome.verdict, outcome.reason, receiver.got) == (Verdict.REJECTED, Reason.LIMIT, [])
    assert "10" in broken_limit({str(n): n for n in range(11)})


@pytest.mark.parametrize("token", ["two\nlines", "n\N{LATIN SMALL LETTER O WITH DIAERESIS}n-ascii"])
async def test_a_token_that_no_header_takes_is_said_to_be_that_without_showing_it(
    token, receiver, monkeypatch
) -> None:
    monkeypatch.setenv("SINK_SECRET", token)

    outcome = await dispatch(receiver)

    assert outcome.reason is Reason.SECRET
    assert token not in outcome.detail


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (403, {"retry-after": "30"}, 30_000),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW // 1000 + 90)}, 89_500),
        (429, {"x-ratelimit-remaining": "0"}, 60_000),
        (429, {}, 60_000),
    ],
)
def test_github_rate_limits_wait_as_it_asks(status, headers, wait) -> None:
    outcome = judge(Response(status, headers, ""), NOW, SAID)

    assert (outcome.reason, outcome.retry_after_ms) == (Reason.RATE_LIMITED, wait)


def test_a_secondary_limit_is_known_by_its_message() -> None:
    answer = Response(403, {}, "You have exceeded a secondary rate limit")

    assert judge(answer, NOW, SAID).retry_after_ms == 60_000


def test_a_403_without_any_limit_is_a_missing_permission() -> None:
    outcome = judge(Response(403, {"x-ratelimit-remaining": "4999"}, ""), NOW, SAID)

    assert "a fine-grained token needs Contents: write" in outcome.detail


async def test_a_run_is_started_as_github_documents_it_and_its_link_is_kept(receiver) -> None:
    outcome = await run(receiver)

    (got,) = receiver.got
    assert got.path == "/repos/acme/deploy/actions/workflows/deploy.yml/dispatches"
    assert got.body == {
        "ref": "main",
        "inputs": {"model": "fraud", "version": "v1"},
        "return_run_details": True,
    }
    assert (outcome.verdict, outcome.status) == (Verdict.DELIVERED, 200)
    assert outcome.link == "https://github.com/acme/deploy/actions/runs/77"


async def test_inputs_are_texts_whatever_their_shape_yields(receiver) -> None:
    receiver.answer.inputs = {"n", "yes", "nothing", "list"}
    shapes = {"n": "${timestamp}", "yes": True, "nothing": "${user_id}", "list": "${[to_stage, from_stage]}"}

    outcome = await run(receiver, inputs=shapes)

    assert outcome.verdict is Verdict.DELIVERED
    assert receiver.got[0].body["inputs"] == {
        "n": "1000",
        "yes": "true",
        "nothing": "",
        "list": '["Production","Staging"]',
    }


@pytest.mark.parametrize(
    "body",
    [
        b'{"html_url": 7}',
        b'{"html_url": "javascript:alert(1)"}',
        b'{"html_url": "https://x\\ny"}',
        b'{"html_url": "https://x/' + b"y" * 600 + b'"}',
    ],
    ids=["number", "script", "two lines", "long"],
)
async def test_an_answer_without_a_usable_link_is_a_delivery_nonetheless(body, receiver) -> None:
    receiver.answer = Answer(200, body=body)

    outcome = await run(receiver)

    assert (outcome.verdict, outcome.link) == (Verdict.DELIVERED, "")


async def test_a_link_shows_no_secret(receiver) -> None:
    receiver.answer = Answer(200, body=f'{{"html_url": "https://x/{SECRET}"}}'.encode())

    assert (await run(receiver)).link == "https://x/***"


async def test_a_github_that_knows_no_run_details_is_asked_without_them(receiver) -> None:
    receiver.answer = Github(token=SECRET, server=OLD_SERVER)
    async with Client() as client:
        sink = built("github_workflow", client, **WORKFLOW, api_url=f"{receiver.url}/api/v3")
        outcomes = [await sink.deliver(DELIVERY) for _ in range(2)]

    assert [(one.verdict, one.status, one.link) for one in outcomes] == [(Verdict.DELIVERED, 204, "")] * 2
    assert len(receiver.got) == 3


@pytest.mark.parametrize("change", [{"ref": "gone"}, {"inputs": {"undeclared": "x"}}])
async def test_what_a_workflow_does_not_take_is_dead_at_once_and_says_what_to_mend(change, receiver) -> None:
    outcome = await run(receiver, **change)

    assert (outcome.verdict, outcome.reason, outcome.status) == (Verdict.REJECTED, Reason.REFUSED, 422)
    for named in ("workflow_dispatch", "input", "ref", "redrive"):
        assert named in outcome.detail


async def test_each_endpoint_names_the_permission_that_it_needs(receiver) -> None:
    receiver.answer = Answer(403)

    assert "Contents: write" in (await dispatch(receiver)).detail
    assert "Actions: write" in (await run(receiver)).detail


@pytest.mark.parametrize("status", [403, 404])
async def test_a_missing_permission_is_named_as_github_names_it_too(status, receiver) -> None:
    receiver.answer = Answer(
        status, {"X-Accepted-GitHub-Permissions": "contents=write; administration=read,a=b"}
    )

    outcome = await dispatch(receiver)

    assert "a fine-grained token needs" in outcome.detail
    assert "Contents: write" in outcome.detail
    assert "; GitHub asks for contents=write; administration=read,a=b" in outcome.detail


async def test_what_is_no_list_of_permissions_is_not_shown(receiver) -> None:
    receiver.answer = Answer(403, {"X-Accepted-GitHub-Permissions": f"token={SECRET} <b>"})

    assert "asks for" not in (await dispatch(receiver)).detail


async def test_a_dispatch_that_github_cannot_process_is_dead_at_once_and_says_what_to_mend(receiver) -> None:
    receiver.answer = Answer(422, body=b'{"message": "No more than 10 properties are allowed"}')

    outcome = await dispatch(receiver)

    assert (outcome.verdict, outcome.reason, outcome.status) == (Verdict.REJECTED, Reason.REFUSED, 422)
    for named in ("event_type", "client_payload", "redrive", "No more than 10"):
        assert named in outcome.detail


async def test_inputs_beyond_github_limits_are_not_sent(receiver) -> None:
    long = transition(model="m" * 70_000)

    outcome = await run(receiver, Delivery(long, "X", NOW))

    assert (outcome.verdict, outcome.reason, receiver.got) == (Verdict.REJECTED, Reason.LIMIT, [])


async def test_an_expression_without_a_value_is_a_fault_of_the_configuration(receiver) -> None:
    odd = Delivery(transition(changed={}), "X", NOW)

    outcome = await run(receiver, odd, inputs={"model": "${join(',', [to_stage])}"})

    assert (outcome.verdict, outcome.reason, receiver.got) == (Verdict.RETRYABLE, Reason.MISCONFIGURED, [])
    assert outcome.detail.startswith("sinks.ci.inputs: model")


async def test_github_enterprise_is_asked_below_its_own_path(receiver) -> None:
    outcome = await run(receiver, api_url=f"{receiver.url}/api/v3/", workflow=42)

    assert outcome.status == 404
    assert receiver.got[0].path == "/api/v3/repos/acme/deploy/actions/workflows/42/dispatches"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"workflow": ".github/workflows/deploy.yml"}, "workflow"),
        ({"workflow": "../x.yml"}, "workflow"),
        ({"ref": ""}, "ref"),
        ({"inputs": {str(n): "x" for n in range(26)}}, "inputs"),
        ({"inputs": {"x": "${model_name"}}, "inputs"),
        ({"inputs": {"x": "${abs(model_name)}"}}, ""),
        ({"token": None}, "token"),
        (
            {"app": {"id": 1, "installation": 2, "private_key": {"env": "K"}}},
            "token",
        ),
        ({"app": {"id": 0, "installation": 2, "private_key": {"env": "K"}}, "token": None}, "app"),
    ],
)
def test_what_cannot_work_is_found_when_it_is_configured(change, key) -> None:
    with pytest.raises(ValidationError) as found:
        settings_of("github_workflow", **{**WORKFLOW, **change})

    assert {".".join(map(str, fault["loc"][:1])) for fault in found.value.errors()} == {key}


@pytest.mark.parametrize(("kind", "own"), [("github_dispatch", DISPATCH), ("github_workflow", WORKFLOW)])
def test_github_is_asked_once_a_second_and_one_at_a_time_unless_told_otherwise(kind, own) -> None:
    generous = DeliverySettings(rate="1000/s", concurrency=100)
    usual = _terms(settings_of(kind, **own), generous)
    own_pace = _terms(settings_of(kind, **own, rate="30/m", concurrency=2), generous)

    assert (usual.concurrency, usual.spacing_ms) == (1, 1_000)
    assert (own_pace.concurrency, own_pace.spacing_ms) == (2, 2_000)


async def test_details_that_are_too_large_for_github_are_left_out_rather_than_the_event(
    receiver,
) -> None:
    description = "x" * 40_000
    event = transition(
        changed={"to_stage": "Production", "from_stage": "Staging", "description": description}
    )
    large = replace(event, details={"run": {"params": {"p": "y" * 30_000}}})
    crowded = replace(
        transition(changed={f"key{n}": "v" for n in range(4)}), details={"run": {"run_id": "r"}}
    )

    first = await dispatch(receiver, Delivery(large, "E", NOW))
    second = await dispatch(receiver, Delivery(crowded, "E", NOW))

    assert (first.verdict, second.verdict) == (Verdict.DELIVERED, Verdict.DELIVERED)
    first_payload, second_payload = (got.body["client_payload"] for got in receiver.got)
    assert first_payload["details"] == {"run": None, "missing": {"run": "too_large"}}
    assert "details" not in second_payload
