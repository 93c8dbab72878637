"""Decodes the bodies of answers: decompresses them within a limit, and converts text.

Requests ask for no compression (``Accept-Encoding: identity``), but some servers compress nevertheless.
"""

import codecs
import re
import zlib
from collections.abc import Mapping
from contextlib import suppress

_CODINGS = {"gzip": 47, "x-gzip": 47, "deflate": 47}
"""zlib's window bits: 47 accepts both gzip and zlib format."""

_RAW_DEFLATE = -15
_NONE = frozenset({"", "identity", "none", "utf-8", "utf8", "chunked"})
"""Values that mean no compression, correctly or not."""

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_MOST_CODINGS = 4
_NOISE = 0.1
"""A body with a larger share of non-text characters is not text."""


def decoded(body: bytes, headers: Mapping[str, str], limit: int) -> tuple[bytes, str]:
    """Return at most ``limit`` bytes of a decompressed body, and the name of the coding if it is not supported.

    A body that is declared as compressed but is not is returned as it is. A body that breaks off is
    decompressed as far as it goes.
    """
    names = [one.strip().lower() for one in headers.get("content-encoding", "").split(",")]
    codings = [one for one in names if one not in _NONE]
    for coding in reversed(codings[:_MOST_CODINGS]):
        if coding not in _CODINGS:
            return b"", coding[:20] if coding.isascii() and coding.isprintable() else "something"
        body = _inflated(body, limit)
    return body[:limit], ""


def _inflated(body: bytes, limit: int) -> bytes:
    for bits in (47, _RAW_DEFLATE):
        with suppress(zlib.error):
            return _members(body, bits, limit)
    return body


def _members(body: bytes, bits: int, limit: int) -> bytes:
    """Return the content of the compressed streams in ``body``, one after the other (RFC 1952, 2.2).

    Raises:
        zlib.error: it does not begin with one.
    """
    found, rest = b"", body
    while rest and len(found) < limit:
        stream = zlib.decompressobj(bits)
        try:
            found += stream.decompress(rest, limit - len(found))
        except zlib.error:
            if not found:
                raise
            break
        rest = stream.unused_data
    return found


def as_text(body: bytes, headers: Mapping[str, str]) -> str:
    """Return a body as text in one line, or nothing if it is not text."""
    text = _in_charset(body, headers.get("content-type", "")).lstrip("\ufeff")
    noise = sum(char == "\ufffd" or not (char.isprintable() or char.isspace()) for char in text)
    if noise > _NOISE * len(text):
        return ""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _in_charset(body: bytes, media_type: str) -> str:
    found = _CHARSET.search(media_type)
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace")
    with suppress(LookupError, ValueError):
        return body.decode(found[1] if found else "utf-8", "replace")
    return body.decode("utf-8", "replace")
