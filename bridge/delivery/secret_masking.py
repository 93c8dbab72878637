"""Masks secrets in text from outside, however they are encoded there.

A receiver may echo a secret as it is, escaped for JSON, a URL, HTML or a log, once or twice, or in base64
together with a user name. Text and secret are both reduced to one plain spelling, which keeps for each
character its position in the original text. Masking too much is better than masking too little.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from urllib.parse import parse_qsl, unquote, urlsplit

MASK = "***"
_BEYOND_ASCII = "\ufffd"
"""Stands for a run of non-ASCII characters: each encoding makes a different run of them."""

_ESCAPED = re.compile(
    r"""(?P<url>(?:%(?:25)*[0-9a-f]{2})+)
      | (?<!\\)\\+(?:(?-i:u)00|x)(?P<code>[0-7][0-9a-f])
      | (?P<beyond>(?<!\\)\\+(?:(?-i:U)[0-9a-f]{8}|u[0-9a-f]{4}|x[0-9a-f]{2}))
      | (?P<blank>(?<!\\)\\+[nrtbf])
      | (?P<html>&(?:amp;)*[#\w]{1,10};)""",
    re.IGNORECASE | re.VERBOSE,
)
_MEANINGS: Mapping[str, Callable[[str], str]] = {
    "url": lambda text: unquote(re.sub("%(25)+(?=[0-9a-fA-F]{2})", "%", text), errors="replace"),
    "code": lambda text: chr(int(text, 16)),
    "beyond": lambda _: _BEYOND_ASCII,
    "blank": lambda _: " ",
    "html": lambda text: unescape(re.sub("&(amp;)+", "&", text)),
}
_SIGNS = re.compile(r"[\\%&]")
"""Text without any of these contains no escapes."""

_LEVEL = dict.fromkeys((*range(0x20), ord("+")), " ")
_DEPTH = 4
"""How many layers of escapes are decoded."""

_HALF_AN_ESCAPE = re.compile(
    r"(?:(?<!\\)\\+(?:[ux][0-9a-f]{0,7})?|%(?:25)*[0-9a-f]?|&(?:amp;)*[#\w]{0,10})\Z", re.IGNORECASE
)
_IN_BASE64 = re.compile(r"[A-Za-z0-9+/=_-]")
_SHORTEST_CORE = 3
_LONG_SEGMENT = 16
_LONG_VALUE = 6
_LONG_LINE = 6


@dataclass(frozen=True, slots=True)
class _Plain:
    """A text in its plain spelling, with the part of the original that each character comes from."""

    text: str
    places: list[tuple[int, int]]

    def span(self, first: int, length: int) -> tuple[int, int]:
        return self.places[first][0], self.places[first + length - 1][1]


def mask(text: str, secrets: Iterable[str], *, is_cut: bool = False) -> str:
    """Return ``text`` with every secret in it masked, however it is encoded there.

    Args:
        text: the text from outside.
        secrets: the secrets to mask; empty ones are ignored.
        is_cut: whether the text may end in the middle of a secret; the secret's beginning is masked then.
    """
    known = [part for secret in secrets for part in _parts(secret)]
    if not known or not text:
        return text
    plain = _plain(text)
    return _without(text, [span for one in known for span in _spans(one, text, plain, is_cut=is_cut)])


def secrets_in(url: str) -> tuple[str, ...]:
    """Return the parts of a URL that may be secret: longer query values, and long path segments (webhook keys)."""
    parts = urlsplit(url)
    values = [value for _, value in parse_qsl(parts.query) if len(value) >= _LONG_VALUE]
    return (*values, *(part for part in parts.path.split("/") if len(part) >= _LONG_SEGMENT))


def _parts(secret: str) -> list[str]:
    """Return a secret and its lines, because single lines may appear on their own."""
    lines = [line for line in secret.splitlines() if len(line) >= _LONG_LINE]
    return [part for part in dict.fromkeys((secret, *lines)) if part]


def _spans(secret: str, text: str, plain: _Plain, *, is_cut: bool) -> Iterator[tuple[int, int]]:
    yield from ((at, at + len(secret)) for at in _found(secret, text))
    wanted, cores = _forms(secret)
    yield from (plain.span(at, len(wanted)) for at in _found(wanted, plain.text))
    for core in cores:
        for at in _found(core, plain.text):
            yield _stretched(plain.span(at, len(core)), text)
    if is_cut:
        yield from _begun(secret, wanted, text)


def _begun(secret: str, wanted: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield where the secret begins at the end of ``text``, literally or escaped, perhaps with half an escape."""
    literal = _overlap(text, secret)
    if literal:
        yield len(text) - literal, len(text)
    plain = _plain(_HALF_AN_ESCAPE.sub("", text))
    spelled = _overlap(plain.text, wanted)
    if spelled:
        yield plain.places[-spelled][0], len(text)


def _overlap(text: str, wanted: str) -> int:
    """Return how many characters at the end of ``text`` are the beginning of ``wanted``, but not all of it."""
    return next((n for n in range(len(wanted) - 1, 0, -1) if text.endswith(wanted[:n])), 0)


@lru_cache(maxsize=64)
def _forms(secret: str) -> tuple[str, tuple[str, ...]]:
    """Return a secret in its plain spelling, and the parts of its encoded forms to search for."""
    return _plain(secret).text, tuple(_plain(core).text for core in _encoded(secret))


def _plain(text: str) -> _Plain:
    """Decode escapes; then normalise case, kinds of blanks, backslashes and non-ASCII characters."""
    plain = _Plain(text, [(at, at + 1) for at in range(len(text))])
    if text.isascii() and not _SIGNS.search(text):  # the usual case
        return _Plain(text.translate(_LEVEL).lower(), plain.places)
    for _ in range(_DEPTH):
        seen, plain = plain, _unescaped(plain)
        if plain.text == seen.text:
            break
    return _levelled(plain)


def _unescaped(plain: _Plain) -> _Plain:
    chars: list[str] = []
    places: list[tuple[int, int]] = []
    end = 0
    for found in _ESCAPED.finditer(plain.text):
        kind = str(found.lastgroup)
        meaning = _MEANINGS[kind](found[kind])
        whole = plain.span(found.start(), found.end() - found.start())
        chars += [plain.text[end : found.start()], meaning]
        places += [*plain.places[end : found.start()], *[whole] * len(meaning)]
        end = found.end()
    return _Plain("".join([*chars, plain.text[end:]]), places + plain.places[end:])


def _levelled(plain: _Plain) -> _Plain:
    chars: list[str] = []
    places: list[tuple[int, int]] = []
    for char, place in zip(plain.text, plain.places, strict=True):
        level = " " if char <= " " or char == "+" else char.lower() if char.isascii() else _BEYOND_ASCII
        if level == _BEYOND_ASCII and chars[-1:] == [level]:
            places[-1] = (places[-1][0], place[1])
        elif level != "\\":
            chars.append(level)
            places.append(place)
    return _Plain("".join(chars), places)


def _encoded(secret: str) -> Iterator[str]:
    """Yield the secret in hexadecimal, and its stable part in base64 at each offset (both alphabets)."""
    data = secret.encode("utf-8", "surrogatepass")
    yield data.hex()
    for offset in range(3):
        first, last = -(-offset * 8 // 6), (offset + len(data)) * 8 // 6
        core = b64encode(bytes(offset) + data).decode()[first:last]
        if len(core) >= _SHORTEST_CORE:
            yield from {core, core.translate(str.maketrans("+/", "-_"))}


def _found(wanted: str, text: str) -> Iterator[int]:
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        yield at
        at = text.find(wanted, at + 1)


def _stretched(span: tuple[int, int], text: str) -> tuple[int, int]:
    """Return the whole encoded word around ``span``: the characters at its ends share bits with the secret."""
    start, end = span
    while start > 0 and _IN_BASE64.match(text[start - 1]):
        start -= 1
    while end < len(text) and _IN_BASE64.match(text[end]):
        end += 1
    return start, end


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    kept: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start >= end:
            kept += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*kept, text[end:]])
