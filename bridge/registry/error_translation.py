"""Turns MLflow's exceptions into the bridge's errors, with messages that say what to do."""

import re

from bridge.errors import RegistryBusy, RegistryError, RegistryLacks, RegistryRefused, RegistryUnreachable
from bridge.registry.last_http_exchange import last_exchange
from bridge.registry.mlflow_client_misconfiguration import client_fault
from bridge.registry.retry_after import asked_wait_s
from bridge.registry.transport_errors import transport_fault

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
"""How the client's Databricks and Unity Catalog stores refuse a request, with the code INTERNAL_ERROR."""
_LONG_LINE = "Request Line is too large"
"""gunicorn's message."""
_FOREIGN_NAME = "Invalid Host header"
"""MLflow's protection against DNS rebinding, since 3.5; health checks are answered nevertheless."""
_TOO_LONG = frozenset({400, 403, 404, 413, 414, 431})
_BUSY = frozenset({408, 425, 429})
_BUSY_IF_IT_SAYS_SO = frozenset({500, 502, 503, 504})
"""With ``Retry-After``, these mean a rate limit or maintenance; without it, a fault."""
_LIMITED = frozenset({"REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"})
"""MLflow's codes for a rate limit; Databricks' SDK does not keep the status."""
_PASSING = (
    _UNAUTHENTICATED
    | _LIMITED
    | {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"}
)
"""MLflow's codes for what may be over when the request is made again."""
_OF_DATABASE = re.compile(r"expected to (update|delete) \d+ row|https://sqlalche\.me/")
"""What SQLAlchemy writes: of a row that another transaction changed, and at the end of what a database's driver says."""

_FAULTS = frozenset({500, 503})
_OWN_PAGES = (
    "You are not authenticated. Please see https://www.mlflow.org",
    "Response body: 'Permission denied'",
)
"""The answers of MLflow's basic authentication, which are no error documents."""
_ENCRYPTED_PORT = (
    "plain HTTP request was sent to HTTPS port",
    "HTTP request to an HTTPS server",
    "speaking plain HTTP to an SSL",
)
"""The answers of nginx, Go and Apache, with status 400, to plain HTTP on a TLS port."""


def is_absence(error: BaseException | None) -> bool:
    """Whether the registry says that the very object asked for does not exist.

    A proxy's 404 page does not say this: it carries no MLflow error code.
    """
    return _code(error) in _GONE and _status(error) is None


def is_answer(error: BaseException | None) -> bool:
    """Whether a refusal comes from the registry itself (an MLflow error document) or from MLflow's client.

    Anything else that may answer instead (a proxy, a maintenance page, another program) has no
    ``error_code``.
    """
    document = getattr(error, "json", None)
    if document is not None:
        return isinstance(document, dict) and bool(document.get("error_code"))
    return bool(_code(error)) and _status(error) is None and not _is_of_transport(error)


def _is_of_transport(error: BaseException | None) -> bool:
    return str(error).startswith(("API request to ", _NO_JSON))


def is_too_long(error: BaseException | None) -> bool:
    """Whether a shorter request may succeed: a server in front of MLflow's application refuses this one.

    gunicorn and Tomcat answer 400, nginx, Apache and load balancers 414, Envoy 431, IIS 404 (404.15), filters
    403. MLflow's own refusals are error documents.
    """
    return _status(error) in _TOO_LONG


def is_too_much(error: RegistryError) -> bool:
    """Whether a request for fewer rows may succeed where this one failed.

    The page took too long, or exceeded a limit on the size of answers. Gateways then answer 413, 502 or 504.
    A server's worker that takes too much time or memory is killed, and its connection breaks. A proxy may cut
    the answer short. A server that cannot be reached at all shows none of these.
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
    """Whether the registry refuses access (a missing permission, for example)."""
    return _code(error) == "PERMISSION_DENIED" or _status(error) == 403


def is_final(error: BaseException | None) -> bool:
    """Whether the registry refuses a request for what it asks, so that the same request will never be taken."""
    if is_refusal(error):
        return True
    return is_answer(error) and _code(error) not in _PASSING and not _is_of_database(error)


def _is_of_database(error: BaseException | None) -> bool:
    """Whether MLflow's database refused a write, as beside another one: MLflow gives SQLAlchemy's error as ``BAD_REQUEST``."""
    return _code(error) == "BAD_REQUEST" and _OF_DATABASE.search(str(error)) is not None


def is_server_fault(error: BaseException | None) -> bool:
    """Whether the server failed while it made its answer, perhaps because of one of the rows in it.

    MLflow answers 500 where it cannot convert a row, and 503 where its database driver cannot.
    """
    return _status(error) in _FAULTS


def _code(error: BaseException | None) -> str:
    return str(getattr(error, "error_code", ""))


def _status(error: BaseException | None) -> int | None:
    """Return the HTTP status of an answer that is not an MLflow error document."""
    if hasattr(error, "json"):  # an error document: its text quotes names, which can contain anything
        return None
    found = _STATUS.match(str(error)) or _RETRIED.search(str(error))
    return int(found[1]) if found else None


def translate(error: Exception, uri: str) -> RegistryError:
    """Return ``error`` as one of the bridge's errors, with the request, its route, and the answer.

    Of a page, only the first words are shown, with the credential masked.
    """
    status = _status(error)
    busy = _busy(error, uri, status)
    if busy is not None:
        return busy
    client = client_fault(error, uri)
    if client is not None:
        return client
    if _is_lacking(error):
        kind = _code(error) or type(error).__name__
        return RegistryLacks(f"{uri} does not take a request of MLflow's client ({kind})")
    refusal = _refusal(error, status)
    if refusal:
        return RegistryRefused(f"{uri} {refusal}")
    if _is_page(error, status):
        return no_mlflow(uri, f"it answered with HTTP {status}" if status else "it answered with a page")
    return _transport(error, uri, status)


def no_mlflow(uri: str, why: str) -> RegistryRefused:
    """Return the error for answers that are not those of an MLflow server."""
    exchange = last_exchange()
    told = f"{uri} is not an MLflow server ({why}){_asked()}"
    if exchange is not None and any(sign in exchange.beginning for sign in _ENCRYPTED_PORT):
        return RegistryRefused(f"{told}: this port wants TLS: write https:// in registry.tracking_uri")
    if exchange is not None and exchange.redirected_to:
        return RegistryRefused(
            f"{told}: perhaps a page to sign in at: give the bridge a credential that needs no browser, or an "
            "address that leads to MLflow itself (registry.tracking_uri)"
        )
    return RegistryRefused(
        f"{told}: check registry.tracking_uri (its path too: a --static-prefix belongs to it)"
    )


def _asked() -> str:
    """Return the last request and its answer, to be appended to a sentence; empty if they are not known."""
    exchange = last_exchange()
    return f": {exchange}" if exchange else ""


def _busy(error: Exception, uri: str, status: int | None) -> RegistryBusy | None:
    """Return the error for an answer that asks to wait for a while, or None for another answer."""
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
    """Whether the registry, or MLflow's client for this kind of registry, does not support the request."""
    declined = isinstance(error, NotImplementedError) or _UNSUPPORTED.match(str(error)) is not None
    return declined or (_code(error) == "INVALID_PARAMETER_VALUE" and is_answer(error))


def _is_page(error: Exception, status: int | None) -> bool:
    """Whether what answers is permanently not MLflow: a page, or a document without MLflow's ``error_code``."""
    if hasattr(error, "json"):
        exchange = last_exchange()
        code = exchange.status if exchange else None
        return not is_answer(error) and (code is None or code < 500)
    return str(error).startswith(_NO_JSON) or (status is not None and status < 500)


def _refusal(error: Exception, status: int | None) -> str:
    """Return the meaning of a refusal that will not change by itself; empty for any other answer."""
    code, text = _code(error), str(error)
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
    )
    found = next((meaning for applies, meaning in meanings if applies), "")
    return found and f"{found}{_detail(error)}"


def _detail(error: Exception) -> str:
    """Return the request and answer if MLflow itself did not refuse: a proxy refuses for other reasons."""
    return "" if is_answer(error) or any(own in str(error) for own in _OWN_PAGES) else _asked()


def _transport(error: Exception, uri: str, status: int | None) -> RegistryError:
    if status is not None:
        return RegistryUnreachable(
            f"{uri} answers with errors (HTTP {status}): is it an MLflow server? its log says more{_asked()}"
        )
    meaning = transport_fault(str(error))
    exchange = last_exchange()
    if meaning and exchange is not None and exchange.redirected_to:
        return RegistryUnreachable(f"{uri} cannot be used ({exchange}): {meaning}")
    if meaning:
        return RegistryUnreachable(f"{uri} cannot be reached: {meaning}")
    kind = _code(error) or type(error).__name__
    return RegistryUnreachable(f"{uri} gives no answer that MLflow's client can read ({kind}){_asked()}")


def foreign_status(error: BaseException) -> int | None:
    """Return the HTTP status of an answer that is not an MLflow document, or None if there was none."""
    return 200 if str(error).startswith(_NO_JSON) else _status(error)
