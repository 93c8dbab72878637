"""Reads the heads of HTTP answers as tolerantly as browsers and curl do: the status line is what counts.

RFC 9112, 4 and 5, define a head. Servers in front of real receivers repeat headers, fold lines, end lines
with a bare line feed, or leave out the colon. The receiver's answer is clear nevertheless, so none of this
may cause an event to be sent again.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

_STATUS = re.compile(
    rb".{0,4}?(?:HTTP|ICY)(?:/\d+(?:\.\d+)?)?[ \t]+([1-9]\d\d)(?!\d)[ \t]*(.*)", re.IGNORECASE | re.DOTALL
)
"""A status line. Up to four bytes before it are tolerated, such as a byte order mark (as in Chromium)."""

_PERFECT = re.compile(rb"HTTP/1\.1 \d{3}(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
_PERFECT_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_END = re.compile(rb"\n\r?\n")
_LONGEST_VALUE = 4_096
_LONGEST_WORDS = 100
_MOST_BYTES = 65_536
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"keep-alive"})
_BODILESS = frozenset({204, 304})
_LONGEST_LENGTH = 18

_SINGLE = frozenset({b"retry-after", b"location", b"date", b"content-type"})
"""Headers with a single value: if one is repeated, the first value counts."""

Field = tuple[bytes, bytes]
"""A header's name in lower case, and its value."""


class Framing(Enum):
    """What determines where the body ends (RFC 9112, 6.3)."""

    NONE = "there is no body"
    LENGTH = "Content-Length"
    CHUNKED = "chunks"
    CLOSE = "the end of the connection"


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer.

    Attributes:
        length: the length of the body in bytes, if ``framing`` is ``LENGTH``.
        is_perfect: whether it is well-formed and the connection stays open: only then is the connection reused.
        words: the text after the status in the status line, bounded.
    """

    status: int
    fields: tuple[Field, ...]
    framing: Framing
    length: int = 0
    is_perfect: bool = False
    words: bytes = b""

    def rewritten(self) -> bytes:
        """Return the head in the strict form of RFC 9112, bounded, for a strict parser."""
        lines = [b"HTTP/1.1 %d %b" % (self.status, self.words)]
        left = _MOST_BYTES
        for name, value in self.fields:
            left -= len(name) + len(value)
            if name not in _FRAMING and left > 0:
                lines.append(name + b": " + value)
        if self.framing is Framing.LENGTH:
            lines.append(b"content-length: %d" % self.length)
        if self.framing is Framing.CHUNKED:
            lines.append(b"transfer-encoding: chunked")
        if not self.is_perfect:
            lines.append(b"connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n"


def status_in(line: bytes) -> int | None:
    """Return the status in a status line, perhaps a cut one, or None if it is not a status line."""
    found = _STATUS.match(line)
    return int(found[1]) if found else None


def end_of_head(data: bytes) -> int | None:
    """Return where the head at the beginning of ``data`` ends, or None if it is not complete yet."""
    found = _END.search(data)
    return found.end() if found else None


def read_head(head: bytes, *, is_tunnel: bool = False) -> Head | None:
    """Return the parsed ``head``, whole or cut off, or None if it does not begin with a status line.

    Args:
        head: the bytes from the status line on.
        is_tunnel: whether it answers a CONNECT, whose success has no body.
    """
    first, *rest = head.split(b"\n")
    found = _STATUS.match(first)
    if found is None:
        return None
    status, words = int(found[1]), _CONTROL.sub(b" ", found[2]).strip()[:_LONGEST_WORDS]
    fields = tuple(_fields(rest))
    framing, length = _framing(status, fields, is_tunnel=is_tunnel)
    is_perfect = framing is not Framing.CLOSE and _stays(fields) and _is_perfect(head)
    return Head(status, fields, framing, length, is_perfect, words)


def _is_perfect(head: bytes) -> bool:
    first, *rest = head.split(b"\r\n")
    is_whole = rest[-2:] == [b"", b""]
    names = [line.partition(b":")[0].lower() for line in rest[:-2]]
    return (
        is_whole
        and _PERFECT.fullmatch(first) is not None
        and all(_PERFECT_FIELD.fullmatch(line) for line in rest[:-2])
        and sum(name in {b"content-length", b"transfer-encoding"} for name in names) <= 1
    )


def _fields(lines: Sequence[bytes]) -> Iterator[Field]:
    """Yield the headers: folded lines are joined, lines without a name are skipped, control characters become blanks."""
    unfolded: list[bytes] = []
    for raw in lines:
        line = raw.rstrip(b"\r")
        if line[:1] in {b" ", b"\t"} and unfolded:
            unfolded[-1] += b" " + line.strip()
        elif line:
            unfolded.append(line)
    for line in unfolded:
        name, colon, value = line.partition(b":")
        name = name.strip().lower()
        if colon and _NAME.fullmatch(name):
            yield name, _CONTROL.sub(b" ", value).strip()[:_LONGEST_VALUE]


def _framing(status: int, fields: Sequence[Field], *, is_tunnel: bool) -> tuple[Framing, int]:
    """Return where the body ends; if the headers contradict each other, at the end of the connection."""
    if status in _BODILESS or (is_tunnel and 200 <= status < 300):  # noqa: PLR2004 - statuses are numbers
        return Framing.NONE, 0
    if b"chunked" in _listed(fields, b"transfer-encoding"):
        return Framing.CHUNKED, 0
    lengths = set(_listed(fields, b"content-length"))
    length = next(iter(lengths), b"")
    if len(lengths) == 1 and length.isdigit() and len(length) <= _LONGEST_LENGTH:
        return Framing.LENGTH, int(length)
    return Framing.CLOSE, 0


def _stays(fields: Sequence[Field]) -> bool:
    return b"close" not in _listed(fields, b"connection")


def _listed(fields: Sequence[Field], wanted: bytes) -> list[bytes]:
    """Return the values of a header that may be a list, from all of its lines, in lower case."""
    found = [value for name, value in fields if name == wanted]
    return [one.strip().lower() for value in found for one in value.split(b",")]


def plain_headers(fields: Iterable[Field]) -> dict[str, str]:
    """Return the headers by name; equal values, and further values of a single-value header, are dropped."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        values = found.setdefault(name, [])
        if value not in values and not (values and name in _SINGLE):
            values.append(value)
    return {name.decode("ascii"): _text(b", ".join(values)) for name, values in found.items()}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
