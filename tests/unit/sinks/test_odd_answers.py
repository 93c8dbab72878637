"""Answers that RFC 9112 forbids, and that browsers and curl bear: the status that came is the answer."""

import gzip
import socket
from itertools import pairwise
from threading import Thread

import h11
import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.receiver import RawReceiver

from bridge.delivery.attempt_outcome import Outcome, Reason
from bridge.sinks.base import Request, Response
from bridge.sinks.transport.http_client import Client
from bridge.sinks.transport.response_heads import read_head, status_in
from bridge.sinks.transport.response_normalization import ResponseReader

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HI = b"2\r\nhi\r\n0\r\n\r\n"

ODD: dict[str, tuple[bytes, int, bytes]] = {
    # Framing
    "doubled Transfer-Encoding": (OK + CHUNKED * 2 + b"\r\n" + HI, 200, b"hi"),
    "Transfer-Encoding chunked, chunked": (OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + HI, 200, b"hi"),
    "Transfer-Encoding in capitals": (OK + b"TRANSFER-ENCODING: Chunked\r\n\r\n" + HI, 200, b"hi"),
    "Transfer-Encoding identity": (OK + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "Transfer-Encoding unknown": (OK + b"Transfer-Encoding: fancy\r\n\r\nhi", 200, b"hi"),
    "Transfer-Encoding and Content-Length": (OK + CHUNKED + LENGTH + b"\r\n" + HI, 200, b"hi"),
    "doubled Content-Length, the same": (OK + LENGTH * 2 + b"\r\nhi", 200, b"hi"),
    "Content-Length as a list": (OK + b"Content-Length: 2, 2\r\n\r\nhi", 200, b"hi"),
    "Content-Lengths that differ": (OK + LENGTH + b"Content-Length: 3\r\n\r\nhi", 200, b"hi"),
    "negative Content-Length": (OK + b"Content-Length: -1\r\n\r\nhi", 200, b"hi"),
    "Content-Length that is no number": (OK + b"Content-Length: two\r\n\r\nhi", 200, b"hi"),
    "Content-Length without a value": (OK + b"Content-Length:\r\n\r\nhi", 200, b"hi"),
    "Content-Length beyond all bounds": (OK + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nhi", 200, b"hi"),
    "Content-Length with a sign": (OK + b"Content-Length: +2\r\n\r\nhi", 200, b"hi"),
    "Content-Length that is too long": (OK + b"Content-Length: 9\r\n\r\nhi", 200, b"hi"),
    "neither length nor chunks": (OK + b"\r\nhi", 200, b"hi"),
    "no headers at all": (OK + b"\r\n", 200, b""),
    "more than its length": (OK + LENGTH + b"\r\nhi and more", 200, b"hi"),
    "204 with a body": (b"HTTP/1.1 204 No Content\r\n" + LENGTH + b"\r\nhi", 204, b""),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\n" + LENGTH + b"\r\n", 304, b""),
    "205 with a body": (b"HTTP/1.1 205 Reset\r\n" + LENGTH + b"\r\nhi", 205, b"hi"),
    # Chunks
    "chunk extensions": (OK + CHUNKED + b'\r\n2;a=b;c="d;e"\r\nhi\r\n0;x\r\n\r\n', 200, b"hi"),
    "blanks after a size": (OK + CHUNKED + b"\r\n2  \r\nhi\r\n0\r\n\r\n", 200, b"hi"),
    "a size with zeros before it": (OK + CHUNKED + b"\r\n0002\r\nhi\r\n000\r\n\r\n", 200, b"hi"),
    "chunks with bare line feeds": (OK + CHUNKED + b"\r\n2\nhi\n0\n\n", 200, b"hi"),
    "trailers": (OK + CHUNKED + b"\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n", 200, b"hi"),
    "no end after the last chunk": (OK + CHUNKED + b"\r\n2\r\nhi\r\n0\r\n", 200, b"hi"),
    "chunks that break off": (OK + CHUNKED + b"\r\n2\r\nhi\r\n9\r\n", 200, b"hi"),
    "a chunk of no size": (OK + CHUNKED + b"\r\n2\r\nhi\r\nzz\r\n", 200, b"hi"),
    "no chunks where some are announced": (OK + CHUNKED + b"\r\n<html>", 200, b""),
    # Lines
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", 200, b"hi"),
    "line ends that are mixed": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nhi", 200, b"hi"),
    "a header without a colon": (OK + b"Oops\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "a header without a name": (OK + b": x\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "a blank before the colon": (OK + b"Content-Length : 2\r\n\r\nhi", 200, b"hi"),
    "a blank in a name": (OK + b"X Y: z\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "a folded header": (OK + b"X: a\r\n b\r\n\tc\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "a fold before the first header": (OK + b"  X: a\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "a header with NUL": (OK + b"X: a\0b\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "a header with controls": (OK + b"X: \x01\x0b\x7f\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "a header that is not ASCII": (OK + "X: é\r\n".encode("latin-1") + LENGTH + b"\r\nhi", 200, b"hi"),
    "a name that is not ASCII": (OK + "É: x\r\n".encode() + LENGTH + b"\r\nhi", 200, b"hi"),
    "a doubled header": (OK + b"Content-Type: a/b\r\n" * 2 + LENGTH + b"\r\nhi", 200, b"hi"),
    "a huge header": (OK + b"X: " + b"x" * 60_000 + b"\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "a thousand headers": (OK + b"".join(b"X-%d: y\r\n" % n for n in range(1_000)) + LENGTH + b"\r\nhi", 200, b"hi"),
    # Status lines
    "no reason": (b"HTTP/1.1 200\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "a blank for a reason": (b"HTTP/1.1 200 \r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "a reason that is not ASCII": ("HTTP/1.1 404 não\r\n".encode() + LENGTH + b"\r\nhi", 404, b"hi"),
    "a reason with controls": (b"HTTP/1.1 200 \x01\x02\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "blanks in a row": (b"HTTP/1.1   200   OK\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "a tab": (b"HTTP/1.1\t200\tOK\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "small letters": (b"http/1.1 200 ok\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhi", 200, b"hi"),
    "HTTP/1.0 with chunks": (b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n" + HI, 200, b"hi"),
    "HTTP/1.2": (b"HTTP/1.2 200 OK\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "HTTP/2 in words": (b"HTTP/2 200\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "no version": (b"HTTP 200 OK\r\n" + LENGTH + b"\r\nhi", 200, b"hi"),
    "ICY": (b"ICY 200 OK\r\n\r\nhi", 200, b"hi"),
    "empty lines before it": (b"\r\n\r\n" + OK + LENGTH + b"\r\nhi", 200, b"hi"),
    "a byte order mark before it": (b"\xef\xbb\xbf" + OK + LENGTH + b"\r\nhi", 200, b"hi"),
    "299": (b"HTTP/1.1 299 Odd\r\n" + LENGTH + b"\r\nhi", 299, b"hi"),
    "600": (b"HTTP/1.1 600 Odd\r\n" + LENGTH + b"\r\nhi", 600, b"hi"),
    "999": (b"HTTP/1.1 999 Denied\r\n" + LENGTH + b"\r\nhi", 999, b"hi"),
    # Answers before the answer
    "100 Continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH + b"\r\nhi", 200, b"hi"),
    "103 Early Hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK + LENGTH + b"\r\nhi", 200, b"hi"),
    "102 ten times": (b"HTTP/1.1 102 Processing\r\n\r\n" * 10 + OK + LENGTH + b"\r\nhi", 200, b"hi"),
    "101 that nobody asked for": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", 101, b""),
    # Ends
    "an end in the reason": (b"HTTP/1.1 503 Serv", 503, b""),
    "an end after the status": (b"HTTP/1.1 200", 200, b""),
    "an end in a header": (OK + b"Retry-Aft", 200, b""),
    "an end before the empty line": (OK + LENGTH, 200, b""),
    "a body in place of headers": (OK + b'{"ok": true}', 200, b""),
}  # fmt: skip


async def answer_to(answer: bytes, **how) -> Response | Outcome:
    receiver = RawReceiver(answer, **how)
    async with Client() as client:
        got = await client.post(Request(receiver.url, {}, b"{}", 10_000))
    receiver.stop()
    return got


@pytest.mark.parametrize(("answer", "status", "body"), ODD.values(), ids=list(ODD))
async def test_the_status_that_came_is_the_answer(answer, status, body) -> None:
    got = await answer_to(answer)

    assert isinstance(got, Response), got
    assert (got.status, got.body) == (status, body)


@pytest.mark.parametrize(
    "name", ["doubled Transfer-Encoding", "a folded header", "no reason", "an end in a header"]
)
async def test_a_connection_that_is_reset_after_the_status_changes_nothing(name) -> None:
    answer, status, _ = ODD[name]

    got = await answer_to(answer, reset=True)

    assert isinstance(got, Response), got
    assert got.status == status


async def test_an_answer_that_comes_before_the_request_was_read_counts() -> None:
    receiver = RawReceiver(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", reset=True)
    async with Client() as client:
        got = await client.post(Request(receiver.url, {}, b"x" * 300_000, 30_000))
    receiver.stop()

    assert isinstance(got, Response), got
    assert got.status == 413


async def test_headers_that_never_end_leave_the_status() -> None:
    receiver = RawReceiver(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nX: ", hang=60)
    async with Client() as client:
        got = await client.post(Request(receiver.url, {}, b"{}", 500))
    receiver.stop()

    assert isinstance(got, Response), got
    assert (got.status, got.headers["retry-after"]) == (503, "7")


async def test_odd_headers_are_read_as_far_as_they_go() -> None:
    got = await answer_to(
        b"HTTP/1.1 429 Slow\nX Y: no\nRetry-After : 7\nRETRY-AFTER: 9\nX-A: b\n c\nX-B: d\nx-b: d\nx-b: e\n\n"
    )

    assert isinstance(got, Response), got
    assert {"retry-after": "7", "x-a": "b c", "x-b": "d, e"}.items() <= got.headers.items()
    assert "x y" not in got.headers


NO_ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "a banner of ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a page without a head": b"<html><title>HTTP/1.1 200 OK</title></html>",
    "a greeting of mail": b"220 mail.example.com ESMTP\r\n",
    "an error of Redis": b"-ERR wrong number of arguments\r\n",
    "frames of HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80",
    "an alert of TLS": b"\x15\x03\x01\x00\x02\x02\x16",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status with a sign": b"HTTP/1.1 -200 OK\r\n\r\n",
    "a status below 100": b"HTTP/1.1 099 OK\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 OK\r\n\r\n",
    "the beginning of a status": b"HTTP/1.1 20",
    "only 100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "headers of no answer": b"Content-Type: text/html\r\n\r\nhi",
    "endless headers": OK + b"".join(b"X-%d: %b\r\n" % (n, b"y" * 90) for n in range(3_000)),
    "endless hints": b"HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n" * 5_000,
}  # fmt: skip


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=list(NO_ANSWERS))
async def test_without_a_status_there_is_no_answer(answer) -> None:
    got = await answer_to(answer)

    assert isinstance(got, Outcome), got
    assert got.reason is Reason.PROTOCOL


async def test_what_is_no_http_is_told_by_its_beginning() -> None:
    ssh = await answer_to(NO_ANSWERS["a banner of ssh"])
    tls = await answer_to(NO_ANSWERS["an alert of TLS"])

    assert isinstance(ssh, Outcome)
    assert isinstance(tls, Outcome)
    assert ssh.detail == "the connection broke: the answer is no HTTP: it begins with SSH-2.0-OpenSSH_9.2"
    assert tls.detail == "the connection broke: the answer is no HTTP but TLS: the url needs https"


class KeptOpen:
    """Answers every request with the same bytes, and closes nothing."""

    def __init__(self, answer: bytes, *, rest: bytes = b"") -> None:
        self._answer, self._rest = answer, rest
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._answer_all, args=(connection,), daemon=True).start()

    def _answer_all(self, connection: socket.socket) -> None:
        with connection:
            got = b""
            while data := connection.recv(65_536):
                got += data
                if got.endswith(b"\r\n\r\n{}"):
                    connection.sendall(self._answer)
                    got = b""


SMUGGLED = b"HTTP/1.1 500 Not yours\r\nContent-Length: 0\r\n\r\n"
UNFIT: dict[str, bytes] = {
    "more than its length": OK + LENGTH + b"\r\nhi" + SMUGGLED,
    "more than no length": OK + b"Content-Length: 0\r\n\r\n" + SMUGGLED,
    "204 and more": b"HTTP/1.1 204 Done\r\n\r\n" + SMUGGLED,
    "more than its chunks": OK + CHUNKED + b"\r\n" + HI + SMUGGLED,
    "chunks and a length": OK + CHUNKED + b"Content-Length: 0\r\n\r\n" + HI,
    "doubled Transfer-Encoding": ODD["doubled Transfer-Encoding"][0],
    "doubled Content-Length": ODD["doubled Content-Length, the same"][0],
    "a folded header": ODD["a folded header"][0],
    "a header without a colon": ODD["a header without a colon"][0],
    "bare line feeds": ODD["bare line feeds"][0],
    "no reason and no blank": ODD["small letters"][0],
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\nhi",
    "Connection: close": OK + b"Connection: Close\r\n" + LENGTH + b"\r\nhi",
    "trailers": ODD["trailers"][0],
}  # fmt: skip


async def statuses_and_connections(answer: bytes) -> tuple[list[int], int]:
    receiver = KeptOpen(answer)
    async with Client() as client:
        answers = [await client.post(Request(receiver.url, {}, b"{}", 10_000)) for _ in range(3)]
    receiver.stop()
    return [one.status for one in answers if isinstance(one, Response)], receiver.connections


@pytest.mark.parametrize("answer", UNFIT.values(), ids=list(UNFIT))
async def test_a_connection_whose_answer_was_odd_is_not_used_again(answer) -> None:
    status = status_in(answer)

    assert await statuses_and_connections(answer) == ([status] * 3, 3)


@pytest.mark.parametrize(
    "answer",
    [
        OK + LENGTH + b"\r\nhi",
        OK + CHUNKED + b"\r\n" + HI,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK + LENGTH + b"\r\nhi",
    ],
)
async def test_a_connection_whose_answers_are_right_is_kept(answer) -> None:
    assert (await statuses_and_connections(answer))[1] == 1


HEADS = st.builds(
    lambda status, lines: b"HTTP/1.1 %d OK\r\n" % status + b"\r\n".join(lines),
    st.integers(200, 999),
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"Content-Length: 3", b"Transfer-Encoding: chunked", b""])
    ),
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [part for begin, end in pairwise(marks) if (part := data[begin:end])]


@given(HEADS, st.lists(st.integers(0, 10_000), max_size=4))
def test_whatever_follows_a_status_line_the_status_stands(answer, places) -> None:
    reader = ResponseReader()
    reader.sent(b"POST / HTTP/1.1\r\nHost: h\r\n\r\n")
    for part in cut(answer, places):
        try:
            reader.take(part)
        except httpcore.RemoteProtocolError:
            break
    head = reader.answer()
    assert head is not None
    assert head.status == status_in(answer)


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda rest: OK + rest))
def test_any_bytes_are_read_to_something_that_a_strict_parser_takes(data) -> None:
    head = read_head(data)
    if head is None or head.status < 200:
        return
    strict = h11.Connection(h11.CLIENT)
    strict.send(h11.Request(method="POST", target="/", headers=[("host", "h")]))
    strict.send(h11.EndOfMessage())
    strict.receive_data(head.rewritten())
    event = strict.next_event()
    assert event.status_code == head.status


async def test_a_compressed_answer_with_a_doubled_header_is_read_all_the_same() -> None:
    body = gzip.compress(b'{"ok": true}')
    got = await answer_to(
        OK + CHUNKED * 2 + b"Content-Encoding: gzip\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    )

    assert isinstance(got, Response), got
    assert (got.body, got.excerpt) == (b'{"ok": true}', '{"ok": true}')
