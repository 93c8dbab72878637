"""A network stream that rewrites answers into strictly valid HTTP, and knows where each answer ends.

httpcore reads answers with h11, which refuses everything that RFC 9112 forbids, without telling the status
that it had read. So heads are read here (`bridge.sinks.transport.response_heads`) and passed on in valid
form, and chunks likewise. Bytes after an answer's end are never read as the beginning of the next answer.
"""

import re
import select
import ssl
from collections.abc import Iterator
from typing import Any

import httpcore

from bridge.sinks.transport.response_heads import Framing, Head, end_of_head, read_head, status_in

_LONGEST_HEAD = 131_072
_LONGEST_CUT_HEAD = 16_384  # a longer unfinished head counts as endless, not as an answer
_LONGEST_LINE = 8_192
_BEGINNING = 8  # bytes within which a status line can be recognised
_NAMES = re.compile(rb"HTTP|ICY", re.IGNORECASE)
_REQUEST = re.compile(rb"([A-Z]+) \S+ HTTP/1\.1\r\n")
_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})(?![0-9a-fA-F])")
_NO_CHUNK = b"-\r\n"
_SHOWN = 2_048  # bytes; the caller masks secrets first, which works only on whole ones
_TLS_RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")
_INFORMATIONAL = range(100, 200)
_SWITCHING = 101


class ResponseReader:
    """Reads the answers to one request after another. It does no I/O."""

    def __init__(self) -> None:
        """Expect no answer yet."""
        self._head: Head | None = None
        self._is_expecting = False
        self._is_tunnel = False
        self._seen = 0
        self._buffer = b""
        self._body: _Body | None = None

    def reset(self) -> None:
        """Forget the previous answer, before another request is made."""
        self._head, self._body, self._is_expecting, self._buffer = None, None, False, b""

    def sent(self, data: bytes) -> bool:
        """Record sent data; return whether it is the head of a request, which an answer follows."""
        is_body = self._is_expecting and self._head is None
        found = None if is_body else _REQUEST.match(data)
        if found:
            self.reset()
            self._is_expecting, self._is_tunnel, self._seen = True, found[1] == b"CONNECT", 0
        return found is not None

    @property
    def is_expecting(self) -> bool:
        """Whether received data is an answer to a request."""
        return self._is_expecting

    def answer(self) -> Head | None:
        """Return the answer received so far, once its status is known; a proxy's answer to CONNECT does not count."""
        if self._is_tunnel or not self._is_expecting:
            return None
        if self._head is not None:
            return self._head
        head = read_head(self._buffer) if len(self._buffer) <= _LONGEST_CUT_HEAD else None
        return None if head is None or head.status in _INFORMATIONAL else head

    @property
    def is_reusable(self) -> bool:
        """Whether the answer ended where it should, was well-formed, and was followed by nothing."""
        return (
            self._head is not None and self._head.is_perfect and self._body is not None and self._body.is_over
        )

    def take(self, data: bytes) -> bytes:
        """Return the data to pass on for received ``data``: nothing while the head is incomplete.

        Raises:
            httpcore.RemoteProtocolError: it is no answer, or its head is endless.
        """
        if self._body is not None:
            return self._body.take(data)
        self._seen += len(data)
        self._buffer += data
        while self._head is None:
            self._buffer = self._buffer.lstrip(b"\r\n\t ")
            self._check()
            end = end_of_head(self._buffer)
            if end is None:
                return b""
            head = read_head(self._buffer[:end], is_tunnel=self._is_tunnel)
            if head is not None and (head.status not in _INFORMATIONAL or head.status == _SWITCHING):
                self._head = head
            self._buffer = self._buffer[end:]
        if self._head.status == _SWITCHING:
            raise httpcore.RemoteProtocolError(
                "the receiver switches to another protocol, which nobody asked for"
            )
        self._body = _Body(self._head)
        rest, self._buffer = self._buffer, b""
        return self._head.rewritten() + (self._body.take(rest) if rest else b"")

    def end(self) -> None:
        """Record that no more data comes.

        Raises:
            httpcore.RemoteProtocolError: the received data is no answer.
        """
        if self._buffer and self._head is None and self.answer() is None:
            raise httpcore.RemoteProtocolError(_no_http(self._buffer))

    def _check(self) -> None:
        """Refuse data that does not begin with a status line, as early as possible."""
        line, end, _ = self._buffer[:_LONGEST_LINE].partition(b"\n")
        is_complete = bool(end) or len(line) == _LONGEST_LINE
        begins_otherwise = len(line) >= _BEGINNING and not _NAMES.search(line[:_BEGINNING])
        if begins_otherwise or (is_complete and status_in(line) is None):
            raise httpcore.RemoteProtocolError(_no_http(self._buffer))
        if self._seen > _LONGEST_HEAD:
            raise httpcore.RemoteProtocolError(
                f"the headers of the answer are longer than {_LONGEST_HEAD} bytes"
            )


def _no_http(data: bytes) -> str:
    if _TLS_RECORD.match(data):
        return "the answer is no HTTP but TLS: the url needs https"
    begin = data[:_SHOWN].decode("utf-8", "replace")
    return (
        "the answer is no HTTP: it begins with "
        + "".join(c if c.isprintable() else " " for c in begin).strip()
    )


class _Body:
    """Passes a body on up to its end: by its length, chunk by chunk, or until the connection ends."""

    def __init__(self, head: Head) -> None:
        self._framing = head.framing
        self._left = head.length
        self._chunks = _Chunks()
        self._has_more = False

    @property
    def is_over(self) -> bool:
        """Whether the body has ended, and nothing came after it."""
        ended = self._chunks.is_over if self._framing is Framing.CHUNKED else self._left == 0
        return ended and self._framing is not Framing.CLOSE and not self._has_more

    def take(self, data: bytes) -> bytes:
        """Return the part of ``data`` that belongs to the body."""
        if self._framing is Framing.CHUNKED:
            return b"".join(self._chunks.take(data))
        if self._framing is Framing.CLOSE:
            return data
        mine = data[: self._left]
        self._left -= len(mine)
        self._has_more = self._has_more or len(mine) < len(data)
        return mine


class _Chunks:
    """Reads chunks (RFC 9112, 7.1) with any line ends, extensions and blanks, and rewrites them in strict form."""

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        self._has_ended = False
        self.is_over = False
        """Whether the last chunk is complete, and nothing came after it."""

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield the data to pass on; if a chunk's size is missing, data that every parser refuses."""
        self._buffer += data
        while self._buffer and not self._has_ended:
            if self._left:
                part, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
                self._left -= len(part)
                yield b"%x\r\n%b\r\n" % (len(part), part)
            else:
                line, end, rest = self._buffer.lstrip(b"\r\n").partition(b"\n")
                if not end and len(line) < _LONGEST_LINE:
                    return
                size = _SIZE.match(line)
                self._left, self._buffer = (int(size[1], 16), rest) if size else (0, b"")
                self._has_ended = self._left == 0
                if self._has_ended:
                    yield b"0\r\n\r\n" if size else _NO_CHUNK
        self.is_over = self._has_ended and self._buffer == b"\r\n"


class ResponseStream(httpcore.AsyncNetworkStream):
    """`httpcore.AsyncNetworkStream` over another stream, whose answers it passes on in valid form."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, reader: ResponseReader) -> None:
        """Pass on what ``reader`` makes of the data from ``inner``."""
        self._inner = inner
        self._reader = reader
        self._unsent = b""
        self._socket = inner.get_extra_info("socket")

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        """Return the next bytes; nothing at the end."""
        while True:
            data = await self._inner.read(max_bytes, timeout)
            if not self._reader.is_expecting:
                return data
            if not data:
                self._reader.end()
                return data
            clean = self._reader.take(data)
            if clean:
                return clean

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        """Send data; hold back the head of a request until the data that follows it, even if that is empty.

        If a receiver answers after the head and closes the connection, a separate second write would fail:
        asyncio then closes the connection without reading the answer.
        """
        if self._reader.sent(buffer):
            self._unsent = buffer
            return
        whole, self._unsent = self._unsent + buffer, b""
        await self._inner.write(whole, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """Return the connection with TLS; the final dot and the zone of the name are removed, as in certificates."""
        name = server_hostname and server_hostname.partition("%")[0].removesuffix(".")
        try:
            return ResponseStream(await self._inner.start_tls(ssl_context, name, timeout), self._reader)
        except BaseException:  # httpcore closes the connection on errors only, not if it is cut off
            await self._inner.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        """Return information about the connection.

        Whether it is readable is asked before each request: httpcore's stream collects all attributes of the socket for it.
        """
        return self._is_readable() if info == "is_readable" else self._inner.get_extra_info(info)

    def _is_readable(self) -> bool:
        """Whether there is something to read; on a connection that waits for a request, that is its end."""
        number = -1 if self._socket is None else self._socket.fileno()
        if number < 0:
            return True
        readiness = select.poll()
        readiness.register(number, select.POLLIN)
        return bool(readiness.poll(0))
