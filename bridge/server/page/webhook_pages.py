"""The pages of webhooks: list, add, change, test, pause, delete."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bridge.errors import BridgeError, NotFound
from bridge.events.display_text import visible
from bridge.events.event_names import DEFAULT_EVENTS
from bridge.operations.bridge_api_arguments import SinkArguments
from bridge.server.api_endpoints import status_of
from bridge.server.page.page_access import Viewer
from bridge.server.page.page_context import EVENTS, FOREIGN, Endpoints, Form, PageContext, after, last, page
from bridge.server.token_authority import PermissionDenied, check_permission

_MOST_WEBHOOKS = 200
_EMPTY = {"url": "", "events": list(DEFAULT_EVENTS), "model_name": "", "description": ""}


class WebhookPages:
    """The pages of webhooks."""

    def __init__(self, context: PageContext) -> None:
        """Show the pages of ``context``."""
        self._context = context

    def endpoints(self) -> Endpoints:
        """Yield the endpoints."""
        yield "/webhooks", "GET", self._webhooks_page
        yield "/webhooks", "POST", self._create
        yield "/webhooks/{webhook_id}", "GET", self._webhook_page
        yield "/webhooks/{webhook_id}", "POST", self._change

    async def _webhooks_page(self, request: Request) -> Response:
        return await self._webhooks(request, await self._context.access.viewer(request))

    async def _webhooks(self, request: Request, viewer: Viewer, **values: Any) -> Response:
        async def seen() -> tuple[list[dict[str, Any]], bool, bool]:
            resources = await self._context.present.resources()
            return *(await resources.webhooks(_MOST_WEBHOOKS)), resources.has_webhooks

        webhooks, more, is_on = await self._context.call(seen)
        shown = {"webhooks": webhooks, "more": more, "is_on": is_on, "known_events": EVENTS, "given": _EMPTY}
        return await page(
            "webhooks", request, viewer, **{**shown, "may_change": viewer.may("webhooks"), **values}
        )

    async def _create(self, request: Request) -> Response:
        viewer = await self._context.access.viewer(request)
        form = await self._context.access.form(request, viewer, "webhooks")
        given = {name: last(form, name) for name in ("url", "model_name", "description")}
        events = list(form.get("events", ()))
        asked = {**given, "events": events, "http_url_spec": _target(form)}
        del asked["url"]

        async def create() -> Any:
            return await (await self._context.present.webhooks()).create(asked, viewer.caller.name)

        try:
            made = await self._context.call(create)
        except BridgeError as error:
            again = {**given, "events": events}
            return await self._webhooks(
                request, viewer, status=status_of(error), said=str(error), failed=True, given=again
            )
        return after(f"/webhooks/{made['webhook']['id']}", "created")

    async def _webhook_page(self, request: Request) -> Response:
        return await self._webhook(request, await self._context.access.viewer(request))

    async def _webhook(self, request: Request, viewer: Viewer, **values: Any) -> Response:
        webhook_id = request.path_params["webhook_id"]

        async def seen() -> dict[str, Any]:
            return await (await self._context.present.resources()).webhook(webhook_id)

        one = await self._context.call(seen)
        names = [*EVENTS, *(name for name in one["events"] if name not in EVENTS)]
        shown = {"one": one, "trial": None, "known_events": names}
        may = {"may_change": viewer.may("webhooks"), "may_operate": viewer.may("operate")}
        return await page("webhook", request, viewer, here="/webhooks", **{**shown, **may, **values})

    async def _change(self, request: Request) -> Response:
        viewer = await self._context.access.viewer(request)
        form = await self._context.access.own_form(request, viewer)
        webhook_id, what = request.path_params["webhook_id"], last(form, "do")
        check_permission(viewer.caller, "operate" if what in {"pause", "resume"} else "webhooks")
        try:
            if what == "test":
                return await self._webhook(request, viewer, trial=await self._trial(webhook_id))
            done = await self._done(webhook_id, what, form, viewer)
        except NotFound:
            raise
        except BridgeError as error:
            return await self._webhook(request, viewer, status=status_of(error), said=str(error), failed=True)
        return after("/webhooks" if done == "deleted" else f"/webhooks/{webhook_id}", done)

    async def _changes(self, webhook_id: str, form: Form) -> dict[str, Any]:
        """Return what a form changes: what is as it was shown stays, with characters that a page cannot show."""

        async def seen() -> dict[str, Any]:
            return await (await self._context.present.resources()).webhook(webhook_id)

        before = await self._context.call(seen)
        events, description = list(form.get("events", ())), last(form, "description")
        return {
            **({"events": events} if set(events) != set(before["events"]) else {}),
            **({"description": description} if description != visible(before["description"]) else {}),
        }

    async def _trial(self, webhook_id: str) -> dict[str, Any]:
        async def trial() -> dict[str, Any]:
            return await (await self._context.present.resources()).test_webhook(webhook_id)

        return await self._context.call(trial)

    async def _done(self, webhook_id: str, what: str, form: Form, viewer: Viewer) -> str:
        """Carry out what a button says; return the word for what is done."""
        who = viewer.caller.name
        changes: dict[str, dict[str, Any]] = {
            "disable": {"status": "DISABLED"},
            "activate": {"status": "ACTIVE"},
            "change": await self._changes(webhook_id, form) if what == "change" else {},
            "redirect": {"http_url_spec": _target(form)},
        }

        async def do() -> str:
            if what in changes:
                await (await self._context.present.webhooks()).update(
                    {"id": webhook_id, **changes[what]}, who
                )
                return "changed"
            if what == "delete" and last(form, "sure") == "yes":
                await (await self._context.present.webhooks()).delete({"id": webhook_id}, who)
                return "deleted"
            if what in {"pause", "resume"}:
                resources = await self._context.present.resources()
                act = resources.pause if what == "pause" else resources.resume
                await act(SinkArguments(name=webhook_id), who)
                return f"{what}d"
            raise PermissionDenied(FOREIGN)

        return await self._context.call(do)


def _target(form: Form) -> dict[str, str]:
    """Return where a webhook sends its requests, as a form says."""
    return {name: last(form, name) for name in ("url", "secret", "authorization")}
