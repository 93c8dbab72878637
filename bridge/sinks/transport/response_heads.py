"""The head of an HTTP answer, read as browsers and curl read it: its status line is what counts.

RFC 9112, 4 and 5, say what a head should be. What people have before their receivers sends twice
the same header, folds lines, ends them with a bare line feed, leaves out the colon. None of that
makes it unclear what the receiver said, so none of it may have an event sent again.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

_STATUS = re.compile(
    rb".{0,4}?(?:HTTP|ICY)(?:/\d+(?:\.\d+)?)?[ \t]+([1-9]\d\d)(?!\d)[ \t]*(.*)", re.IGNORECASE | re.DOTALL
)
"""A status line. Up to four bytes before it are borne, such as a byte order mark (as Chromium does)."""

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
"""Headers that have one value: the first counts where there are more."""

Field = tuple[bytes, bytes]
"""A header's name in lower case, and its value."""


class Framing(Enum):
    """What says where the body ends (RFC 9112, 6.3)."""

    NONE = "there is no body"
    LENGTH = "Content-Length"
    CHUNKED = "chunks"
    CLOSE = "the end of the connection"


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer says before its body.

    Attributes:
        length: of the body in bytes, where ``framing`` is by its length.
        is_perfect: whether nothing of it is odd and the connection may stay: only then is another request sent on it.
        words: what the status line says beside the status, bounded.
    """

    status: int
    fields: tuple[Field, ...]
    framing: Framing
    length: int = 0
    is_perfect: bool = False
    words: bytes = b""

    def rewritten(self) -> bytes:
        """Return the head as RFC 9112 wants it, bounded: what a strict parser takes."""
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
    """Return the status in a status line, perhaps a cut one, or None where it is no status line."""
    found = _STATUS.match(line)
    return int(found[1]) if found else None


def end_of_head(data: bytes) -> int | None:
    """Return where the head at the beginning of ``data`` ends, or None where more of it is to come."""
    found = _END.search(data)
    return found.end() if found else None


def read_head(head: bytes, *, is_tunnel: bool = False) -> Head | None:
    """Return what ``head`` says, whole or cut off, or None where it begins with no status line.

    Args:
        head: from the status line on.
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
    """Yield the headers: folded lines as one, what has no name left out, characters of control as blanks."""
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
    """Return where the body ends; what is contradictory says nothing, and leaves the end of the connection."""
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
    """Return the values of a header that may be a list, all of its lines together, in lower case."""
    found = [value for name, value in fields if name == wanted]
    return [one.strip().lower() for value in found for one in value.split(b",")]


def plain_headers(fields: Iterable[Field]) -> dict[str, str]:
    """Return the headers by their names; what comes twice and the same, or can be there once only, counts once."""
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
