"""The client, and what ``http`` sends. What holds for every sink is in test_contract.py."""

import asyncio
import base64
import hashlib
import hmac
import select
import socket
import ssl

import pytest
from support.receiver import Answer
from support.sinks import NOW, attempt
from support.until import eventually

from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.sinks.base import Request, Response
from bridge.sinks.transport.http_client import Client

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
            assert http._inner.is_idle()


@pytest.mark.parametrize("status", [200, 500])
async def test_after_an_answer_that_was_not_read_whole_the_next_request_has_another_connection(
    receiver, status
) -> None:
    receiver.answer = Answer(status, body=b"x" * 20_000)
    async with Client() as client:
        for _ in range(4):
            answer = await client.post(Request(f"{receiver.url}/", {}, b"{}", 1_000))
            assert isinstance(answer, Response)
            assert (answer.status, answer.is_whole) == (status, False)
    assert len(receiver.got) == 4


async def closing_server(answer: bytes) -> asyncio.Server:
    """Serve on a free port: read a request, give the answer, and close the connection without a word."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    return server.sockets[0].getsockname()[1]


async def test_a_connection_that_the_receiver_closed_is_replaced_before_the_next_request() -> None:
    async with (
        await closing_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as server,
        Client() as client,
    ):
        request = Request(f"http://127.0.0.1:{port_of(server)}/", {}, b"{}", 1_000)
        for _ in range(3):
            assert isinstance(await client.post(request), Response)
            await asyncio.sleep(0.1)


async def test_a_tunnel_that_broke_off_is_not_used_again(monkeypatch) -> None:
    async with await closing_server(b"HTTP/1.1 200 OK\r\n\r\n") as server, Client() as client:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port_of(server)}")
        for _ in range(3):
            outcome = await client.post(Request("https://ci.example.com/", {}, b"{}", 1_000))
            assert isinstance(outcome, Outcome)
            assert outcome.reason in {Reason.TLS, Reason.CONNECT, Reason.PROTOCOL}, outcome


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


@pytest.mark.parametrize("value", ["a\nX-Forged: b", "a\r\n\r\n", "a\0b"])
async def test_a_header_that_no_header_takes_is_not_sent(value, receiver) -> None:
    async with Client() as client:
        got = await client.post(Request(f"{receiver.url}/", {"X": value}, b"{}", 9_000))

    assert isinstance(got, Outcome)
    assert (got.reason, receiver.came) == (Reason.INTERNAL, 0)
    assert "a header holds what no header takes" in got.detail


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("", "/"),
        ("?a=b", "/?a=b"),
        ("/a?b=c&d=%20", "/a?b=c&d=%20"),
        ("/a%2Fb/c;d=e?f=g/h", "/a%2Fb/c;d=e?f=g/h"),
        ('/a"<>`{}?b="<>', "/a%22%3C%3E%60%7B%7D?b=%22%3C%3E"),
        ("/a|b^c\\d[e]", "/a|b^c\\d[e]"),
        ("/a#not-sent", "/a"),
    ],
)
async def test_a_url_goes_out_as_it_is_written(asked, sent, receiver) -> None:
    async with Client() as client:
        assert isinstance(await client.post(Request(f"{receiver.url}{asked}", {}, b"{}", 9_000)), Response)

    assert receiver.got[0].path == sent
    assert receiver.got[0].headers["host"] == receiver.url.removeprefix("http://")
    assert receiver.got[0].headers["content-length"] == "2"


@pytest.mark.parametrize("url", ["http://h:x/", "http://h:99999/", "ftp://h/", "//h/", "http:///x"])
async def test_what_is_no_url_is_no_connection(url) -> None:
    async with Client() as client:
        got = await client.post(Request(url, {}, b"{}", 9_000))
        assert not client._network.connections._in_use

    assert isinstance(got, Outcome)
    assert got.reason is Reason.CONNECT


async def test_a_connection_that_is_not_made_in_time_is_told_from_an_answer_that_does_not_come() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:  # its queue is full: nobody accepts
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        await eventually(lambda: select.select([], waiting, [], 0)[1])  # one is through: the queue is full
        async with Client() as client:
            outcome = await client.post(Request(f"http://127.0.0.1:{port}/", {}, b"{}", 1_000))
        for one in waiting:
            one.close()

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.TIMEOUT)
    assert f"no connection to 127.0.0.1:{port} in time" in outcome.detail
