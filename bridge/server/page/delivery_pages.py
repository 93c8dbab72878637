"""The pages of deliveries (redrive, drop) and of sinks (test, pause, resume)."""

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bridge.operations.bridge_api_arguments import (
    EntriesArguments,
    EntryArguments,
    NumbersArguments,
    SinkArguments,
    SinkTestArguments,
)
from bridge.operations.webhook_arguments import parse_strictly
from bridge.server.page.page_access import Viewer
from bridge.server.page.page_context import FOREIGN, Endpoints, PageContext, after, last, page
from bridge.server.token_authority import PermissionDenied

_LONGEST_NUMBER = 18


class DeliveryPages:
    """The pages of deliveries and sinks."""

    def __init__(self, context: PageContext) -> None:
        """Show the pages of ``context``."""
        self._context = context

    def endpoints(self) -> Endpoints:
        """Yield the endpoints."""
        yield "/deliveries", "GET", self._deliveries_page
        yield "/deliveries", "POST", self._resend
        yield "/deliveries/{number:int}", "GET", self._delivery_page
        yield "/sinks", "GET", self._sinks_page
        yield "/sinks", "POST", self._operate

    async def _deliveries_page(self, request: Request) -> Response:
        viewer = await self._context.access.viewer(request)
        query = request.query_params
        status, sink = query.get("status", ""), query.get("sink", "")
        asked = {"status": [status] if status else [], "sink": [sink] if sink else []}
        arguments = parse_strictly(EntriesArguments, {**asked, "cursor": query.get("cursor", "")})

        async def seen() -> dict[str, Any]:
            return await (await self._context.present.resources()).entries(arguments)

        found = await self._context.call(seen)
        shown = {
            "entries": found["entries"],
            "more": found.get("next_cursor", ""),
            "wanted": status,
            "sink": sink,
        }
        return await page("deliveries", request, viewer, may_operate=viewer.may("operate"), **shown)

    async def _delivery_page(self, request: Request) -> Response:
        viewer = await self._context.access.viewer(request)
        arguments = parse_strictly(EntryArguments, {"number": request.path_params["number"]})

        async def seen() -> dict[str, Any]:
            return await (await self._context.present.resources()).entry(arguments)

        shown: dict[str, Any] = {"one": await self._context.call(seen), "may_operate": viewer.may("operate")}
        return await page("delivery", request, viewer, here="/deliveries", **shown)

    async def _resend(self, request: Request) -> Response:
        viewer = await self._context.access.viewer(request)
        form = await self._context.access.form(request, viewer, "operate")
        numbers = [
            int(one)
            for one in form.get("entries", ())
            if one.isascii() and one.isdigit() and len(one) <= _LONGEST_NUMBER
        ]
        what = last(form, "do")
        if not numbers:
            return RedirectResponse("/deliveries", HTTPStatus.SEE_OTHER)
        arguments = parse_strictly(NumbersArguments, {"entries": numbers})

        async def do() -> str:
            resources = await self._context.present.resources()
            act = resources.drop if what == "drop" else resources.redrive
            done = await act(arguments, viewer.caller.name)
            return ("dropped" if what == "drop" else "redriven") if done["entries"] else "nothing"

        return after("/deliveries", await self._context.call(do))

    async def _sinks_page(self, request: Request) -> Response:
        return await self._sinks(request, await self._context.access.viewer(request))

    async def _sinks(self, request: Request, viewer: Viewer, **values: Any) -> Response:
        async def seen() -> dict[str, Any]:
            return await (await self._context.present.resources()).sinks()

        shown = {**await self._context.call(seen), "trial": None, "may_operate": viewer.may("operate")}
        return await page("sinks", request, viewer, **{**shown, **values})

    async def _operate(self, request: Request) -> Response:
        viewer = await self._context.access.viewer(request)
        form = await self._context.access.form(request, viewer, "operate")
        name, what = last(form, "name"), last(form, "do")
        if what == "test":
            return await self._sinks(request, viewer, trial=await self._trial(name))
        if what not in {"pause", "resume"}:
            raise PermissionDenied(FOREIGN)

        async def do() -> None:
            resources = await self._context.present.resources()
            act = resources.pause if what == "pause" else resources.resume
            await act(SinkArguments(name=name), viewer.caller.name)

        await self._context.call(do)
        return after("/sinks", f"{what}d")

    async def _trial(self, name: str) -> dict[str, Any]:
        async def trial() -> dict[str, Any]:
            return await (await self._context.present.resources()).test(SinkTestArguments(name=name))

        return await self._context.call(trial)
