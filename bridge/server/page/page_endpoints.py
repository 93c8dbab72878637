"""All pages of an address, each with its refusals as pages. They work without a script."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.errors import BridgeError
from bridge.server.api_endpoints import ApiDoor, status_of
from bridge.server.bridge_api import Present
from bridge.server.http_application import Page, page_endpoint
from bridge.server.page.delivery_pages import DeliveryPages
from bridge.server.page.history_pages import HistoryPages
from bridge.server.page.page_access import MisdirectedRequest, PageAccess, sent_to_sign_in
from bridge.server.page.page_context import Endpoint, PageContext, message
from bridge.server.page.request_pages import RequestPages
from bridge.server.page.sessions import Sessions
from bridge.server.page.sign_in_pages import SignInPages
from bridge.server.page.webhook_pages import WebhookPages
from bridge.server.token_authority import Unauthenticated

_NOT_NOW = "the bridge does not answer, or is stopping: try again in a moment"


def page_routes(door: ApiDoor, present: Present, status: Page) -> Iterator[Route]:
    """Yield the routes of the pages at an address, with ``status`` at ``/``."""
    access = PageAccess(door.authority, Sessions(door.authority, time.monotonic), door.names)
    context = PageContext(door, present, access)
    show = page_endpoint(status, door.daemon_loop)

    async def overview(request: Request) -> Response:
        await access.viewer(request)
        return await show(request)

    found: dict[str, dict[str, Endpoint]] = {"/": {"GET": overview}}
    for pages in (SignInPages, HistoryPages, DeliveryPages, WebhookPages, RequestPages):
        for path, method, endpoint in pages(context).endpoints():
            found.setdefault(path, {})[method] = endpoint
    for path, endpoints in found.items():
        yield Route(path, _guarded(endpoints), methods=list(endpoints))


def _guarded(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    """Return the endpoint of a path from those of its methods, with its refusals as pages."""

    async def guarded(request: Request) -> Response:
        endpoint = endpoints["GET" if request.method == "HEAD" else request.method]
        try:
            return await endpoint(request)
        except Unauthenticated:
            return sent_to_sign_in(request)
        except MisdirectedRequest as error:
            return await message(HTTPStatus.MISDIRECTED_REQUEST, str(error))
        except BridgeError as error:
            return await message(status_of(error), str(error))
        except (TimeoutError, asyncio.CancelledError):  # the daemon hangs, or ends
            return await message(HTTPStatus.SERVICE_UNAVAILABLE, _NOT_NOW)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)

    return guarded
