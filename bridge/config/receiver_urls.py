"""Validate and normalise the URLs of receivers, with messages that say how to correct them."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import AfterValidator

_MUST = 'must be an http:// or https:// URL such as "https://ci.example.com/hooks/mlflow"'
_SCHEME = re.compile(r"([A-Za-z]*)(?::/*(?!\d+(?:/|$))|//+)(.*)")
"""A scheme, possibly misspelt or without its colon, but not a host with a port."""

_HOST = re.compile(r"(?=.{1,254}$)[\w-]{1,63}(\.[\w-]{1,63})*\.?", re.ASCII)
"""A host name, which may end with the dot of an absolute name (RFC 1034, 3.1), or an IPv4 address."""

_BRACKETS = 'an IPv6 address stands in brackets, as in "http://[::1]:8080/hook"'
_QUOTES = "\"'`<>\u201c\u201d\u2018\u2019\u00ab\u00bb"
_INVISIBLE = "\ufeff\u200b\u2060"
"""Invisible characters that get copied with a URL: byte order mark, zero-width space, word joiner."""

_AS_IT_IS = "!#$%&'()*+,/:;=?@[]~|^`{}\""
"""Characters beside letters and digits that are not escaped in a path or query; % is one, so that escapes stay."""

_UNALIKE = re.compile("[\u00df\u03c2\u200c\u200d]")
"""Characters that IDNA 2003 (Python) and IDNA 2008 (browsers) convert to different hosts."""

_MANY_COLONS = 2
_LAST_PORT = 65_535


def http_url(url: str) -> str:
    """Return an http or https URL without credentials in the form in which it is requested.

    Surrounding spaces are removed, the scheme is lower case, a host with non-ASCII characters
    is in its ASCII form (IDNA), other non-ASCII characters are escaped (RFC 3987, 3.1).

    Raises:
        ValueError: it is not such a URL; the message says why, and what was probably meant.
    """
    url = url.strip().strip(_INVISIBLE).strip()
    for fault in _faults_of_text(url):
        raise ValueError(fault)
    scheme, after = _split(url)
    try:
        parts = urlsplit(f"{scheme}:{after}")
    except ValueError:
        raise ValueError(f"has a host that is none: {_BRACKETS}") from None
    place = _ascii(parts.netloc.replace("%25", "%"))  # RFC 6874: the zone of an IPv6 address
    for fault in _faults_of_place(place):
        raise ValueError(fault)
    rest = (quote(part, _AS_IT_IS) for part in (parts.path, parts.query, parts.fragment))
    return urlunsplit((scheme, place, *rest))


def _faults_of_text(url: str) -> Iterator[str]:
    if url[:1] in _QUOTES or url[-1:] in _QUOTES:
        bare = url.strip(_QUOTES)
        if bare:
            yield f"has quotation marks or brackets around it that are part of it: remove them{_meant(bare)}"
    if not url.isprintable() or any(char.isspace() for char in url):
        yield "holds a blank, a line break or another character that no URL has: escape it as %XX"
    if "\\" in url:
        yield "holds a backslash: write / in its place, or %5C where one is meant"
    if "${" in url:
        yield "holds ${…}, and nothing is put in its place here: write the value itself"


def _split(url: str) -> tuple[str, str]:
    """Return the scheme in lower case, and the text after its colon.

    Raises:
        ValueError: the scheme is neither http nor https.
    """
    scheme, colon, rest = url.partition(":")
    if scheme.lower() in {"http", "https"} and colon and rest.startswith("//"):
        return scheme.lower(), rest
    raise ValueError(f"{_MUST}{_meant(url)}")


def _meant(url: str) -> str:
    """Return a question with the URL that was probably meant; empty if that is unclear or may be secret."""
    found = _SCHEME.match(url)
    scheme, rest = found.groups() if found else ("", url)
    host, slash, path = rest.partition("/")
    close = get_close_matches(scheme.lower() or "https", ["https", "http"], n=1)
    name, port = _host_and_port(host)
    is_place = _HOST.fullmatch(name) and (found or "." in name or port.isdigit())
    if not close or "?" in url or not is_place:
        return ""
    return f' (did you mean "{close[0]}://{host}{slash}{"…" if path else ""}"?)'


def _faults_of_place(place: str) -> Iterator[str]:
    """Yield the faults of a host and its port."""
    if "@" in place:
        yield "must hold no user name or password: they would show in logs; there are keys for them"
    host, port = _host_and_port(place)
    if not host:
        yield _MUST
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT):
        yield f"has a port that is no number between 1 and {_LAST_PORT}"
    if not host.startswith("[") and not _HOST.fullmatch(host):
        yield "has a host that is none: letters, digits and dashes, 63 between two dots at most"


def _host_and_port(place: str) -> tuple[str, str]:
    if place.count(":") >= _MANY_COLONS and not place.startswith("["):
        raise ValueError(f"has a host that is none: {_BRACKETS}")
    if place.startswith("["):
        host, bracket, port = place.partition("]")
        return f"{host}{bracket}", port.removeprefix(":")
    host, _, port = place.partition(":")
    return host, port


def _ascii(place: str) -> str:
    """Return host and port in ASCII (RFC 3490).

    Raises:
        ValueError: the host has no ASCII form, or IDNA 2003 and 2008 give different ones.
    """
    if place.isascii():
        return place
    host, port = _host_and_port(place)
    msg = "has a host that cannot be written in ASCII by itself: write its form that begins with xn--"
    if _UNALIKE.search(host):
        raise ValueError(msg)
    try:
        return host.encode("idna").decode() + (f":{port}" if port else "")
    except UnicodeError:
        raise ValueError(msg) from None


def base_url(url: str) -> str:
    """Return ``url`` without a final slash, so that paths can be appended.

    Raises:
        ValueError: it has a query or a fragment.
    """
    if "?" in url or "#" in url:
        msg = "must end with its path: no ? and no # (what the bridge asks for is appended to it)"
        raise ValueError(msg)
    return url.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(http_url)]
"""An http or https URL without credentials."""

BaseUrl = Annotated[HttpUrl, AfterValidator(base_url)]
"""An http or https URL that paths are appended to: without a query, and without a slash at its end."""
