"""Masks the secrets in requests that are shown, and all headers and URL parts that may carry one. Pure."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from bridge.delivery.secret_masking import MASK, mask

_SECRET_HEADER = re.compile(r"auth|cookie|token|secret|passw|api-?key", re.IGNORECASE)
_SCHEME = re.compile(r"(?:basic|bearer|token|digest) ", re.IGNORECASE)
_KEY = re.compile(r"(?=.*[0-9])[A-Za-z0-9_~.+=%-]{20,}")
"""A part of a path that could be a key: long, with digits, as in the webhook URLs of chat services."""


def masked_headers(headers: Mapping[str, str], secrets: tuple[str, ...]) -> dict[str, str]:
    """Return headers with secrets masked, and with the whole value masked if a header is meant for secrets."""
    return {
        name: _carried(value) if _SECRET_HEADER.search(name) else mask(value, secrets)
        for name, value in headers.items()
    }


def _carried(value: str) -> str:
    scheme = _SCHEME.match(value)
    return f"{scheme[0] if scheme else ''}{MASK}"


def masked_url(url: str, secrets: tuple[str, ...]) -> str:
    """Return ``url`` without the values of its query, and without parts of its path that look like keys."""
    parts = urlsplit(mask(url, secrets))
    path = "/".join(MASK if _KEY.fullmatch(part) else part for part in parts.path.split("/"))
    query = "&".join(_without_value(pair) for pair in parts.query.split("&")) if parts.query else ""
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def _without_value(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals else MASK
