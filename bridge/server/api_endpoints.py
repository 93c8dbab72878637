"""The endpoints of the API: authenticate, collect the arguments, have the daemon carry it out, answer in JSON.

Errors have the form of MLflow's and Databricks' APIs: ``{"error_code", "message"}``.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bridge.config import Permission
from bridge.errors import (
    BridgeError,
    InvalidArgument,
    InvalidState,
    LimitExceeded,
    NotAllowed,
    NotFound,
    OwnerUnavailable,
    SecretUnavailable,
    StateUnwritable,
)
from bridge.server.api_arguments import (
    LONGEST_BODY,
    LONGEST_OF_SERVER,
    BodyTooLong,
    MalformedRequest,
    arguments_of,
)
from bridge.server.daemon_loop_calls import DaemonLoop
from bridge.server.host_header_check import is_welcome
from bridge.server.token_authority import (
    NOBODY,
    Authority,
    Caller,
    PermissionDenied,
    Unauthenticated,
    check_acts_for_users,
    check_permission,
    with_user,
)

log = structlog.get_logger(__name__)

Document = dict[str, Any]

Operation = Callable[[Document, Caller], Awaitable[Document]]
"""Carries a request out, in the daemon's event loop: its arguments and the caller in, the answer out."""

PREFIXES = ("/api/", "/ajax-api/")
"""The beginnings of the paths of the API."""

_PATIENCE_S = 60.0
"""How long an operation may take: a test waits for its receiver, and a reload drains the relay."""

MOST_CALLS = 32
"""How many calls are answered at once, at each address."""

_BUSY = "too many requests at once: try again in a moment"

_ERRORS: Mapping[type[BridgeError], tuple[HTTPStatus, str]] = {
    Unauthenticated: (HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED"),
    PermissionDenied: (HTTPStatus.FORBIDDEN, "PERMISSION_DENIED"),
    NotAllowed: (HTTPStatus.FORBIDDEN, "PERMISSION_DENIED"),
    MalformedRequest: (HTTPStatus.BAD_REQUEST, "MALFORMED_REQUEST"),
    BodyTooLong: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "MALFORMED_REQUEST"),
    InvalidArgument: (HTTPStatus.BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
    InvalidState: (HTTPStatus.BAD_REQUEST, "INVALID_STATE"),
    LimitExceeded: (HTTPStatus.BAD_REQUEST, "RESOURCE_LIMIT_EXCEEDED"),
    NotFound: (HTTPStatus.NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
    SecretUnavailable: (HTTPStatus.BAD_REQUEST, "INVALID_STATE"),
    StateUnwritable: (HTTPStatus.SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
    OwnerUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
}
"""The status and the ``error_code`` (MLflow, ``ErrorCode``) of each error."""

_STUCK = "the event loop of the bridge does not answer: /livez tells the same"
_ENDING = "the bridge is stopping: try again in a moment"
_FOREIGN = (
    "the request comes from a page of another site: the API is for programs, and for the bridge's own pages"
)


_STRANGER = (
    "without a token, the API answers to addresses, to names without a dot and to those in server.hosts: ask by another "
    "name, or send a token"
)


@dataclass(slots=True)
class Calls:
    """How many calls are under way: each holds a connection, and probes need some, too."""

    number: int = 0

    def __enter__(self) -> None:
        """Begin a call.

        Raises:
            OwnerUnavailable: there are as many as may be.
        """
        if self.number >= MOST_CALLS:
            raise OwnerUnavailable(_BUSY)
        self.number += 1

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.number -= 1


@dataclass(frozen=True, slots=True)
class ApiDoor:
    """What the endpoints at one address share: who may ask, and the daemon's event loop."""

    authority: Authority
    daemon_loop: DaemonLoop
    names: Collection[str] = ()
    """Host names for which it answers without a token (see `bridge.server.host_header_check`)."""
    calls: Calls = field(default_factory=Calls)
    of_server: Calls = field(default_factory=Calls)
    """Those of MLflow's server, which no other calls may hold up: a transition waits for the answer."""

    def endpoint(
        self,
        permission: Permission,
        operation: Operation,
        lists: Collection[str] = (),
        *,
        is_for_server: bool = False,
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint for an operation that needs a permission.

        The query may have several of each argument in ``lists``.
        """
        longest = LONGEST_OF_SERVER if is_for_server else LONGEST_BODY
        calls = self.of_server if is_for_server else self.calls

        async def endpoint(request: Request) -> Response:
            try:
                caller = await self._caller(request)
                check_permission(caller, permission)
                if is_for_server:
                    check_acts_for_users(caller)
                arguments = {**await arguments_of(request, lists, longest), **request.path_params}
                with calls:
                    return json_answer(await self.carried_out(request, operation, arguments, caller))
            except BridgeError as error:
                return error_answer(error)
            except TimeoutError:
                return _error(HTTPStatus.SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE", _STUCK)
            except (asyncio.CancelledError, ClientDisconnect):  # the daemon ends, or the client is gone
                return stopping()

        return endpoint

    async def carried_out(
        self, _request: Request, operation: Operation, arguments: Document, caller: Caller
    ) -> Document:
        """Return the answer of ``operation``; raises what it raises, and `TimeoutError`."""
        return await self.daemon_loop.call(lambda: operation(arguments, caller), _PATIENCE_S)

    async def _caller(self, request: Request) -> Caller:
        """Return who sends ``request``.

        Raises:
            Unauthenticated: nobody who is known.
            PermissionDenied: a browser sends it from a page of another site, with credentials that it remembers.
        """
        if is_from_another_site(request, self.names):
            raise PermissionDenied(_FOREIGN)
        caller = with_user(await self.authority.caller(request.headers.get("authorization")), request.headers)
        if caller is NOBODY and not is_welcome(request.headers.get("host"), self.names):
            raise PermissionDenied(_STRANGER)
        return caller


def is_from_another_site(request: Request, names: Collection[str] = ()) -> bool:
    """Whether a browser sends ``request`` from a page of another site (Fetch Metadata; RFC 6454).

    ``names`` are those of a proxy before the bridge, which may send another ``Host`` than it was asked for.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site not in {None, "none", "same-origin"}:
        return True
    return origin is not None and not _is_own(origin, request.headers.get("host"), names)


def _is_own(origin: str, host: str | None, names: Collection[str]) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.netloc == host or parts.hostname in names


def json_answer(document: Document, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return ``document`` as an answer."""
    return Response(json.dumps(document).encode(), status, media_type="application/json")


def status_of(error: BridgeError) -> HTTPStatus:
    """Return the status for an error."""
    return _told(error)[0]


def _told(error: BridgeError) -> tuple[HTTPStatus, str]:
    kinds = (kind for kind in type(error).__mro__ if kind in _ERRORS)
    return _ERRORS.get(next(kinds, BridgeError), (HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"))


def error_answer(error: BridgeError) -> Response:
    """Return the answer for an error."""
    answer = _error(*_told(error), str(error))
    if isinstance(error, Unauthenticated):
        answer.headers["WWW-Authenticate"] = 'Bearer realm="mlflow-bridge"'
    return answer


def stopping() -> Response:
    """Return the answer to a request that is not carried out, because the daemon ends."""
    return _error(HTTPStatus.SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE", _ENDING)


def refusal(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for a path or a method that the API does not have; ``headers`` tell the methods that it has."""
    code = "INTERNAL_ERROR" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "ENDPOINT_NOT_FOUND"
    answer = _error(status, code, f"{status.phrase.lower()}: the API has no such endpoint")
    answer.headers.update(headers or {})
    return answer


def fault(kind: str) -> Response:
    """Return the answer for a fault in the bridge; ``kind`` is the name of its exception."""
    return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", f"a fault in the bridge: {kind}")


def _error(status: HTTPStatus, code: str, message: str) -> Response:
    return json_answer({"error_code": code, "message": message}, status)
