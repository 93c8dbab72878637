"""The outcome of one delivery attempt, as a value."""

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Verdict(StrEnum):
    """What an attempt's outcome means for its entry."""

    DELIVERED = "delivered"
    RETRYABLE = "retryable"
    REJECTED = "rejected"


@unique
class Reason(StrEnum):
    """The reason of an outcome: a closed set, used as log field and as metric label."""

    OK = "ok"
    CONNECT = "connect"
    """No connection: refused, unreachable, or no such host."""
    TLS = "tls"
    """The connection could not be made secure."""
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    """The connection broke, or the answer is not HTTP."""
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    MISCONFIGURED = "misconfigured"
    """The answer shows a fault that an operator has to correct: a moved URL, a refused credential."""
    UNSUCCESSFUL = "unsuccessful"
    """A 2xx answer that does not meet the sink's condition for success (`success`)."""
    SECRET = "secret"  # noqa: S105 - the name of a reason, not a secret
    """A secret is missing from the place that the configuration names."""
    ENRICHMENT = "enrichment"
    """The registry does not provide the details that the sink requires (`include`)."""
    GONE = "gone"
    """The receiver says that it no longer exists (410): the sink stops until an operator resumes it."""
    REFUSED = "refused"
    """The receiver will never accept this body."""
    LIMIT = "limit"
    """The body breaks a documented limit of the receiver, so it was not sent."""
    EXPIRED = "expired"
    ORPHANED = "orphaned"
    """The entry's sink is no longer in the configuration, and `max_age` has passed; or its webhook was deleted."""
    INTERNAL = "internal"
    """A fault in the bridge itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt.

    ``retry_after_ms`` is how long the receiver asked the bridge to wait. ``detail`` is a short text for
    people, with every secret masked; for a delivery, it is the beginning of the answer. ``link`` is where the
    receiver shows the result (a run, a pipeline), also masked; empty where it gives no link.
    """

    verdict: Verdict
    reason: Reason
    status: int | None = None
    detail: str = ""
    retry_after_ms: int | None = None
    link: str = ""


def delivered(status: int | None = None, link: str = "", detail: str = "") -> Outcome:
    """Return the outcome of a successful attempt."""
    return Outcome(Verdict.DELIVERED, Reason.OK, status, detail, link=link)


def retryable(
    reason: Reason, detail: str = "", status: int | None = None, retry_after_ms: int | None = None
) -> Outcome:
    """Return the outcome of a failed attempt that should be repeated."""
    return Outcome(Verdict.RETRYABLE, reason, status, detail, retry_after_ms)


def rejected(reason: Reason, detail: str = "", status: int | None = None) -> Outcome:
    """Return the outcome of a failed attempt that no repetition can correct."""
    return Outcome(Verdict.REJECTED, reason, status, detail)
