"""``http`` with OAuth 2.0 client credentials: tokens that are asked for, kept, shared and renewed."""

import asyncio
import json
import re
import tomllib
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError
from support.oauth2 import TokenServer, refusal
from support.receiver import Answer, RawReceiver, Receiver, free_port
from support.sinks import DELIVERY, NOW, built, settings_of
from support.tls import Authority, TlsReceiver

from bridge.config import Access, TlsSettings
from bridge.delivery.allowed_destinations import Targets
from bridge.delivery.attempt_outcome import Reason, Verdict
from bridge.operations.json_serialization import trial_document
from bridge.operations.sink_trial import Trial
from bridge.sinks.base import Delivery
from bridge.sinks.http.oauth2_tokens import kept_of
from bridge.sinks.sink_type_table import SETTINGS
from bridge.sinks.token_cache import Kept
from bridge.sinks.transport.exchange_recorder import NoTransport, RecordingTransport
from bridge.sinks.transport.http_client import Client

ID, SECRET = "bridge:1 &x", "s3cret: +&%Value/="
HERE = {"env": "CLIENT_SECRET"}


@pytest.fixture(autouse=True)
def secret(monkeypatch) -> None:
    monkeypatch.setenv("CLIENT_SECRET", SECRET)


@pytest.fixture
def server():
    server = Receiver(TokenServer(ID, SECRET))
    yield server
    server.stop()


@pytest.fixture
def receiver(server):
    receiver = Receiver(server.answer.protects())
    yield receiver
    receiver.stop()


def own(server, receiver, **oauth2) -> dict:
    client = {"token_url": f"{server.url}/oauth/token", "client_id": ID, "client_secret": HERE, **oauth2}
    return {"url": f"{receiver.url}/hook", "oauth2": client}


def at(now_ms: int) -> Delivery:
    return Delivery(DELIVERY.event, DELIVERY.event_name, now_ms)


async def send(server, receiver, *, access: Access | None = None, **oauth2):
    async with Client(access) as client:
        return await built("http", client, **own(server, receiver, **oauth2)).deliver(DELIVERY)


@pytest.mark.parametrize("auth", ["basic", "post"])
async def test_a_token_is_asked_for_and_sent_with_the_event(auth, server, receiver) -> None:
    server.answer.auth = auth

    outcome = await send(server, receiver, auth=auth, scope="hooks.write deploy", audience="https://ci")

    (asked,), (got,) = server.got, receiver.got
    assert outcome.verdict is Verdict.DELIVERED, outcome
    assert (asked.path, got.path) == ("/oauth/token", "/hook")
    assert (
        parse_qs(asked.raw.decode()).items()
        >= {
            "grant_type": ["client_credentials"],
            "scope": ["hooks.write deploy"],
            "audience": ["https://ci"],
        }.items()
    )
    assert got.headers["authorization"] == "Bearer token-0"
    assert got.body["model_name"] == "fraud"


async def test_a_scope_and_an_audience_that_are_not_configured_are_not_sent(server, receiver) -> None:
    await send(server, receiver)

    assert parse_qs(server.got[0].raw.decode()) == {"grant_type": ["client_credentials"]}


@pytest.mark.parametrize(
    ("lasts", "times"),
    [
        (3600, ((0, 1), (3_539, 1), (3_541, 2), (3_600, 2))),
        ("100", ((0, 1), (79, 1), (81, 2))),
        (None, ((0, 1), (239, 1), (241, 2))),
        (-5, ((0, 1), (239, 1), (241, 2))),
        (0, ((0, 1), (0, 2))),
        (10**12, ((0, 1), (86_339, 1), (86_341, 2))),
    ],
)
async def test_a_token_is_kept_until_shortly_before_it_expires(lasts, times, server, receiver) -> None:
    server.answer.more = {"token_type": "bearer", **({} if lasts is None else {"expires_in": lasts})}
    async with Client() as client:
        sink = built("http", client, **own(server, receiver))
        for seconds, tokens in times:
            outcome = await sink.deliver(at(NOW + seconds * 1000))
            assert (outcome.verdict, len(server.got)) == (Verdict.DELIVERED, tokens), seconds


async def test_deliveries_that_need_a_token_at_once_share_one(server, receiver) -> None:
    server.answer.delay = 0.3
    async with Client() as client:
        sink = built("http", client, 20_000, **own(server, receiver))
        outcomes = await asyncio.gather(*(sink.deliver(DELIVERY) for _ in range(5)))

    assert {one.verdict for one in outcomes} == {Verdict.DELIVERED}
    assert (len(server.got), len(receiver.got)) == (1, 5)


async def test_who_is_cut_off_does_not_take_the_token_from_the_others(server, receiver) -> None:
    server.answer.delay = 0.5
    async with Client() as client:
        sink = built("http", client, 20_000, **own(server, receiver))
        first, second = (asyncio.create_task(sink.deliver(DELIVERY)) for _ in range(2))
        await asyncio.to_thread(server.wait_until_one_came)
        first.cancel()
        outcome = await second

    assert (outcome.verdict, len(server.got), first.cancelled()) == (Verdict.DELIVERED, 1, True)


async def test_a_rotated_secret_is_used_for_the_next_token_without_a_restart(
    server, receiver, monkeypatch
) -> None:
    async with Client() as client:
        sink = built("http", client, **own(server, receiver))
        await sink.deliver(DELIVERY)
        server.answer.client = (ID, "rotated")
        server.answer.valid.clear()
        monkeypatch.setenv("CLIENT_SECRET", "rotated")
        outcome = await sink.deliver(DELIVERY)

    assert (outcome.verdict, server.answer.given) == (Verdict.DELIVERED, ["token-0", "token-1"])


async def test_a_token_that_was_revoked_is_renewed_once_for_all_that_had_it(server, receiver) -> None:
    async with Client() as client:
        sink = built("http", client, 20_000, **own(server, receiver))
        await sink.deliver(DELIVERY)
        server.answer.valid.clear()
        outcomes = await asyncio.gather(*(sink.deliver(DELIVERY) for _ in range(5)))

    assert {one.verdict for one in outcomes} == {Verdict.DELIVERED}
    assert len(server.got) == 2


async def test_a_token_that_is_never_taken_is_not_renewed_for_ever(server, receiver) -> None:
    receiver.answer = Answer(401, body=b"who is token-1?")

    outcome = await send(server, receiver)

    assert (outcome.verdict, outcome.reason, outcome.status) == (
        Verdict.RETRYABLE,
        Reason.MISCONFIGURED,
        401,
    )
    assert "a fresh one too: check oauth2" in outcome.detail
    assert "who is ***?" in outcome.detail
    assert (len(server.got), len(receiver.got)) == (2, 2)


async def test_only_a_401_is_a_reason_to_renew_a_token(server, receiver) -> None:
    receiver.answer = Answer(403)

    outcome = await send(server, receiver)

    assert (outcome.reason, len(server.got), len(receiver.got)) == (Reason.MISCONFIGURED, 1, 1)


@pytest.mark.parametrize(
    ("status", "error", "mend"),
    [
        (401, "invalid_client", "check client_id, client_secret and auth"),
        (400, "invalid_client", "check client_id, client_secret and auth"),
        (400, "invalid_scope", "scope is not one"),
        (400, "invalid_request", "perhaps scope or audience"),
        (400, "invalid_target", "audience is not one"),
        (400, "unauthorized_client", "allow it that grant"),
        (400, "unsupported_grant_type", "check token_url"),
        (403, "access_denied", "grant it access"),
        (400, "acme:quota", "check token_url"),
        (404, "", "nothing is there: check token_url"),
        (410, "", "check token_url"),
        (302, "", "set token_url to where it moved"),
    ],
)
async def test_a_refusal_says_which_and_what_to_mend(status, error, mend, server, receiver) -> None:
    server.answer = refusal(status, error, "as the administrator knows")

    outcome = await send(server, receiver)

    assert (outcome.verdict, outcome.reason, outcome.status, receiver.got) == (
        Verdict.RETRYABLE,
        Reason.MISCONFIGURED,
        status,
        [],
    )
    place = f"sinks.ci.oauth2: no access token from {server.url}: HTTP {status}: "
    assert outcome.detail.startswith(place + (f"{error}: " if error else ""))
    assert mend in outcome.detail
    assert "as the administrator knows" in outcome.detail


@pytest.mark.parametrize(
    ("answer", "reason", "wait"),
    [
        (Answer(500), Reason.SERVER_ERROR, None),
        (Answer(503, {"Retry-After": "70"}), Reason.SERVER_ERROR, 70_000),
        (Answer(429, {"Retry-After": "9"}), Reason.RATE_LIMITED, 9_000),
        (Answer(400, {"Retry-After": "8"}), Reason.MISCONFIGURED, 8_000),
    ],
)
async def test_a_server_that_is_in_trouble_is_given_time(answer, reason, wait, server, receiver) -> None:
    server.answer = answer

    outcome = await send(server, receiver)

    assert (outcome.verdict, outcome.reason, outcome.retry_after_ms) == (Verdict.RETRYABLE, reason, wait)
    assert "no access token from" in outcome.detail
    assert receiver.got == []


async def test_a_server_that_does_not_answer_is_a_failed_attempt_of_that_kind(receiver) -> None:
    class Gone:
        url = f"http://127.0.0.1:{free_port()}"

    outcome = await send(Gone, receiver)

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.CONNECT)
    assert outcome.detail.startswith(f"sinks.ci.oauth2: no access token from {Gone.url}: ")


async def test_a_server_that_breaks_off_is_a_failed_attempt_of_that_kind(receiver) -> None:
    raw = RawReceiver(b"nonsense\r\n")

    outcome = await send(raw, receiver, token_url=f"{raw.url}token")

    raw.stop()
    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.PROTOCOL)


async def test_asking_for_a_token_is_part_of_the_one_attempt_and_its_timeout(server, receiver) -> None:
    receiver.answer = Answer(204, delay=5.0)
    async with Client() as client:
        outcome = await built("http", client, 1_000, **own(server, receiver)).deliver(DELIVERY)

    assert outcome.reason is Reason.TIMEOUT


async def test_a_server_that_hangs_is_told_from_a_receiver_that_hangs(server, receiver) -> None:
    server.answer = Answer(200, delay=5.0)
    async with Client() as client:
        outcome = await built("http", client, 300, **own(server, receiver)).deliver(DELIVERY)

    assert (outcome.reason, receiver.got) == (Reason.TIMEOUT, [])
    assert outcome.detail == f"no access token from {server.url} within 0.3 s"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>Sign in</html>", "the answer is no JSON"),
        (b"[" * 100_000, "the answer is no JSON"),
        (b"[]", "the answer has no access_token"),
        (b'{"token_type": "Bearer"}', "the answer has no access_token"),
        (b'{"access_token": "", "token_type": "Bearer"}', "the answer has no access_token"),
        (b'{"access_token": "two\\nlines", "token_type": "Bearer"}', "a character that no header takes"),
        (b'{"access_token": "t", "token_type": "DPoP"}', "token_type is DPoP, and only Bearer"),
        (b'{"access_token": "t", "token_type": {"a": 1}}', "token_type is something else, and only Bearer"),
    ],
)
async def test_an_answer_without_a_usable_token_is_said_to_be_that(body, why, server, receiver) -> None:
    server.answer = Answer(200, {"Content-Type": "application/json"}, body)

    outcome = await send(server, receiver)

    assert (outcome.verdict, outcome.reason, outcome.status) == (
        Verdict.RETRYABLE,
        Reason.MISCONFIGURED,
        200,
    )
    assert why in outcome.detail
    assert outcome.detail.endswith(": check token_url")
    assert (len(server.got), receiver.got) == (1, [])


@pytest.mark.parametrize("lasts", ["NaN", "Infinity", '"soon"', "[]", "true", "1e999", "-1"])
def test_nonsense_about_how_long_a_token_lasts_does_no_harm(lasts) -> None:
    body = f'{{"access_token": "t", "expires_in": {lasts}}}'.encode()

    kept = kept_of(body, NOW)

    assert isinstance(kept, Kept)
    assert NOW < kept.until <= NOW + 24 * 3_600_000


def test_a_token_does_not_show_where_it_is_kept() -> None:
    assert "t0ken" not in repr(Kept("t0ken", 1))


@pytest.mark.parametrize("auth", ["basic", "post"])
async def test_no_secret_shows_in_an_outcome_or_a_trial(auth, server, receiver) -> None:
    server.answer.auth, server.answer.prefix = auth, "t0ken&/+="
    receiver.answer = lambda got: Answer(400, {}, json.dumps(dict(got.headers)).encode())
    async with Client() as client:
        recording = RecordingTransport(client)
        outcome = await built("http", recording, **own(server, receiver, auth=auth)).deliver(DELIVERY)

    shown = json.dumps(trial_document(Trial(tuple(recording.exchanges), outcome), sends=True)) + repr(outcome)
    assert outcome.verdict is Verdict.REJECTED
    assert [one.request.url for one in recording.exchanges] == [
        f"{server.url}/oauth/token",
        f"{receiver.url}/hook",
    ]
    for hidden in ("t0ken", "s3cret", "Value", server.got[0].headers.get("authorization", "Basic ?")[6:]):
        assert hidden not in shown
    assert '"Bearer ***"' in shown


async def test_a_refusal_that_echoes_the_request_shows_no_secret(server, receiver) -> None:
    def echo(got) -> Answer:
        described = f"{got.headers['authorization']} {SECRET} {got.raw.decode()} " + "long " * 200
        return refusal(401, "invalid_client", described)

    server.answer = echo

    outcome = await send(server, receiver)

    assert "invalid_client" in outcome.detail
    assert "s3cret" not in outcome.detail
    assert server.got[0].headers["authorization"][6:] not in outcome.detail
    assert len(outcome.detail) < 600


async def test_a_dry_run_shows_both_requests_and_sends_none(server, receiver) -> None:
    recording = RecordingTransport(NoTransport())

    outcome = await built("http", recording, **own(server, receiver, auth="post")).deliver(DELIVERY)

    document = trial_document(Trial(tuple(recording.exchanges), outcome), sends=False)
    first, second = (one["request"] for one in document["exchanges"])
    assert first["body"] == "grant_type=client_credentials&client_id=bridge%3A1+%26x&client_secret=***"
    assert second["headers"]["Authorization"] == "Bearer ***"
    assert (server.got, receiver.got) == ([], [])


async def test_the_token_endpoint_is_reached_as_the_sink_is(server, receiver, tmp_path) -> None:
    authority = Authority(tmp_path)
    safe = TlsReceiver(*authority.issue("server", "127.0.0.1"))
    safe.answer = server.answer
    tls = Access(tls=TlsSettings(ca_file=str(authority.ca_file)))

    trusted = await send(safe, receiver, access=tls)
    untrusted = await send(safe, receiver)
    safe.stop()
    elsewhere = Access(targets=Targets.of(["127.0.0.0/8"]), hosts_key="sinks.ci.allowed_hosts")
    forbidden = await send(server, receiver, access=elsewhere, token_url="http://10.0.0.1/token")

    assert trusted.verdict is Verdict.DELIVERED
    assert (untrusted.verdict, untrusted.reason) == (Verdict.RETRYABLE, Reason.TLS)
    assert (forbidden.verdict, forbidden.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert "sinks.ci.allowed_hosts allows no 10.0.0.1" in forbidden.detail


async def test_each_secret_is_known_by_its_key_and_missed_by_it(server, receiver, monkeypatch) -> None:
    secrets = settings_of("http", **own(server, receiver, client_id=HERE)).secrets()
    assert list(secrets) == ["oauth2.client_id", "oauth2.client_secret"]
    monkeypatch.delenv("CLIENT_SECRET")

    outcome = await send(server, receiver)

    assert (outcome.reason, server.got, receiver.got) == (Reason.SECRET, [], [])
    assert outcome.detail.startswith("sinks.ci.oauth2.client_secret: ")


CLIENT = {"token_url": "https://id/token", "client_id": "bridge", "client_secret": HERE}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"bearer": HERE}, "cannot go with bearer"),
        ({"basic_auth": {"username": "x", "password": HERE}}, "cannot go with basic_auth"),
        ({"headers": {"authorization": HERE}}, "cannot go with headers.authorization"),
    ],
)
def test_a_request_has_one_authorization(more, said) -> None:
    with pytest.raises(ValidationError) as found:
        settings_of("http", url="https://h/hook", oauth2=CLIENT, **more)

    (fault,) = found.value.errors()
    assert fault["loc"] == ("oauth2",)
    assert said in fault["msg"]


@pytest.mark.parametrize(
    ("oauth2", "key"),
    [
        ({"token_url": "id.example.com"}, "token_url"),
        ({"token_url": "https://u:p@id/token"}, "token_url"),
        ({"token_url": "https://id/token#x"}, "token_url"),
        ({"client_secret": "plain"}, "client_secret"),
        ({"client_id": ""}, "client_id"),
        ({"scope": ""}, "scope"),
        ({"scope": "two  blanks"}, "scope"),
        ({"scope": 'quo"ted'}, "scope"),
        ({"audience": ""}, "audience"),
        ({"auth": "digest"}, "auth"),
        ({"client_secet": HERE}, "client_secet"),
    ],
    ids=str,
)
def test_what_cannot_work_is_found_when_it_is_configured(oauth2, key) -> None:
    with pytest.raises(ValidationError) as found:
        settings_of("http", url="https://h/hook", oauth2={**CLIENT, **oauth2})

    assert {fault["loc"][:2] for fault in found.value.errors()} == {("oauth2", key)}


def test_the_documented_table_is_one_with_everything_in_it_too() -> None:
    page = (Path(__file__).parents[3] / "docs/formats.md").read_text()
    (block,) = (
        text for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[sinks.oauth2]" in text
    )
    sink = '[[sinks]]\nname = "ci"\ntype = "http"\nurl = "https://ci"\n'

    for text in (block, re.sub(r"^# ", "", block, flags=re.MULTILINE)):
        client = SETTINGS["http"].model_validate(tomllib.loads(sink + text)["sinks"][0]).oauth2
        assert client.token_url == "https://id.example.com/oauth2/token"
    assert (client.scope, client.audience) == ("hooks.write deploy", "https://ci.example.com")
