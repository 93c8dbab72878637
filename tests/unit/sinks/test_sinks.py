"""The contract of every sink, over real sockets."""

import base64
import hashlib
import hmac
import ssl
import time

import pytest
from support.receiver import Answer, RawReceiver, Receiver, free_port
from support.values import transition

from bridge.delivery.outcome import Reason, Verdict
from bridge.sinks.base import Delivery, Request, Response
from bridge.sinks.client import Client
from bridge.sinks.kinds import KINDS, SETTINGS

NOW = 1_700_000_000_500
SECRET = "s3cret-Token/+="
DELIVERY = Delivery(transition(), "MODEL_VERSION_TRANSITIONED_STAGE", NOW)


@pytest.fixture(autouse=True)
def secret(monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", SECRET)


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


def settings_of(kind: str, url: str, **more):
    common = {"name": "ci", "type": kind}
    own = {
        "http": {"url": f"{url}/hook", "secret": {"env": "SINK_SECRET"}},
        "github_dispatch": {
            "repository": "acme/deploy",
            "event_type": "model_promoted",
            "token": {"env": "SINK_SECRET"},
            "api_url": url,
        },
        "github_workflow": {
            "repository": "acme/deploy",
            "workflow": "deploy.yml",
            "ref": "main",
            "inputs": {"model": "${model_name}", "version": "${model_version}"},
            "token": {"env": "SINK_SECRET"},
            "api_url": url,
        },
        "gitlab_pipeline": {
            "url": url,
            "project": "acme/deploy",
            "ref": "main",
            "token": {"env": "SINK_SECRET"},
            "variables": {"MODEL": "${model_name}", "VERSION": "${model_version}"},
        },
        "jenkins_job": {
            "url": url,
            "job": "ml/deploy",
            "username": "bridge",
            "token": {"env": "SINK_SECRET"},
            "parameters": {"MODEL": "${model_name}", "VERSION": "${model_version}"},
        },
    }
    return SETTINGS[kind].model_validate({**common, **own[kind], **more})


async def attempt(kind: str, url: str, delivery: Delivery = DELIVERY, timeout_ms: int = 2_000, **more):
    async with Client() as client:
        sink = KINDS[kind].build(settings_of(kind, url, **more), client, timeout_ms)
        return await sink.deliver(delivery)


every_kind = pytest.mark.parametrize("kind", sorted(KINDS))


@every_kind
async def test_a_delivery_is_one_request_with_the_event_id(kind, receiver) -> None:
    outcome = await attempt(kind, receiver.url)

    (got,) = receiver.got
    assert (outcome.verdict, outcome.status, got.delivery_id) == (Verdict.DELIVERED, 204, "event-1")


STATUSES = {
    200: Verdict.DELIVERED,
    302: Verdict.RETRYABLE,
    400: Verdict.REJECTED,
    401: Verdict.RETRYABLE,
    403: Verdict.RETRYABLE,
    404: Verdict.RETRYABLE,
    422: Verdict.REJECTED,
    429: Verdict.RETRYABLE,
    500: Verdict.RETRYABLE,
}


@every_kind
@pytest.mark.parametrize(("status", "verdict"), STATUSES.items())
async def test_each_status_means_the_same_to_every_sink_and_is_tried_once(
    kind, status, verdict, receiver
) -> None:
    receiver.answer = Answer(status, {"Location": f"{receiver.url}/moved"})

    outcome = await attempt(kind, receiver.url)

    assert (outcome.verdict, outcome.status, len(receiver.got)) == (verdict, status, 1)


@every_kind
async def test_no_secret_shows_in_an_outcome_even_if_the_receiver_echoes_it(kind, receiver) -> None:
    receiver.answer = Answer(400, body=f"you sent {SECRET} and {SECRET!r}".encode())

    outcome = await attempt(kind, receiver.url)

    assert "you sent *** and" in outcome.detail
    assert SECRET not in repr(outcome)


@every_kind
async def test_a_receiver_that_is_not_there_is_worth_another_try(kind) -> None:
    outcome = await attempt(kind, f"http://127.0.0.1:{free_port()}")

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.CONNECT)


@every_kind
@pytest.mark.parametrize(
    ("answer", "options", "reason"),
    [
        (b"", {"hang": 5.0}, Reason.TIMEOUT),
        (b"HTTP/1.1 200 OK\r\n", {"drip": 0.2}, Reason.TIMEOUT),
        (b"", {}, Reason.PROTOCOL),
        (b"", {"reset": True}, Reason.PROTOCOL),
        (b"SSH-2.0-OpenSSH\r\n", {}, Reason.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, {}, Reason.PROTOCOL),
    ],
    ids=["hangs", "trickles", "closes", "resets", "no http", "endless header"],
)
async def test_a_broken_answer_is_worth_another_try_within_the_timeout(kind, answer, options, reason) -> None:
    receiver = RawReceiver(answer, **options)
    began = time.monotonic()

    outcome = await attempt(kind, receiver.url.rstrip("/"), timeout_ms=500)

    receiver.stop()
    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, reason)
    assert time.monotonic() - began < 3


@every_kind
@pytest.mark.parametrize(
    "rest", [b"Content-Length: 99\r\n\r\nshort", b"Transfer-Encoding: chunked\r\n\r\nzz"]
)
async def test_a_success_whose_body_breaks_off_is_a_success(kind, rest) -> None:
    receiver = RawReceiver(b"HTTP/1.1 200 OK\r\n" + rest)

    outcome = await attempt(kind, receiver.url.rstrip("/"))

    receiver.stop()
    assert outcome.verdict is Verdict.DELIVERED


@every_kind
async def test_a_missing_secret_is_worth_another_try_and_names_its_key(kind, receiver, monkeypatch) -> None:
    monkeypatch.delenv("SINK_SECRET")

    outcome = await attempt(kind, receiver.url)

    assert (outcome.verdict, outcome.reason, receiver.got) == (Verdict.RETRYABLE, Reason.SECRET, [])
    assert outcome.detail.startswith("sinks.ci.")
    assert "environment variable SINK_SECRET is not set" in outcome.detail


async def test_tls_that_cannot_be_trusted_is_said_to_be_that(tmp_path) -> None:
    receiver = RawReceiver(b"HTTP/1.1 200 OK\r\n\r\n")

    outcome = await attempt("http", receiver.url.replace("http:", "https:").rstrip("/"))

    receiver.stop()
    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.TLS)


async def test_at_least_tls_1_2_is_asked_for() -> None:
    async with Client() as client:
        context = client._connection()._transport._pool._ssl_context
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.verify_mode == ssl.CERT_REQUIRED


async def test_connections_are_kept_for_the_next_delivery(receiver) -> None:
    receiver.answer = Answer(200, body=b"thanks")
    async with Client() as client:
        for _ in range(3):
            request = Request(f"{receiver.url}/", {}, b"{}", 1_000)
            assert isinstance(await client.post(request), Response)
        (http,) = [client._connections.take(receiver.url) for _ in range(len(client._connections))]
        assert len(http._transport._pool.connections) == 1
        await http.aclose()


async def test_the_signature_is_what_mlflow_itself_would_send(receiver) -> None:
    from mlflow.webhooks.delivery import _generate_hmac_signature

    await attempt("http", receiver.url)

    (got,) = receiver.got
    headers = got.headers
    assert headers["x-mlflow-timestamp"] == str(NOW // 1000)
    assert headers["content-type"] == "application/json"
    assert headers["x-mlflow-signature"] == _generate_hmac_signature(
        SECRET, got.delivery_id, headers["x-mlflow-timestamp"], got.raw.decode()
    )
    digest = hmac.new(SECRET.encode(), f"event-1.{NOW // 1000}.".encode() + got.raw, hashlib.sha256).digest()
    assert headers["x-mlflow-signature"] == "v1," + base64.b64encode(digest).decode()


async def test_without_a_secret_nothing_is_signed(receiver) -> None:
    await attempt("http", receiver.url, secret=None)

    assert "x-mlflow-signature" not in receiver.got[0].headers


@every_kind
def test_an_origin_shows_no_path_and_no_secret(kind) -> None:
    shown = settings_of(kind, "https://[::1]:8443").origin()

    assert shown.startswith("https://[::1]:8443")
    assert "hook" not in shown
    assert set(settings_of(kind, "https://h").secrets()) <= {"secret", "token"}
