"""What an HTTP answer means for a delivery: the contract's table, as a pure function."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from bridge.delivery.outcome import Outcome, Reason, delivered, rejected, retryable

_OVERLOADED = frozenset({408, 425, 429})
_MENDABLE: Mapping[int, str] = {
    401: "the credential or signature was refused: check the sink's secret",
    403: "access was refused: check the sink's credential and its permissions",
    404: "nothing is there: check the sink's url",
    407: "a proxy asks for authentication: check the proxy settings of the environment",
    409: "the receiver reports a conflict",
    423: "the receiver reports that it is locked",
}
_GONE = (
    "HTTP 410: the receiver says that it is gone for good; when the sink's url is right, run "
    "'mlflow-bridge sinks resume NAME'"
)
_ORIGIN = re.compile(r"(https?://)(?:[^/@]*@)?([\w.:\[\]-]{1,100})")
"""Scheme and host of a URL: what else is in it may be secret."""

_MAX_RETRY_AFTER_MS = 24 * 3_600_000
_MAX_RESET_MS = 3_600_000
_AN_EPOCH_S = 1_000_000_000
"""As many seconds are no wait: they are counted from 1970."""


def interpret(status: int, headers: Mapping[str, str], now_ms: int) -> Outcome:
    """Return what the answer ``status`` with ``headers`` (lower-case names) means.

    Transport errors never get here. A redirect is not followed: it would carry credentials
    elsewhere and turn the POST into an empty GET.
    """
    if 200 <= status < 300:
        return delivered(status)
    wait = retry_after_ms(headers, now_ms)
    if status in _OVERLOADED:
        asked = rate_limit_reset_ms(headers, now_ms) if wait is None else wait
        return retryable(Reason.RATE_LIMITED, f"HTTP {status}", status, asked)
    if status < 200 or status >= 500:
        return retryable(Reason.SERVER_ERROR, f"HTTP {status}", status, wait)
    if status < 400:
        return retryable(Reason.MISCONFIGURED, _moved(status, headers), status, wait)
    return _refused(status, wait)


def _refused(status: int, wait: int | None) -> Outcome:
    if status == HTTPStatus.GONE:
        return retryable(Reason.GONE, _GONE, status, wait)
    if status in _MENDABLE:
        return retryable(Reason.MISCONFIGURED, f"HTTP {status}: {_MENDABLE[status]}", status, wait)
    return rejected(Reason.REFUSED, f"HTTP {status}", status)


def _moved(status: int, headers: Mapping[str, str]) -> str:
    target = _ORIGIN.match(headers.get("location", ""))
    where = f" (to {target[1]}{target[2]})" if target else ""
    return f"HTTP {status}: redirects are not followed{where}: set the sink's url to where it moved"


def retry_after_ms(headers: Mapping[str, str], now_ms: int) -> int | None:
    """Return how long ``Retry-After`` asks to wait, in ms: seconds or an HTTP date (RFC 9110, 10.2.3).

    Bounded to a day; ``None`` without the header, or where it is neither.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:9]) * 1000, _MAX_RETRY_AFTER_MS)
    try:
        moment = parsedate_to_datetime(value)
        at_ms = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return min(max(at_ms - now_ms, 0), _MAX_RETRY_AFTER_MS)


def rate_limit_reset_ms(headers: Mapping[str, str], now_ms: int) -> int | None:
    """Return when a rate limit is over, in ms from now, where a header other than ``Retry-After`` says so.

    ``RateLimit-Reset`` counts seconds from now (IETF draft *RateLimit header fields*, up to -07);
    ``X-RateLimit-Reset`` is used for that, and for seconds since the epoch. Bounded to an hour.
    """
    for name in ("ratelimit-reset", "x-ratelimit-reset"):
        value = headers.get(name, "").strip()
        if value.isascii() and value.isdigit():
            seconds = int(value[:12])
            wait = seconds * 1000 - now_ms if seconds > _AN_EPOCH_S else seconds * 1000
            return min(max(wait, 1_000), _MAX_RESET_MS)
    return None
