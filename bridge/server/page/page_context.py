"""What all pages share: the daemon behind them, who sees them, and how they are answered."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bridge.events.event_names import EVENT_NAMES
from bridge.server.api_endpoints import ApiDoor
from bridge.server.bridge_api import Present
from bridge.server.page.page_access import PageAccess, Viewer
from bridge.server.page.page_templates import TYPE, rendered

T = TypeVar("T")
Form = Mapping[str, Sequence[str]]
Endpoint = Callable[[Request], Awaitable[Response]]
Endpoints = Iterator[tuple[str, str, Endpoint]]
"""Paths, methods and endpoints."""

EVENTS = [name for name in EVENT_NAMES if name.isupper()]
"""The names of events to choose from."""

FOREIGN = "the form does not come from this page: load it again, and repeat"

_PATIENCE_S = 60.0
_DONE = {
    "created": "The webhook is created",
    "changed": "It is changed",
    "paused": "It is paused",
    "resumed": "It is resumed",
    "deleted": "The webhook is deleted",
    "redriven": "Dead entries are sent again",
    "dropped": "The entries are dropped",
    "requested": "It is asked for",
    "approved": "It is approved",
    "rejected": "It is rejected",
    "cancelled": "It is taken back",
    "nothing": "Nothing was done: they are being sent, have been delivered, or their sinks are gone",
}
"""What is told after a form, by the word in the address: nothing of an address is shown."""


@dataclass(frozen=True, slots=True)
class PageContext:
    """The daemon behind the pages of an address, and who sees them."""

    door: ApiDoor
    present: Present
    access: PageAccess

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Return the result of ``function``, called in the daemon's event loop.

        Raises:
            OwnerUnavailable: too many calls are under way.
        """
        with self.door.calls:
            return await self.door.daemon_loop.call(function, _PATIENCE_S)


async def page(
    template: str,
    request: Request,
    viewer: Viewer | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    here: str = "",
    **values: Any,
) -> Response:
    """Return the page of ``template`` with ``values``; ``here`` is its place in the navigation."""
    session = viewer.session if viewer else None
    shown = {
        "here": here or request.scope["path"],
        "who": viewer.caller.name if viewer else "",
        "form_token": session.form_token if session else "",
        "can_sign_in": viewer is None,
        "said": _DONE.get(request.query_params.get("done", ""), ""),
    }
    body = await run_in_threadpool(lambda: rendered(template, **{**shown, **values}))
    return Response(body, status, media_type=TYPE)


async def message(status: HTTPStatus, text: str) -> Response:
    """Return a page with nothing but a sentence."""
    body = await run_in_threadpool(lambda: rendered("message", said=text, failed=True))
    return Response(body, status, media_type=TYPE)


def after(path: str, done: str) -> Response:
    """Return the answer to a form that did its work: a page that can be loaded again without sending it again."""
    return RedirectResponse(f"{path}?done={done}", HTTPStatus.SEE_OTHER)


def last(form: Form, name: str) -> str:
    """Return the last value of a field; empty without one."""
    return (form.get(name) or [""])[-1]
