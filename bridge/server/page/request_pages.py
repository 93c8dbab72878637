"""The pages of transition requests: ask for one, see its checks and the history of its version, decide on it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bridge.errors import BridgeError
from bridge.events.event_names import STAGES
from bridge.operations.request_arguments import RequestArguments, RequestsArguments
from bridge.operations.request_execution import Requester
from bridge.operations.webhook_arguments import parse_strictly
from bridge.server.page.page_access import Viewer
from bridge.server.page.page_context import FOREIGN, Endpoints, PageContext, after, last, page
from bridge.server.token_authority import PermissionDenied

if TYPE_CHECKING:
    from bridge.config import Permission

_VERBS = {"approve": "approved", "reject": "rejected", "cancel": "cancelled"}
_NOTHING_GIVEN: Mapping[str, Any] = {"name": "", "version": "", "target": "Production", "comment": ""}


class RequestPages:
    """The pages of transition requests."""

    def __init__(self, context: PageContext) -> None:
        """Show the pages of ``context``."""
        self._context = context

    def endpoints(self) -> Endpoints:
        """Yield the endpoints."""
        yield "/requests", "GET", self._list_page
        yield "/requests", "POST", self._ask
        yield "/requests/{request_id}", "GET", self._one_page
        yield "/requests/{request_id}", "POST", self._decide

    async def _list_page(self, request: Request) -> Response:
        return await self._shown_list(request, await self._context.access.viewer(request))

    async def _shown_list(
        self, request: Request, viewer: Viewer, status: HTTPStatus = HTTPStatus.OK, **values: Any
    ) -> Response:
        query = request.query_params
        asked = {"status": query.get("status", ""), "model": query.get("model", "")}
        given = {name: value for name, value in asked.items() if value}
        arguments = parse_strictly(RequestsArguments, {**given, "cursor": query.get("cursor", "")})

        async def seen() -> dict[str, Any]:
            resources = await self._context.present.resources()
            return {**await resources.requests(arguments), **await resources.gates()}

        found = await self._context.call(seen)
        shown = {
            "requests": found["requests"],
            "gates": found["gates"],
            "more": found.get("next_cursor", ""),
            "wanted": asked["status"],
            "model": asked["model"],
            "stages": STAGES,
            "may_ask": viewer.may("request"),
            "given": _NOTHING_GIVEN,
        }
        return await page("requests", request, viewer, status, **{**shown, **values})

    async def _ask(self, request: Request) -> Response:
        viewer = await self._context.access.viewer(request)
        form = await self._context.access.form(request, viewer, "request")
        given = {name: last(form, name).strip() for name in _NOTHING_GIVEN}
        target = given["target"]
        about = {"alias": target[1:]} if target.startswith("@") else {"stage": target}
        arguments = {
            "name": given["name"],
            "version": given["version"],
            "comment": given["comment"],
            "archive_existing_versions": bool(last(form, "archives")),
            **about,
        }

        async def do() -> str:
            requests = await self._context.present.requests()
            answer = await requests.create(arguments, _requester(viewer))
            return str(answer["request"]["id"])

        try:
            made = await self._context.call(do)
        except BridgeError as error:
            refused = {"said": str(error), "failed": True, "given": given}
            return await self._shown_list(request, viewer, HTTPStatus.BAD_REQUEST, **refused)
        return after(f"/requests/{made}", "requested")

    async def _one_page(self, request: Request) -> Response:
        viewer = await self._context.access.viewer(request)
        arguments = RequestArguments(request_id=request.path_params["request_id"])

        async def seen() -> dict[str, Any]:
            resources = await self._context.present.resources()
            requests = await self._context.present.requests()
            one = await resources.request(arguments)
            return {
                "one": one,
                "others": await resources.others_like(arguments),
                "is_free": requests.may_decide_on(one["creator"], viewer.caller.user),
            }

        found = await self._context.call(seen)
        one = found["one"]
        verdicts = [{**each, "rows": compared(each["values"])} for each in one["verdicts"]]
        shown = {
            **found,
            "verdicts": verdicts,
            "may_decide": viewer.may("decide") and found["is_free"],
            "may_cancel": viewer.may("decide")
            or (viewer.may("request") and one["creator"] == viewer.caller.user),
        }
        return await page("request", request, viewer, here="/requests", **shown)

    async def _decide(self, request: Request) -> Response:
        viewer = await self._context.access.viewer(request)
        form = await self._context.access.own_form(request, viewer)
        verb = last(form, "do")
        if verb not in _VERBS:
            raise PermissionDenied(FOREIGN)
        self._check(viewer, verb)
        wanted = request.path_params["request_id"]
        given: dict[str, Any] = {"transition_request_id": wanted, "comment": last(form, "comment")}
        if verb == "approve":  # a box that is not ticked is not sent: it means no
            given["archive_existing_versions"] = bool(last(form, "archives"))

        async def do() -> None:
            requests = await self._context.present.requests()
            await getattr(requests, verb)(given, _requester(viewer))

        await self._context.call(do)
        return RedirectResponse(f"/requests/{wanted}?done={_VERBS[verb]}", HTTPStatus.SEE_OTHER)

    def _check(self, viewer: Viewer, verb: str) -> None:
        """Refuse what the viewer may not do.

        Raises:
            PermissionDenied: they may not.
        """
        needed: tuple[Permission, ...] = ("decide", "request") if verb == "cancel" else ("decide",)
        if not any(viewer.may(one) for one in needed):
            told = " or ".join(f'"{one}"' for one in needed)
            raise PermissionDenied(f"{viewer.caller.name} may not do this: it needs {told} in its may")


def compared(values: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the values that checks used, each with the incumbent's beside it, if they used that."""
    own = {path: value for path, value in values.items() if not path.startswith("incumbent")}
    theirs = {path.removeprefix("incumbent."): value for path, value in values.items() if path not in own}
    theirs.pop("incumbent", None)
    return [(path, own.get(path), theirs.get(path)) for path in dict.fromkeys([*own, *theirs])]


def _requester(viewer: Viewer) -> Requester:
    return Requester(viewer.caller.name, viewer.caller.user, may_decide=viewer.may("decide"))
