"""The pages of what was observed: events, and a model with its picture."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from bridge.events.event import Event
from bridge.operations.bridge_api_arguments import EventsArguments
from bridge.operations.bridge_api_operations import ModelHistory
from bridge.operations.webhook_arguments import parse_strictly
from bridge.pipeline.clocks import SystemClock
from bridge.server.page.model_page import event_values, model_values
from bridge.server.page.page_context import EVENTS, Endpoints, PageContext, page


class HistoryPages:
    """The pages of events, and of one model."""

    def __init__(self, context: PageContext) -> None:
        """Show the pages of ``context``."""
        self._context = context
        self._clock = SystemClock()

    def endpoints(self) -> Endpoints:
        """Yield the endpoints."""
        yield "/events", "GET", self._events_page
        yield "/models", "GET", self._model_page

    async def _events_page(self, request: Request) -> Response:
        viewer, query = await self._context.access.viewer(request), request.query_params
        model, kind = query.get("model", ""), query.get("type", "")
        asked = {"model": [model] if model else [], "type": [kind] if kind else []}
        arguments = parse_strictly(EventsArguments, {**asked, "cursor": query.get("cursor", "")})

        async def seen() -> dict[str, Any]:
            return await (await self._context.present.resources()).events(arguments)

        found = await self._context.call(seen)
        events = [event_values(Event.from_document(one), ()) for one in found["events"]]
        shown = {"events": events, "more": found.get("next_cursor", ""), "model": model, "type": kind}
        return await page("events", request, viewer, known_events=EVENTS, **shown)

    async def _model_page(self, request: Request) -> Response:
        viewer = await self._context.access.viewer(request)
        name = request.query_params.get("name", "")

        async def seen() -> ModelHistory:
            return await (await self._context.present.resources()).model(name)

        found = await self._context.call(seen)
        now_ms = self._clock.now_ms()
        values = await run_in_threadpool(
            lambda: model_values(name, found.model, found.events, found.entries, now_ms)
        )
        return await page("model", request, viewer, more=found.has_more, **values)
