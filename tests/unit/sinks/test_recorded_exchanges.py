"""What is shown of a request is what is sent, but for its secrets."""

import pytest
from support.receiver import Receiver

from bridge.delivery.attempt_outcome import Outcome, delivered
from bridge.delivery.secret_masking import mask
from bridge.sinks.base import Request, Response
from bridge.sinks.request_masking import masked_headers, masked_url
from bridge.sinks.transport.exchange_recorder import NoTransport, RecordingTransport
from bridge.sinks.transport.http_client import Client

REQUEST = Request("http://h/hook", {"X": "1"}, b"body", 1_000)


async def test_a_recording_transport_keeps_what_it_passes_on_and_the_answer() -> None:
    receiver = Receiver()
    async with Client() as client:
        recording = RecordingTransport(client)
        request = Request(f"{receiver.url}/hook", {"X-A": "1"}, b'{"a": 1}', 2_000)
        answer = await recording.post(request)
    receiver.stop()

    (one,) = recording.exchanges
    assert (one.request, one.answer) == (request, answer)
    assert isinstance(answer, Response)
    (got,) = receiver.got
    assert (got.raw, got.headers["x-a"], got.path) == (b'{"a": 1}', "1", "/hook")


async def test_what_was_not_answered_is_kept_with_its_outcome() -> None:
    recording = RecordingTransport(NoTransport())

    assert await recording.post(REQUEST) == delivered()
    assert [type(one.answer) for one in recording.exchanges] == [Outcome]


@pytest.mark.parametrize(
    ("spelled", "secret"),
    [
        ('a "b" s/1', "s/1"),
        ("s%2F1", "s/1"),
        ("s/1%26", "s/1&"),
        ("s%2F1%26", "s/1&"),
        ("a+b", "a b"),
        (r"a\"b", 'a"b'),
        (r"a\u00e9", "a\u00e9"),
        (r"a\ud800", "a\ud800"),
    ],
)
def test_a_secret_is_masked_however_it_is_spelled(spelled, secret) -> None:
    assert mask(f"<{spelled}>", (secret, "")).replace('a "b" ', "") == "<***>"


def test_headers_that_carry_secrets_are_masked_whatever_is_in_them() -> None:
    headers = {
        "Authorization": "Bearer abc",
        "proxy-authorization": "Basic dTpw",
        "PRIVATE-TOKEN": "glpat",
        "X-Api-Key": "k",
        "Cookie": "a=b",
        "X-Company": "s3cret!",
        "X-MLflow-Signature": "v1,abc=",
    }

    assert masked_headers(headers, ("s3cret",)) == {
        "Authorization": "Bearer ***",
        "proxy-authorization": "Basic ***",
        "PRIVATE-TOKEN": "***",
        "X-Api-Key": "***",
        "Cookie": "***",
        "X-Company": "***!",
        "X-MLflow-Signature": "v1,abc=",
    }


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h:8443/hooks/mlflow", "https://h:8443/hooks/mlflow"),
        ("https://h/repos/acme/deploy/dispatches", "https://h/repos/acme/deploy/dispatches"),
        ("https://h/services/T0/B0/abcdefghij0123456789", "https://h/services/T0/B0/***"),
        ("https://h/x?token=abc&y=1&flag#f", "https://h/x?token=***&y=***&***"),
        ("https://h/s3cret/x", "https://h/***/x"),
    ],
)
def test_of_a_url_neither_the_query_nor_what_looks_like_a_key_is_shown(url, shown) -> None:
    assert masked_url(url, ("s3cret",)) == shown
