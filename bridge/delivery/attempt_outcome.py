"""What came of one attempt to deliver, as a value."""

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
    """Why: a closed set, used as log field and as metric label."""

    OK = "ok"
    CONNECT = "connect"
    """No connection: refused, unreachable, or no such host."""
    TLS = "tls"
    """The connection could not be made secure."""
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    """The connection broke, or what came back is no HTTP."""
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    MISCONFIGURED = "misconfigured"
    """An answer that an operator has to mend: a moved URL, a refused credential."""
    UNSUCCESSFUL = "unsuccessful"
    """A 2xx that does not say what the sink takes for success (`success`)."""
    SECRET = "secret"  # noqa: S105 - the name of a reason, not a secret
    """A secret is not where the configuration says."""
    ENRICHMENT = "enrichment"
    """The registry does not give what the sink requires beside the event (`include`)."""
    GONE = "gone"
    """The receiver says that it is gone for good: the sink stops until an operator resumes it."""
    REFUSED = "refused"
    """The receiver will never take this body."""
    LIMIT = "limit"
    """The body breaks a documented limit of the receiver, so it was not sent."""
    EXPIRED = "expired"
    ORPHANED = "orphaned"
    """The entry's sink left the configuration, and `max_age` passed."""
    INTERNAL = "internal"
    """A fault in the bridge itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt.

    ``retry_after_ms`` is how long the receiver asked to be left alone. ``detail`` is for a
    person: short, and with every secret masked; of a delivery, it is the beginning of the answer. ``link`` is where the receiver shows what it
    made of the event (a run, a pipeline), likewise masked; empty where it says nothing.
    """

    verdict: Verdict
    reason: Reason
    status: int | None = None
    detail: str = ""
    retry_after_ms: int | None = None
    link: str = ""


def delivered(status: int | None = None, link: str = "", detail: str = "") -> Outcome:
    """Return the outcome of an attempt that arrived."""
    return Outcome(Verdict.DELIVERED, Reason.OK, status, detail, link=link)


def retryable(
    reason: Reason, detail: str = "", status: int | None = None, retry_after_ms: int | None = None
) -> Outcome:
    """Return the outcome of an attempt worth repeating."""
    return Outcome(Verdict.RETRYABLE, reason, status, detail, retry_after_ms)


def rejected(reason: Reason, detail: str = "", status: int | None = None) -> Outcome:
    """Return the outcome of an attempt that no repetition can mend."""
    return Outcome(Verdict.REJECTED, reason, status, detail)
