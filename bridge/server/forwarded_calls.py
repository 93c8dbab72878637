"""Calls of the API that come to a bridge which stands by: it knows who asks, and the owner of the state answers."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from bridge.config import Permission
from bridge.errors import NotFound, OwnerUnavailable
from bridge.server.api_endpoints import ApiDoor, Document, Operation
from bridge.server.token_authority import Caller

Ask = Callable[[str, Document], Awaitable[Document]]
"""Gives a command with its arguments to the owner, and returns its answer."""


async def _nobody(_command: str, _arguments: Document) -> Document:
    raise OwnerUnavailable("nobody can be asked")


@dataclass(frozen=True, slots=True)
class ForwardingDoor(ApiDoor):
    """A door of a bridge that stands by: it authenticates, checks permissions, and asks the owner."""

    ask: Ask = field(default=_nobody)

    async def carried_out(
        self, request: Request, operation: Operation, arguments: Document, caller: Caller
    ) -> Document:
        """Return the owner's answer; raises what it answered."""
        del operation
        who = {**asdict(caller), "may": sorted(caller.may)}
        order = {
            "method": request.method,
            "path": request.scope["path"],
            "arguments": arguments,
            "caller": who,
        }
        answer: Document = (await self.ask("api", order))["answer"]
        return answer


class _Forwarded:
    """In the place of an endpoint: the operation that carries it out."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    async def __call__(self, *_: object) -> None:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class OwnersDoor(ApiDoor):
    """The door through which the calls of other bridges come, which have checked them."""

    def endpoint(
        self,
        permission: Permission,
        operation: Operation,
        lists: Collection[str] = (),
        *,
        is_for_server: bool = False,
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return what names the operation."""
        del permission, lists, is_for_server
        return cast("Callable[[Request], Awaitable[Response]]", _Forwarded(operation))


class ForwardedCalls:
    """Carries out, by the routes of the API, what other bridges forward."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Carry out calls by ``routes``, which were made with an `OwnersDoor`."""
        self._routes = list(routes)

    async def call(self, order: Document) -> Document:
        """Carry out a call of `ForwardingDoor`; return its answer as ``answer``.

        Raises:
            NotFound: this bridge has no such path; the other one is of another version.
        """
        scope = {"type": "http", "method": order["method"], "path": order["path"], "headers": []}
        for route in self._routes:
            match, _ = route.matches(scope)
            if match is Match.FULL and isinstance(route.endpoint, _Forwarded):
                caller = Caller(**order["caller"])
                return {"answer": await route.endpoint.operation(order["arguments"], caller)}
        raise NotFound(f"the owner of the state knows no {order['method']} {order['path']!r:.200}")
