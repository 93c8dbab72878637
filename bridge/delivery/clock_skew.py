"""The difference between this machine's clock and a receiver's, from the ``Date`` header (RFC 9110, 6.6.1)."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from bridge.events.display_text import span

TOLERATED_MS = 240_000
"""Receivers accept five minutes (Standard Webhooks, MLflow, Slack), and an attempt takes some of that."""

_MINUTE_MS = 60_000


def instant_of(value: str) -> int | None:
    """Return the time that an HTTP date states, in ms since the epoch, or None where it is not a date."""
    try:
        moment = parsedate_to_datetime(value)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def clock_fault(headers: Mapping[str, str], now_ms: int, tolerated_ms: int = TOLERATED_MS) -> str:
    """Return a sentence on how far this machine's clock is off; empty if it is right, or if that is unknown.

    Args:
        headers: the headers of the answer, with lower-case names.
        now_ms: this machine's time when the request was made, in ms since the epoch.
        tolerated_ms: the largest difference that is ignored.
    """
    theirs = instant_of(headers.get("date", ""))
    if theirs is None or abs(theirs - now_ms) <= tolerated_ms:
        return ""
    way = "behind" if theirs > now_ms else "ahead of"
    apart = span(round(abs(theirs - now_ms) / _MINUTE_MS) * _MINUTE_MS)
    return f"this machine's clock is {apart} {way} the receiver's, which refuses signatures and tokens: set the clock"
