"""Bodies of answers: compressed though nobody asked, slow, broken off, in other character sets, or no text at all."""

import asyncio
import gzip
import json
import socket
import time
import zlib
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.receiver import Answer, RawReceiver, Receiver
from support.sinks import DELIVERY, built

from bridge.delivery.attempt_outcome import Reason, Verdict
from bridge.sinks.base import Request, Response
from bridge.sinks.transport import http_client as client_module
from bridge.sinks.transport.http_client import Client
from bridge.sinks.transport.response_bodies import as_text, decoded

TOKEN = json.dumps({"access_token": "t0k", "token_type": "Bearer", "expires_in": 60}).encode()
RAW = zlib.compressobj(wbits=-15)
CODED: dict[str, tuple[str, bytes]] = {
    "gzip": ("gzip", gzip.compress(TOKEN)),
    "GZIP": ("GZIP", gzip.compress(TOKEN)),
    "x-gzip": ("x-gzip", gzip.compress(TOKEN)),
    "deflate": ("deflate", zlib.compress(TOKEN)),
    "deflate, raw": ("deflate", RAW.compress(TOKEN) + RAW.flush()),
    "deflate that is gzip": ("deflate", gzip.compress(TOKEN)),
    "gzip that is deflate": ("gzip", zlib.compress(TOKEN)),
    "gzip twice": ("gzip, gzip", gzip.compress(gzip.compress(TOKEN))),
    "gzip in two members": ("gzip", gzip.compress(TOKEN[:9]) + gzip.compress(TOKEN[9:])),
    "gzip with something behind": ("gzip", gzip.compress(TOKEN) + b"\0\0\0\0"),
    "gzip cut in its checksum": ("gzip", gzip.compress(TOKEN)[:-6]),
    "said to be gzip, and plain": ("gzip", TOKEN),
    "said to be deflate, and plain": ("deflate", TOKEN),
    "identity": ("identity", TOKEN),
    "UTF-8 in the wrong place": ("utf-8", TOKEN),
    "an empty coding": ("", TOKEN),
}  # fmt: skip


@pytest.fixture
def token_server(monkeypatch):
    monkeypatch.setenv("CLIENT_SECRET", "s3cret")
    server = Receiver()
    yield server
    server.stop()


async def delivered_with_a_token(url: str, receiver: Receiver, timeout_ms: int = 10_000):
    oauth2 = {"token_url": f"{url}/token", "client_id": "c", "client_secret": {"env": "CLIENT_SECRET"}}
    async with Client() as client:
        sink = built("http", client, timeout_ms, url=f"{receiver.url}/hook", oauth2=oauth2)
        return await sink.deliver(DELIVERY)


@pytest.mark.parametrize(("coding", "body"), CODED.values(), ids=list(CODED))
async def test_a_token_that_comes_compressed_is_used(coding, body, token_server, receiver) -> None:
    token_server.answer = Answer(200, {"Content-Encoding": coding}, body)

    outcome = await delivered_with_a_token(token_server.url, receiver)

    assert outcome.verdict is Verdict.DELIVERED, outcome
    assert receiver.got[0].headers["authorization"] == "Bearer t0k"
    assert token_server.got[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("bom", ["utf-8-sig", "utf-16"])
async def test_a_token_behind_a_byte_order_mark_is_used(bom, token_server, receiver) -> None:
    token_server.answer = Answer(200, {}, TOKEN.decode().encode(bom))

    assert (await delivered_with_a_token(token_server.url, receiver)).verdict is Verdict.DELIVERED


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, br"])
async def test_a_compression_that_is_not_known_is_named(coding, token_server, receiver) -> None:
    token_server.answer = Answer(200, {"Content-Encoding": coding}, b"\x0b\x02\x80hi\x03")

    outcome = await delivered_with_a_token(token_server.url, receiver)

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert f"the answer is compressed ({coding.split()[-1]})" in outcome.detail


async def test_a_token_that_breaks_off_is_a_broken_connection(monkeypatch, receiver) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "s3cret")
    raw = RawReceiver(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + TOKEN[:20])

    outcome = await delivered_with_a_token(raw.url.rstrip("/"), receiver)

    raw.stop()
    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.PROTOCOL)
    assert "HTTP 200: the answer broke off" in outcome.detail


class Slow:
    """Sends the head of an answer at once, and its body later."""

    def __init__(self, body: bytes, seconds: float) -> None:
        self._body, self._seconds = body, seconds
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self._body))
                    time.sleep(self._seconds)
                    connection.sendall(self._body)
        except OSError:
            pass


async def test_a_token_is_waited_for_as_long_as_the_attempt_may_take(monkeypatch, receiver) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "s3cret")
    monkeypatch.setattr(client_module, "_BODY_S", 0.05)
    slow = Slow(TOKEN, 0.5)

    outcome = await delivered_with_a_token(slow.url, receiver, 30_000)
    late = await delivered_with_a_token(slow.url, receiver, 200)

    slow.stop()
    assert outcome.verdict is Verdict.DELIVERED, outcome
    assert (late.verdict, late.reason) == (Verdict.RETRYABLE, Reason.TIMEOUT)


async def test_a_body_that_nobody_needs_is_not_waited_for(monkeypatch) -> None:
    monkeypatch.setattr(client_module, "_BODY_S", 0.05)
    slow = Slow(b"hi", 20)
    async with Client() as client, asyncio.timeout(15):
        got = await client.post(Request(slow.url, {}, b"{}", 60_000))
    slow.stop()

    assert isinstance(got, Response), got
    assert (got.status, got.body, got.is_whole) == (200, b"", False)


async def shown(answer: Answer, **more) -> Response:
    receiver = Receiver(answer)
    async with Client() as client:
        got = await client.post(Request(f"{receiver.url}/", {}, b"{}", 10_000, **more))
    receiver.stop()
    assert isinstance(got, Response), got
    return got


LATIN = "text/plain; charset=ISO-8859-1"
TEXTS: dict[str, tuple[dict[str, str], bytes, str]] = {
    "gzip": ({"Content-Encoding": "gzip"}, gzip.compress(b"no such branch"), "no such branch"),
    "gzip, cut off": ({"Content-Encoding": "gzip"}, gzip.compress(b"no " * 20, 0)[:20], "no no no no"[:5]),
    "brotli": ({"Content-Encoding": "br"}, b"\x0b\x02\x80hi\x03", "(its body is compressed: br)"),
    "latin-1": ({"Content-Type": LATIN}, "clé refusée".encode("latin-1"), "clé refusée"),
    "a charset in quotes": ({"Content-Type": 'a/b; charset="utf-16"'}, "clé".encode("utf-16-le"), "clé"),
    "a charset that nobody knows": ({"Content-Type": "a/b; charset=klingon"}, b"no", "no"),
    "a charset that is a codec": ({"Content-Type": "a/b; charset=hex"}, b"6e6f", "6e6f"),
    "UTF-16 with its mark": ({}, "refusée".encode("utf-16"), "refusée"),
    "UTF-8 with its mark": ({}, "refusée".encode("utf-8-sig"), "refusée"),
    "latin-1 without a word of it": ({}, "le jeton est absent, clé refusée".encode("latin-1"), "le jeton est absent, cl� refus�e"),
    "an image": ({"Content-Type": "image/png"}, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x05\0\0\0\x03", ""),
    "noise": ({}, bytes(range(128, 256)), ""),
    "lines": ({}, b"no\r\nsuch\tbranch\n", "no  such branch"),
}  # fmt: skip


@pytest.mark.parametrize(("headers", "body", "text"), TEXTS.values(), ids=list(TEXTS))
async def test_a_refusal_is_shown_as_it_was_meant(headers, body, text) -> None:
    got = await shown(Answer(400, headers, body))

    assert got.excerpt.startswith(text)
    assert bool(got.excerpt) == bool(text)


async def test_secrets_in_compressed_answers_are_masked() -> None:
    got = await shown(
        Answer(400, {"Content-Encoding": "gzip"}, gzip.compress(b"you sent s3cret-x!")), secrets=("s3cret-x",)
    )

    assert got.excerpt == "you sent ***!"


async def test_a_bomb_is_read_no_further_than_is_of_interest() -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 200_000_000))

    assert len(bomb) < 2_000
    got = await shown(Answer(200, {"Content-Encoding": "gzip, gzip"}, bomb), reads=65_536)

    assert len(got.body) == 65_536


@given(
    st.binary(max_size=300),
    st.sampled_from(["gzip", "deflate", "gzip, deflate", "br", "\x00, é"]),
    st.integers(0, 500),
)
def test_any_bytes_are_decoded_to_no_more_than_the_limit(body, coding, limit) -> None:
    found, _ = decoded(body, {"content-encoding": coding}, limit)

    assert len(found) <= limit


@given(st.binary(max_size=300), st.text(max_size=30))
def test_any_bytes_in_any_character_set_become_one_line(body, charset) -> None:
    assert all(
        char.isprintable() for char in as_text(body, {"content-type": f"text/plain; charset={charset}"})
    )
