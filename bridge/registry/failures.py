"""What MLflow's exceptions mean, in a sentence that an operator can act on."""

import re

from bridge.errors import RegistryBusy, RegistryError, RegistryLacks, RegistryRefused, RegistryUnreachable
from bridge.registry.retry_after import asked_wait_s

_GONE = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
_UNAUTHENTICATED = frozenset({"UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"})
_STATUS = re.compile(r"API request to endpoint \S+ failed with error code (\d{3}) != 200\.")
_RETRIED = re.compile(r"Caused by ResponseError\('too many (\d{3}) error responses'\)")
_NO_JSON = "API request to endpoint was successful but the response body was not in a valid JSON format"
_CUT_SHORT = _NO_JSON + ". Response body: '{"
_BROKEN_OFF = (
    "Read timed out",
    "ReadTimeoutError",
    "Connection aborted",
    "Connection reset",
    "Connection broken",
    "IncompleteRead",
    "InvalidChunkLength",
    "Response ended prematurely",
)
_UNSUPPORTED = re.compile(
    r"(Argument|Method) '\w+' is unsupported for models in |(Unsupported|Missing) filter"
)
"""How the client's Databricks and Unity Catalog stores decline, with INTERNAL_ERROR for a code."""
_UNKNOWN_SCHEME = re.compile(
    r"Model [Rr]egistry (functionality is unavailable; got|features are not supported)"
)
_LONG_LINE = "Request Line is too large"
"""gunicorn's."""
_FOREIGN_NAME = "Invalid Host header"
"""MLflow's guard against DNS rebinding, since 3.5; it keeps no health check from answering."""
_TOO_LONG = frozenset({400, 403, 404, 413, 414, 431})
_BUSY = frozenset({408, 425, 429})
_BUSY_IF_IT_SAYS_SO = frozenset({500, 502, 503, 504})
"""With ``Retry-After`` these are a limit or maintenance; without it, a fault."""
_LIMITED = frozenset({"REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"})
"""MLflow's codes for a rate limit; Databricks' SDK keeps no status."""


def is_absence(error: BaseException | None) -> bool:
    """Whether the registry says that the very object asked for does not exist.

    A 404 page of a proxy says nothing of the kind: it carries no MLflow error code.
    """
    return _code(error) in _GONE and _status(error) is None


def is_too_long(error: BaseException | None) -> bool:
    """Whether a shorter request may get through: what stands before MLflow's application refuses this one.

    gunicorn and Tomcat answer 400, nginx, Apache and load balancers 414, Envoy 431, IIS 404 (404.15), filters 403.
    MLflow's own refusals are error documents.
    """
    return _status(error) in _TOO_LONG


def is_too_much(error: RegistryError) -> bool:
    """Whether fewer rows at once may come where this came: in time, and through what limits the size of answers.

    Gateways answer 413, 502, 504; a server's worker that took too long, or too much memory, is killed, and its
    connection breaks; a proxy cuts an answer short. A server that is not there at all is none of that.
    """
    cause = error.__cause__
    if isinstance(error, RegistryBusy) or cause is None:
        return False
    text, status = str(cause), _status(cause)
    if status is not None:
        return status == 413 or status >= 500
    if isinstance(error, RegistryLacks):
        return "max_results" in text
    return any(sign in text for sign in _BROKEN_OFF) or text.startswith(_CUT_SHORT)


def is_refusal(error: BaseException | None) -> bool:
    """Whether the registry refuses to tell (a missing permission, say)."""
    return _code(error) == "PERMISSION_DENIED" or _status(error) == 403


def _code(error: BaseException | None) -> str:
    return str(getattr(error, "error_code", ""))


def _status(error: BaseException | None) -> int | None:
    """Return the HTTP status of an answer that was no MLflow error document."""
    if hasattr(error, "json"):  # an error document: its text quotes names, which can say anything
        return None
    found = _STATUS.match(str(error)) or _RETRIED.search(str(error))
    return int(found[1]) if found else None


def translate(error: Exception, uri: str) -> RegistryError:
    """Return ``error`` as one of ours. Bodies of answers are left out: they can hold anything."""
    status = _status(error)
    busy = _busy(error, uri, status)
    if busy is not None:
        return busy
    if _UNKNOWN_SCHEME.match(str(error).lstrip()):
        return RegistryRefused(
            f"{uri} has a scheme that MLflow's client does not know: "
            "is its plug-in installed where the bridge is?"
        )
    if _is_lacking(error):
        kind = _code(error) or type(error).__name__
        return RegistryLacks(f"{uri} does not take a request of MLflow's client ({kind})")
    refusal = _refusal(error, status)
    return RegistryRefused(f"{uri} {refusal}") if refusal else _transport(error, uri, status)


def _busy(error: Exception, uri: str, status: int | None) -> RegistryBusy | None:
    """Return a request to be left alone for a while, where the answer is one."""
    what = f"HTTP {status}" if status else _code(error)
    wait_s = asked_wait_s(error) if status in _BUSY | _BUSY_IF_IT_SAYS_SO else None
    if wait_s is not None:
        return RegistryBusy(
            f"{uri} asks to wait {wait_s} s ({what}, Retry-After): it limits requests, or is down for a while; "
            "so may a proxy before it",
            wait_s,
        )
    if status in _BUSY or _code(error) in _LIMITED:
        return RegistryBusy(f"{uri} is busy ({what}): it limits requests, or a proxy before it does")
    return None


def _is_lacking(error: Exception) -> bool:
    """Whether the registry, or MLflow's client for this kind of registry, knows no such request."""
    declined = isinstance(error, NotImplementedError) or _UNSUPPORTED.match(str(error)) is not None
    return declined or _code(error) == "INVALID_PARAMETER_VALUE"


def _refusal(error: Exception, status: int | None) -> str:
    """Return what an answer that will stay the same means, or nothing for one that may not."""
    code, text = _code(error), str(error)
    no_json = text.startswith(_NO_JSON)
    page = f"HTTP {status}" if status else "a page"
    meanings = (
        (
            code in _UNAUTHENTICATED or status == 401,
            "refuses the credentials: check registry.username, registry.password or registry.token",
        ),
        (
            status == 403 and _FOREIGN_NAME in text,
            "does not answer to this name: start MLflow with --allowed-hosts naming it, port included",
        ),
        (
            status in {414, 431} or (status == 400 and _LONG_LINE in text),
            f"takes no request as long as this one (HTTP {status}): raise its limit, or that of a proxy before it",
        ),
        (is_refusal(error), "denies access: the bridge's user needs READ permission"),
        (
            "WORKSPACE" in code or "Workspace '" in text[:60],
            "has no such workspace, or hides it: check registry.workspace",
        ),
        (
            code == "FEATURE_DISABLED",
            "lacks a feature that was asked for: does it have workspaces (registry.workspace)?",
        ),
        (
            no_json or (status is not None and status < 500),
            f"is not an MLflow server (it answered with {page}): check registry.tracking_uri",
        ),
    )
    return next((meaning for applies, meaning in meanings if applies), "")


def _transport(error: Exception, uri: str, status: int | None) -> RegistryError:
    text = str(error)
    if status is not None:
        return RegistryUnreachable(
            f"{uri} answers with errors (HTTP {status}): is it an MLflow server? its log says more"
        )
    for sign, meaning in (
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted: set registry.ca_file"),
        ("SSLError", "the connection cannot be made secure: check http or https in the URL"),
        ("Connection refused", "connection refused: is the server running, and the port right?"),
        ("Name or service not known", "no such host: check the name in registry.tracking_uri"),
        ("Temporary failure in name resolution", "its name cannot be resolved"),
        ("No address associated", "no such host: check the name in registry.tracking_uri"),
        ("imed out", "no answer within registry.timeout"),
        ("RemoteDisconnected", "the connection was closed without an answer"),
    ):
        if sign in text:
            return RegistryUnreachable(f"{uri} cannot be reached: {meaning}")
    kind = _code(error) or type(error).__name__
    return RegistryUnreachable(f"{uri} gives no answer that MLflow's client can read ({kind})")
