"""The pages on which people act: sign-in, webhooks, deliveries. They work without a script."""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bridge.errors import BridgeError, NotFound
from bridge.events.event_names import DEFAULT_EVENTS, EVENT_NAMES
from bridge.operations.resource_arguments import (
    EntriesArguments,
    NumbersArguments,
    SinkArguments,
    SinkTestArguments,
)
from bridge.operations.webhook_arguments import parse_strictly
from bridge.server.api_endpoints import ApiDoor, status_of
from bridge.server.bridge_api import Present
from bridge.server.http_application import Page, page_endpoint
from bridge.server.page.page_access import MisdirectedRequest, PageAccess, Viewer, form_of, sent_to_sign_in
from bridge.server.page.page_templates import rendered
from bridge.server.page.sessions import COOKIE, LASTS_S, Sessions
from bridge.server.token_authority import PermissionDenied, Unauthenticated

T = TypeVar("T")
Form = Mapping[str, Sequence[str]]
Endpoint = Callable[[Request], Awaitable[Response]]

_MOST_WEBHOOKS = 200
_PATIENCE_S = 60.0
_TYPE = "text/html; charset=utf-8"
_EVENTS = [name for name in EVENT_NAMES if name.isupper()]
_EMPTY = {"url": "", "events": list(DEFAULT_EVENTS), "model_name": "", "description": ""}
_DONE = {
    "created": "The webhook is created",
    "changed": "It is changed",
    "paused": "It is paused",
    "resumed": "It is resumed",
    "deleted": "The webhook is deleted",
    "redriven": "Dead entries are sent again",
    "dropped": "The entries are dropped",
    "nothing": "Nothing was done: they are being sent, have been delivered, or their sinks are gone",
}
"""What is told after a form, by the word in the address: nothing of an address is shown."""

_BUSY = "too many requests at once: try again in a moment"
_FOREIGN = "the form does not come from this page: load it again, and repeat"


def page_routes(door: ApiDoor, present: Present, status: Page) -> Iterator[Route]:
    """Yield the routes of the pages at an address, with ``status`` at ``/``."""
    access = PageAccess(door.authority, Sessions(door.authority, time.monotonic), door.names)
    yield from Pages(door, present, access, page_endpoint(status, door.daemon_loop)).routes()


class Pages:
    """The pages at one address."""

    def __init__(self, door: ApiDoor, present: Present, access: PageAccess, status: Endpoint) -> None:
        """Show ``status`` at ``/``; who sees what is decided by ``access``."""
        self._door = door
        self._present = present
        self._access = access
        self._status = status

    def routes(self) -> Iterator[Route]:
        """Yield the routes of the pages."""
        for path, method, endpoint in (
            ("/", "GET", self._overview),
            ("/sign-in", "GET", self._sign_in_page),
            ("/sign-in", "POST", self._sign_in),
            ("/sign-out", "POST", self._sign_out),
            ("/webhooks", "GET", self._webhooks_page),
            ("/webhooks", "POST", self._create),
            ("/webhooks/{webhook_id}", "GET", self._webhook_page),
            ("/webhooks/{webhook_id}", "POST", self._change),
            ("/deliveries", "GET", self._deliveries_page),
            ("/deliveries", "POST", self._resend),
        ):
            yield Route(path, self._guarded(endpoint), methods=[method])

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        """Return ``endpoint`` with its refusals as pages."""

        async def guarded(request: Request) -> Response:
            if self._door.calls.is_full:
                return await _message(HTTPStatus.SERVICE_UNAVAILABLE, _BUSY)
            try:
                with self._door.calls:
                    return await endpoint(request)
            except Unauthenticated:
                return sent_to_sign_in(request)
            except MisdirectedRequest as error:
                return await _message(HTTPStatus.MISDIRECTED_REQUEST, str(error))
            except BridgeError as error:
                return await _message(status_of(error), str(error))
            except ClientDisconnect:
                return Response(status_code=HTTPStatus.BAD_REQUEST)

        return guarded

    async def _overview(self, request: Request) -> Response:
        await self._access.viewer(request)
        return await self._status(request)

    async def _sign_in_page(self, request: Request) -> Response:
        return await _page("sign_in", request, next=_place(request.query_params.get("next", "")))

    async def _sign_in(self, request: Request) -> Response:
        given = await form_of(request)
        place = _place(_last(given, "next"))
        try:
            self._access.check_own_page(request)
            cookie = await self._access.sessions.sign_in(_last(given, "token"))
        except BridgeError as error:
            return await _page(
                "sign_in", request, status=status_of(error), next=place, said=str(error), failed=True
            )
        answer = RedirectResponse(place, HTTPStatus.SEE_OTHER)
        answer.set_cookie(COOKIE, cookie, max_age=LASTS_S, path="/", httponly=True, samesite="strict")
        return answer

    async def _sign_out(self, request: Request) -> Response:
        await self._access.form(request, await self._access.viewer(request), "read")
        self._access.sessions.sign_out(request.cookies.get(COOKIE))
        answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    async def _webhooks_page(self, request: Request) -> Response:
        return await self._webhooks(request, await self._access.viewer(request))

    async def _webhooks(self, request: Request, viewer: Viewer, **values: Any) -> Response:
        async def seen() -> tuple[list[dict[str, Any]], bool, bool]:
            resources = await self._present.resources()
            return *(await resources.webhooks(_MOST_WEBHOOKS)), resources.has_webhooks

        webhooks, more, is_on = await self._call(seen)
        shown = {"webhooks": webhooks, "more": more, "is_on": is_on, "known_events": _EVENTS, "given": _EMPTY}
        return await _page(
            "webhooks", request, viewer, **{**shown, "may_change": viewer.may("webhooks"), **values}
        )

    async def _create(self, request: Request) -> Response:
        viewer = await self._access.viewer(request)
        form = await self._access.form(request, viewer, "webhooks")
        given = {name: _last(form, name) for name in ("url", "model_name", "description")}
        events = list(form.get("events", ()))
        spec = {"url": given["url"], "secret": _last(form, "secret")}
        asked = {**given, "events": events, "http_url_spec": spec}
        del asked["url"]

        async def create() -> Any:
            return await (await self._present.webhooks()).create(asked, viewer.caller.name)

        try:
            made = await self._call(create)
        except BridgeError as error:
            again = {**given, "events": events}
            return await self._webhooks(
                request, viewer, status=status_of(error), said=str(error), failed=True, given=again
            )
        return _after(f"/webhooks/{made['webhook']['id']}", "created")

    async def _webhook_page(self, request: Request) -> Response:
        return await self._webhook(request, await self._access.viewer(request))

    async def _webhook(self, request: Request, viewer: Viewer, **values: Any) -> Response:
        webhook_id = request.path_params["webhook_id"]

        async def seen() -> dict[str, Any]:
            return await (await self._present.resources()).webhook(webhook_id)

        shown = {"one": await self._call(seen), "trial": None, "known_events": _EVENTS}
        may = {"may_change": viewer.may("webhooks"), "may_operate": viewer.may("operate")}
        return await _page("webhook", request, viewer, here="/webhooks", **{**shown, **may, **values})

    async def _change(self, request: Request) -> Response:
        viewer = await self._access.viewer(request)
        form = await self._access.form(request, viewer, "webhooks")
        webhook_id, what = request.path_params["webhook_id"], _last(form, "do")
        try:
            if what == "test":
                return await self._webhook(request, viewer, trial=await self._trial(webhook_id))
            done = await self._done(webhook_id, what, form, viewer)
        except NotFound:
            raise
        except BridgeError as error:
            return await self._webhook(request, viewer, status=status_of(error), said=str(error), failed=True)
        return _after("/webhooks" if done == "deleted" else f"/webhooks/{webhook_id}", done)

    async def _trial(self, webhook_id: str) -> dict[str, Any]:
        async def trial() -> dict[str, Any]:
            resources = await self._present.resources()
            return await resources.test(SinkTestArguments(name=webhook_id))

        return await self._call(trial)

    async def _done(self, webhook_id: str, what: str, form: Form, viewer: Viewer) -> str:
        """Carry out what a button says; return the word for what is done."""
        who = viewer.caller.name
        changes: dict[str, dict[str, Any]] = {
            "disable": {"status": "DISABLED"},
            "activate": {"status": "ACTIVE"},
            "change": {"events": list(form.get("events", ())), "description": _last(form, "description")},
        }

        async def do() -> str:
            if what in changes:
                await (await self._present.webhooks()).update({"id": webhook_id, **changes[what]}, who)
                return "changed"
            if what == "delete" and _last(form, "sure") == "yes":
                await (await self._present.webhooks()).delete({"id": webhook_id}, who)
                return "deleted"
            if what in {"pause", "resume"} and viewer.may("operate"):
                resources = await self._present.resources()
                act = resources.pause if what == "pause" else resources.resume
                await act(SinkArguments(name=webhook_id), who)
                return f"{what}d"
            raise PermissionDenied(_FOREIGN)

        return await self._call(do)

    async def _deliveries_page(self, request: Request) -> Response:
        viewer = await self._access.viewer(request)
        query = request.query_params
        status, sink = query.get("status", ""), query.get("sink", "")
        asked = {"status": [status] if status else [], "sink": [sink] if sink else []}
        arguments = parse_strictly(EntriesArguments, {**asked, "cursor": query.get("cursor", "")})

        async def seen() -> dict[str, Any]:
            return await (await self._present.resources()).entries(arguments)

        page = await self._call(seen)
        shown = {
            "entries": page["entries"],
            "more": page.get("next_cursor", ""),
            "wanted": status,
            "sink": sink,
        }
        return await _page("deliveries", request, viewer, may_operate=viewer.may("operate"), **shown)

    async def _resend(self, request: Request) -> Response:
        viewer = await self._access.viewer(request)
        form = await self._access.form(request, viewer, "operate")
        numbers = [int(one) for one in form.get("entries", ()) if one.isascii() and one.isdigit()]
        what = _last(form, "do")
        if not numbers:
            return RedirectResponse("/deliveries", HTTPStatus.SEE_OTHER)
        arguments = parse_strictly(NumbersArguments, {"entries": numbers})

        async def do() -> str:
            resources = await self._present.resources()
            act = resources.drop if what == "drop" else resources.redrive
            done = await act(arguments, viewer.caller.name)
            return ("dropped" if what == "drop" else "redriven") if done["entries"] else "nothing"

        return _after("/deliveries", await self._call(do))

    async def _call(self, function: Callable[[], Awaitable[T]]) -> T:
        return await self._door.daemon_loop.call(function, _PATIENCE_S)


async def _page(
    template: str,
    request: Request,
    viewer: Viewer | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    here: str = "",
    **values: Any,
) -> Response:
    session = viewer.session if viewer else None
    shown = {
        "here": here or request.scope["path"],
        "who": viewer.caller.name if viewer else "",
        "form_token": session.form_token if session else "",
        "can_sign_in": viewer is None,
        "said": _DONE.get(request.query_params.get("done", ""), ""),
        "failed": False,
    }
    body = await run_in_threadpool(lambda: rendered(template, **{**shown, **values}))
    return Response(body, status, media_type=_TYPE)


async def _message(status: HTTPStatus, text: str) -> Response:
    values = {"here": "", "who": "", "form_token": "", "can_sign_in": False, "said": text, "failed": True}
    return Response(await run_in_threadpool(lambda: rendered("message", **values)), status, media_type=_TYPE)


def _after(path: str, done: str) -> Response:
    """Return the answer to a form that did its work: a page that can be loaded again without sending it again."""
    return RedirectResponse(f"{path}?done={done}", HTTPStatus.SEE_OTHER)


def _last(form: Form, name: str) -> str:
    return (form.get(name) or [""])[-1]


def _place(path: str) -> str:
    """Return the page to go to after signing in: one of our own, whatever the address says."""
    own = path in {"/webhooks", "/deliveries"} or path.removeprefix("/webhooks/").isalnum()
    return path if own and path.startswith("/") else "/"
