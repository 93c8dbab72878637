"""How far this machine's clock and a receiver's are apart, by the ``Date`` of its answer (RFC 9110, 6.6.1)."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from bridge.events.display_text import span

TOLERATED_MS = 240_000
"""Receivers take signatures whose time is up to five minutes off (Standard Webhooks, MLflow, Slack); an attempt takes a while."""

_MINUTE_MS = 60_000


def instant_of(value: str) -> int | None:
    """Return the instant that an HTTP date names, in ms since the epoch, or None where it names none."""
    try:
        moment = parsedate_to_datetime(value)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def clock_fault(headers: Mapping[str, str], now_ms: int, tolerated_ms: int = TOLERATED_MS) -> str:
    """Return that this machine's clock is off, and by how much; empty where it is not, or nobody can tell.

    Args:
        headers: those of the answer, with lower-case names.
        now_ms: this machine's time when the request was made, in ms since the epoch.
        tolerated_ms: a difference that makes no difference.
    """
    theirs = instant_of(headers.get("date", ""))
    if theirs is None or abs(theirs - now_ms) <= tolerated_ms:
        return ""
    way = "behind" if theirs > now_ms else "ahead of"
    apart = span(round(abs(theirs - now_ms) / _MINUTE_MS) * _MINUTE_MS)
    return f"this machine's clock is {apart} {way} the receiver's, which refuses signatures and tokens: set the clock"
