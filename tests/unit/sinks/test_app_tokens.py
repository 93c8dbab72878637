"""GitHub with an App: tokens that are asked for, kept, shared and renewed."""

import asyncio

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support.github import Github
from support.receiver import Answer, Receiver
from support.sinks import DELIVERY, NOW, attempt, built, settings_of

from bridge.delivery.attempt_outcome import Reason, Verdict
from bridge.sinks.base import Delivery
from bridge.sinks.github.app_tokens import kept_of
from bridge.sinks.transport.exchange_recorder import NoTransport, RecordingTransport
from bridge.sinks.transport.http_client import Client

APP = {"id": 123, "installation": 456, "private_key": {"env": "APP_KEY"}}
RUN = {"repository": "acme/deploy", "workflow": "deploy.yml", "ref": "main", "app": APP}
KEY = rsa.generate_private_key(65_537, 2_048)


def pem(key, password: bytes = b"") -> str:
    secret = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret).decode()


PEM = pem(KEY)


@pytest.fixture(autouse=True)
def key(monkeypatch) -> None:
    monkeypatch.setenv("APP_KEY", PEM)


@pytest.fixture
def receiver():
    hub = Github()
    hub.app_key = KEY.public_key()
    receiver = Receiver(hub)
    yield receiver
    receiver.stop()


def asked(receiver) -> list:
    return [got for got in receiver.got if "/app/" in got.path]


def at(now_ms: int) -> Delivery:
    return Delivery(DELIVERY.event, DELIVERY.event_name, now_ms)


async def run(receiver, **more):
    return await attempt("github_workflow", **{**RUN, "api_url": receiver.url, **more})


async def test_a_token_is_asked_for_the_one_repository_and_permission_that_are_needed(receiver) -> None:
    outcome = await run(receiver)

    (token, started) = receiver.got
    assert (outcome.verdict, outcome.link[:18]) == (Verdict.DELIVERED, "https://github.com")
    assert token.body == {"repositories": ["deploy"], "permissions": {"actions": "write"}}
    assert started.headers["authorization"] == "Bearer ghs_0000-installation"


async def test_dispatches_are_made_by_an_app_too_and_on_github_enterprise(receiver) -> None:
    own = {"repository": "acme/deploy", "event_type": "x", "app": APP}

    outcome = await attempt("github_dispatch", **own, api_url=f"{receiver.url}/api/v3")

    assert outcome.verdict is Verdict.DELIVERED
    assert asked(receiver)[0].path == "/api/v3/app/installations/456/access_tokens"
    assert asked(receiver)[0].body["permissions"] == {"contents": "write"}


async def test_a_token_is_kept_until_shortly_before_it_expires(receiver) -> None:
    async with Client() as client:
        sink = built("github_workflow", client, **RUN, api_url=receiver.url)
        for minutes, tokens in ((0, 1), (54, 1), (56, 2), (57, 2)):
            outcome = await sink.deliver(at(NOW + minutes * 60_000))
            assert (outcome.verdict, len(asked(receiver))) == (Verdict.DELIVERED, tokens), minutes


async def test_deliveries_that_need_a_token_at_once_share_one(receiver) -> None:
    receiver.answer.delay = 0.3
    async with Client() as client:
        sink = built("github_workflow", client, 20_000, **RUN, api_url=receiver.url)
        outcomes = await asyncio.gather(*(sink.deliver(DELIVERY) for _ in range(5)))

    assert {one.verdict for one in outcomes} == {Verdict.DELIVERED}
    assert (len(asked(receiver)), len(receiver.got)) == (1, 6)


async def test_who_is_cut_off_does_not_take_the_token_from_the_others(receiver) -> None:
    receiver.answer.delay = 0.5
    async with Client() as client:
        sink = built("github_workflow", client, 20_000, **RUN, api_url=receiver.url)
        first, second = (asyncio.create_task(sink.deliver(DELIVERY)) for _ in range(2))
        await asyncio.to_thread(receiver.wait_until_one_came)
        first.cancel()
        outcome = await second

    assert (outcome.verdict, len(asked(receiver))) == (Verdict.DELIVERED, 1)
    assert first.cancelled()


async def test_a_token_that_was_revoked_is_renewed_once(receiver) -> None:
    async with Client() as client:
        sink = built("github_workflow", client, **RUN, api_url=receiver.url)
        await sink.deliver(DELIVERY)
        receiver.answer.tokens.clear()
        outcome = await sink.deliver(DELIVERY)

    assert (outcome.verdict, len(asked(receiver))) == (Verdict.DELIVERED, 2)


async def test_a_token_that_is_never_taken_is_not_renewed_for_ever(receiver) -> None:
    hub = receiver.answer
    receiver.answer = lambda got: hub(got) if "/app/" in got.path else Answer(401)

    outcome = await run(receiver)

    assert (outcome.verdict, outcome.reason, outcome.status) == (
        Verdict.RETRYABLE,
        Reason.MISCONFIGURED,
        401,
    )
    assert (len(asked(receiver)), len(receiver.got)) == (2, 4)


@pytest.mark.parametrize(
    ("change", "status", "mend"),
    [
        ({"app_key": rsa.generate_private_key(65_537, 2_048).public_key()}, 401, "not a key of app id 123"),
        ({"installation": 9}, 404, "no installation 456"),
        ({"granted": {}}, 422, "Actions: write"),
    ],
)
async def test_an_app_that_gets_no_token_is_told_what_to_mend(change, status, mend, receiver) -> None:
    for name, value in change.items():
        setattr(receiver.answer, name, value)

    outcome = await run(receiver)

    assert (outcome.verdict, outcome.reason, outcome.status) == (
        Verdict.RETRYABLE,
        Reason.MISCONFIGURED,
        status,
    )
    assert mend in outcome.detail


@pytest.mark.parametrize("status", [400, 410, 418])
async def test_no_refusal_of_a_token_is_the_events_fault(status, receiver) -> None:
    receiver.answer = Answer(status)

    assert (await run(receiver)).verdict is Verdict.RETRYABLE


async def test_a_limit_on_tokens_is_waited_for(receiver) -> None:
    receiver.answer = Answer(403, {"Retry-After": "70"})

    outcome = await run(receiver)

    assert (outcome.reason, outcome.retry_after_ms) == (Reason.RATE_LIMITED, 70_000)


@pytest.mark.parametrize(
    "text",
    [
        "no key at all",
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(KEY, b"password"),
        KEY.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
        PEM[:200],
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ],
    ids=["text", "elliptic", "password", "public", "cut", "empty"],
)
async def test_a_key_that_cannot_sign_is_said_to_be_that_without_showing_it(
    text, receiver, monkeypatch
) -> None:
    monkeypatch.setenv("APP_KEY", text)

    outcome = await run(receiver)

    assert (outcome.verdict, outcome.reason, receiver.got) == (Verdict.RETRYABLE, Reason.SECRET, [])
    assert outcome.detail.startswith(
        "sinks.ci.app.private_key: environment variable APP_KEY: holds no usable"
    )
    settings = settings_of("github_workflow", **RUN)
    (key, secret) = next(iter(settings.secrets().items()))
    assert outcome.detail == f"sinks.ci.{key}: {settings.secret_fault(key, secret)}"
    assert text.split("\n")[1 if "\n" in text else 0] not in outcome.detail


async def test_a_key_in_one_line_is_taken_as_its_lines(receiver, monkeypatch) -> None:
    monkeypatch.setenv("APP_KEY", PEM.replace("\n", "\\n"))

    assert (await run(receiver)).verdict is Verdict.DELIVERED


async def test_neither_token_nor_key_shows_in_what_was_exchanged(receiver) -> None:
    async with Client() as client:
        recording = RecordingTransport(client)
        await built("github_workflow", recording, **RUN, api_url=receiver.url).deliver(DELIVERY)

    (first, second) = recording.exchanges
    for shown in (repr(first.answer), first.answer.excerpt, repr(second.answer)):
        assert "ghs_" not in shown
    assert PEM.splitlines()[3] not in repr(first.request.headers)


async def test_a_dry_run_shows_both_requests_and_sends_none() -> None:
    recording = RecordingTransport(NoTransport())

    outcome = await built("github_workflow", recording, **RUN).deliver(DELIVERY)

    assert outcome.verdict is Verdict.DELIVERED
    assert [one.request.url.rpartition("/")[2] for one in recording.exchanges] == [
        "access_tokens",
        "dispatches",
    ]


async def test_asking_for_a_token_is_part_of_the_one_attempt_and_its_timeout(receiver) -> None:
    hub = receiver.answer
    receiver.answer = lambda got: hub(got) if "/app/" in got.path else Answer(204, delay=5.0)
    async with Client() as client:
        sink = built("github_workflow", client, 1_000, **RUN, api_url=receiver.url)
        outcome = await sink.deliver(DELIVERY)

    assert outcome.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"token": "", "expires_at": "2030-01-01T00:00:00Z"}',
        b'{"token": "a\\nb", "expires_at": "2030-01-01T00:00:00Z"}',
        b'{"token": "t", "expires_at": "soon"}',
        b'{"token": "t", "expires_at": 7}',
    ],
)
def test_what_is_no_token_is_not_taken_for_one(body) -> None:
    assert kept_of(body, NOW) is None


def test_a_token_is_kept_for_an_hour_at_most_whatever_the_clock_says() -> None:
    kept = kept_of(b'{"token": "t", "expires_at": "2099-01-01T00:00:00Z"}', NOW)

    assert kept is not None
    assert kept.until == NOW + 3_300_000
