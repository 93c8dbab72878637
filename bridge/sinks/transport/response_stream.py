"""A connection that hands every answer on as a strict parser takes it, and knows where it ended.

httpcore reads answers with h11, which refuses whatever RFC 9112 forbids, and then doesn't say which
status it had read. So heads are read here (`bridge.sinks.transport.response_heads`) and handed on clean, and
chunks likewise. What came beyond an answer's end is never taken for the beginning of the next.
"""

import re
import ssl
from collections.abc import Iterator
from typing import Any

import httpcore

from bridge.sinks.transport.response_heads import Framing, Head, end_of_head, read_head, status_in

_LONGEST_HEAD = 131_072
_LONGEST_CUT_HEAD = 16_384  # a head that ends unfinished after more than this is no answer: it was endless
_LONGEST_LINE = 8_192
_BEGINNING = 8  # bytes, within which a status line shows what it is
_NAMES = re.compile(rb"HTTP|ICY", re.IGNORECASE)
_REQUEST = re.compile(rb"([A-Z]+) \S+ HTTP/1\.1\r\n")
_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})(?![0-9a-fA-F])")
_NO_CHUNK = b"-\r\n"
_SHOWN = 2_048  # bytes: who shows them masks secrets first, which are found whole only
_TLS_RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")
_INFORMATIONAL = range(100, 200)
_SWITCHING = 101


class ResponseReader:
    """Reads what comes back for one request after another. It does no I/O."""

    def __init__(self) -> None:
        """Expect nothing yet."""
        self._head: Head | None = None
        self._is_expecting = False
        self._is_tunnel = False
        self._seen = 0
        self._buffer = b""
        self._body: _Body | None = None

    def reset(self) -> None:
        """Forget the answer before: another request is going to be made."""
        self._head, self._body, self._is_expecting, self._buffer = None, None, False, b""

    def sent(self, data: bytes) -> bool:
        """Take note of what is sent; return whether it is the head of a request, which an answer follows."""
        is_body = self._is_expecting and self._head is None
        found = None if is_body else _REQUEST.match(data)
        if found:
            self.reset()
            self._is_expecting, self._is_tunnel, self._seen = True, found[1] == b"CONNECT", 0
        return found is not None

    @property
    def is_expecting(self) -> bool:
        """Whether what comes is an answer to a request."""
        return self._is_expecting

    def answer(self) -> Head | None:
        """Return the answer as far as it has come, once its status is known; a proxy's to CONNECT is none."""
        if self._is_tunnel or not self._is_expecting:
            return None
        if self._head is not None:
            return self._head
        head = read_head(self._buffer) if len(self._buffer) <= _LONGEST_CUT_HEAD else None
        return None if head is None or head.status in _INFORMATIONAL else head

    @property
    def is_reusable(self) -> bool:
        """Whether the answer ended where it said, nothing of it was odd, and nothing came after it."""
        return (
            self._head is not None and self._head.is_perfect and self._body is not None and self._body.is_over
        )

    def take(self, data: bytes) -> bytes:
        """Return what to hand on of what came: nothing while the head is not complete.

        Raises:
            httpcore.RemoteProtocolError: it is no answer, or one with an endless head.
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
        """Take note that nothing more comes.

        Raises:
            httpcore.RemoteProtocolError: what came is no answer.
        """
        if self._buffer and self._head is None and self.answer() is None:
            raise httpcore.RemoteProtocolError(_no_http(self._buffer))

    def _check(self) -> None:
        """Refuse what begins with no status line, as soon as that shows."""
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
    """Hands a body on as far as it goes: by its length, chunk by chunk, or until the connection ends."""

    def __init__(self, head: Head) -> None:
        self._framing = head.framing
        self._left = head.length
        self._chunks = _Chunks()
        self._has_more = False

    @property
    def is_over(self) -> bool:
        """Whether it ended, and nothing came after it."""
        ended = self._chunks.is_over if self._framing is Framing.CHUNKED else self._left == 0
        return ended and self._framing is not Framing.CLOSE and not self._has_more

    def take(self, data: bytes) -> bytes:
        """Return what is the body's."""
        if self._framing is Framing.CHUNKED:
            return b"".join(self._chunks.take(data))
        if self._framing is Framing.CLOSE:
            return data
        mine = data[: self._left]
        self._left -= len(mine)
        self._has_more = self._has_more or len(mine) < len(data)
        return mine


class _Chunks:
    """Chunks (RFC 9112, 7.1), with line ends, extensions and blanks as they come, written anew."""

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        self._has_ended = False
        self.is_over = False
        """Whether the end came whole, and nothing after it."""

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield what to hand on; where a size should be and is none, what no parser takes."""
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
    """`httpcore.AsyncNetworkStream` over another one, whose answers it hands on clean."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, reader: ResponseReader) -> None:
        """Hand on what ``reader`` makes of what comes from ``inner``."""
        self._inner = inner
        self._reader = reader
        self._unsent = b""

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
        """Send; the head of a request goes out together with what follows it, be it nothing.

        A receiver that answers the head alone, and closes, would make the second write fail: asyncio
        then closes the connection, and reads no answer.
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
        """Return the connection, made secure. No certificate has the final dot of an absolute name, or a zone."""
        name = server_hostname and server_hostname.partition("%")[0].removesuffix(".")
        try:
            return ResponseStream(await self._inner.start_tls(ssl_context, name, timeout), self._reader)
        except BaseException:  # one that is cut off is left open: httpcore closes it on errors only
            await self._inner.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection."""
        return self._inner.get_extra_info(info)
