"""The client, and what ``http`` sends. What holds for every sink is in test_contract.py."""

import base64
import hashlib
import hmac
import ssl

import pytest
from support.receiver import Answer
from support.sinks import NOW, attempt

from bridge.sinks.base import Request, Response
from bridge.sinks.client import Client

SECRET = "s3cret-Token/+="


async def test_at_least_tls_1_2_is_asked_for() -> None:
    async with Client() as client:
        context = client._connection("https://ci.example.com")._pool._ssl_context
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.verify_mode == ssl.CERT_REQUIRED


async def test_connections_are_kept_for_the_next_delivery(receiver) -> None:
    receiver.answer = Answer(200, body=b"thanks")
    async with Client() as client:
        for _ in range(3):
            request = Request(f"{receiver.url}/", {}, b"{}", 1_000)
            assert isinstance(await client.post(request), Response)
        connections = client._network.connections
        assert len(connections) == 1
        async with connections.lent(client, f"{receiver.url} ", lambda: pytest.fail("none is kept")) as http:
            assert len(http._pool.connections) == 1


async def test_the_signature_is_what_mlflow_itself_would_send(receiver, monkeypatch) -> None:
    from mlflow.webhooks.delivery import _generate_hmac_signature

    monkeypatch.setenv("SINK_SECRET", SECRET)
    await attempt("http", url=f"{receiver.url}/hook", secret={"env": "SINK_SECRET"})

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
    await attempt("http", url=f"{receiver.url}/hook")

    assert "x-mlflow-signature" not in receiver.got[0].headers
