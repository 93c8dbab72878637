"""Turns an HTTP answer into an outcome: the contract's table, as a pure function.

The rule behind the table: an event is given up only if the application itself may have refused this very
event. If a proxy, a gateway, an account or a wrong setting is the cause, every event would get the same
answer. Then the delivery is retried, with warnings, until an operator corrects the cause.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from bridge.delivery.attempt_outcome import Outcome, Reason, delivered, rejected, retryable
from bridge.delivery.clock_skew import clock_fault, instant_of
from bridge.delivery.intermediary_bad_requests import gateway_fault
from bridge.delivery.redirect_advice import redirect_fault, shown_origin, target_of

_OVERLOADED = frozenset({408, 425, 429})
_HEADERS_TOO_LARGE = (
    "a server before the receiver takes no headers of this size: check the sink's headers and token"
)
_CUT_OFF = "a server before the receiver gave the request up: check that server's log, and {address}"
_PLACE: Mapping[int, str] = {
    401: "the credential or signature was refused: check the sink's secret",
    402: "the receiver wants to be paid: check the account there",
    403: "access was refused: check the sink's credential and its permissions",
    404: "nothing is there: check {address}",
    405: "this is no place for such a request (a maintenance page, say): check {address}, and what is before the receiver",
    406: "a server or firewall before the receiver refuses the request: check its log, and {address}",
    407: "a proxy asks for authentication: check the proxy settings of the environment",
    409: "the receiver reports a conflict",
    411: "a server on the way lost the length of the body: check the proxies before the receiver",
    414: "a server on the way takes no URL of this length: shorten {address} and what is added to it",
    419: "the page behind {address} is one for people, which wants the token of a form: use the receiver's API",
    421: "the server does not answer for this host: check the host in {address}, and the proxy before the receiver",
    423: "the receiver reports that it is locked",
    424: "something that the receiver depends on failed",
    426: "the server wants another protocol: check whether {address} should begin with https://",
    431: _HEADERS_TOO_LARGE,
    440: "the session at the receiver has expired: check the sink's credential",
    444: _CUT_OFF,
    451: "access is blocked for legal reasons, or by a filter on the way: check {address}",
    460: _CUT_OFF,
    463: "the request came through too many proxies: check those before the receiver",
    464: "the load balancer before the receiver does not know this version of HTTP: check its target group",
    494: _HEADERS_TOO_LARGE,
    495: "the server refuses the client certificate: check tls.client_cert",
    496: "the server wants a client certificate: set tls.client_cert and tls.client_key",
    497: "the port speaks TLS, and was asked in plain HTTP: write https:// in {address}",
    498: "the token was refused: check the sink's secret",
    499: _CUT_OFF,
}
"""Advice for statuses that concern the connection or a setting rather than the event: RFC 9110, 6585, 7725 and 4918; those of

nginx (444, 494 to 497, 499), AWS (460 to 464), IIS (440), Laravel (419) and ArcGIS (498). ``{address}``
stands for the setting that names the receiver.
"""

_CLOCK_SHOWS = frozenset({400, 401, 403})
"""The statuses with which receivers refuse a signature or token because of a wrong clock."""

_GONE = (
    "HTTP 410: the receiver says that it is gone for good; when {address} is right, run "
    "'mlflow-bridge sinks resume NAME'"
)
_MAX_RETRY_AFTER_MS = 24 * 3_600_000
_MAX_RESET_MS = 3_600_000
_AN_EPOCH_S = 1_000_000_000
"""A larger number of seconds is not a duration but a time since 1970."""


def _says_no_more(_target: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Advice:
    """How one kind of sink words the advice on a failed answer.

    Attributes:
        address: the setting that says where requests go.
        url: where this request went, to compare with the target of a redirect. Never shown.
        statuses: sentences that replace the usual ones for some statuses; they do not change the outcome.
        moved: returns the advice for a redirect to a target (an absolute URL, or empty); empty for the usual advice.
        is_timed: whether requests carry a time, so that a wrong clock can be the cause of a refusal.
    """

    address: str = "the sink's url"
    url: str = field(default="", repr=False)
    statuses: Mapping[int, str] = field(default_factory=dict)
    moved: Callable[[str], str] = _says_no_more
    is_timed: bool = True

    def of(self, status: int) -> str:
        """Return the sentence for ``status``, or an empty one."""
        return self.statuses.get(status) or _PLACE.get(status, "").format(address=self.address)


USUAL = Advice()


def interpret(
    status: int, headers: Mapping[str, str], now_ms: int, said: str = "", advice: Advice = USUAL
) -> Outcome:
    """Return the outcome for the answer ``status`` with ``headers`` (lower-case names).

    Transport errors are handled elsewhere. A redirect is not followed: it would carry credentials to another
    host and turn the POST into an empty GET.

    Args:
        status: the answer's status.
        headers: its headers, with lower-case names.
        now_ms: when the attempt was made, in ms since the epoch.
        said: the beginning of its body, which can show that a 400 comes from a server in front of the application.
        advice: how to word the advice.
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
        return retryable(Reason.MISCONFIGURED, _moved(status, headers, advice), status, wait)
    if status == HTTPStatus.GONE:
        return retryable(Reason.GONE, _GONE.format(address=advice.address), status, wait)
    clock = clock_fault(headers, now_ms) if advice.is_timed and status in _CLOCK_SHOWS else ""
    faults = [fault for fault in (clock, _fault_of_place(status, said, advice)) if fault]
    return _refused(status, faults, advice, wait)


def _fault_of_place(status: int, said: str, advice: Advice) -> str:
    """Return the fault of the connection or a setting; empty if the application refuses the event."""
    if status == HTTPStatus.BAD_REQUEST:
        return gateway_fault(said).format(address=advice.address)
    return advice.of(status) if status in _PLACE else ""


def _refused(status: int, faults: Sequence[str], advice: Advice, wait: int | None) -> Outcome:
    said = "; ".join(faults) or advice.of(status)
    detail = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    return (
        retryable(Reason.MISCONFIGURED, detail, status, wait)
        if faults
        else rejected(Reason.REFUSED, detail, status)
    )


def _moved(status: int, headers: Mapping[str, str], advice: Advice) -> str:
    target = target_of(advice.url, headers.get("location", ""))
    shown = shown_origin(target)
    mend = advice.moved(target) or redirect_fault(advice.url, target, advice.address)
    return f"HTTP {status}: redirects are not followed{f' (to {shown})' if shown else ''}: {mend}"


def retry_after_ms(headers: Mapping[str, str], now_ms: int) -> int | None:
    """Return how long ``Retry-After`` asks to wait, in ms: seconds or an HTTP date (RFC 9110, 10.2.3).

    At most a day; ``None`` if the header is missing, or is neither.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:9]) * 1000, _MAX_RETRY_AFTER_MS)
    until = instant_of(value)
    return None if until is None else min(max(until - answered_at(headers, now_ms), 0), _MAX_RETRY_AFTER_MS)


def rate_limit_reset_ms(headers: Mapping[str, str], now_ms: int) -> int | None:
    """Return in how many ms a rate limit ends, where a header other than ``Retry-After`` says so.

    ``RateLimit-Reset`` counts seconds from now (IETF draft *RateLimit header fields*, up to -07).
    ``X-RateLimit-Reset`` is used both for that and for seconds since the epoch. At most an hour.
    """
    for name in ("ratelimit-reset", "x-ratelimit-reset"):
        value = headers.get(name, "").strip()
        if value.isascii() and value.isdigit():
            seconds = int(value[:12])
            since = answered_at(headers, now_ms) if seconds > _AN_EPOCH_S else 0
            return min(max(seconds * 1000 - since, 1_000), _MAX_RESET_MS)
    return None


def answered_at(headers: Mapping[str, str], now_ms: int) -> int:
    """Return the time of the answer by the server's own clock, in ms since the epoch; else ``now_ms``.

    Times in the answer's other headers are by that clock, so they are compared with it.
    """
    theirs = instant_of(headers.get("date", ""))
    return now_ms if theirs is None else theirs
