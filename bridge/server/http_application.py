"""The HTTP application of the daemon's address: probes, metrics, the status page and the API."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from inspect import isawaitable
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bridge.config import ServerSettings
from bridge.errors import ConfigurationError
from bridge.server import api_endpoints, asgi_server
from bridge.server.api_endpoints import ApiDoor
from bridge.server.daemon_loop_calls import DaemonLoop
from bridge.server.page.page_templates import STYLE_HASH
from bridge.server.token_authority import Authority, Tokens

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The parts of a request beside its path: the ``Host`` header and the query."""

    host: str | None = None
    query: str = ""


Answer = tuple[HTTPStatus, str, bytes]
Later = Callable[[PageRequest], Answer]
"""Renders an answer in a thread, from data that was collected in the event loop."""

Page = Callable[[], Answer | Later | Awaitable[Answer | Later]]
"""Called in the daemon's event loop; must answer quickly."""

Api = Callable[[ApiDoor], Iterable[Route]]
"""Returns the routes of the API at an address."""

_PATIENCE_S = 1.0
_TEXT = "text/plain; charset=utf-8"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of Prometheus' text format."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": f"default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # without a referrer, browsers hide the origin of forms too
    "X-Content-Type-Options": "nosniff",
}
"""The headers of every answer; each connection serves one request."""


def no_api(_door: ApiDoor) -> Iterable[Route]:
    """Return no routes."""
    return ()


def probe_answer(ok: bool, text: str) -> Answer:  # noqa: FBT001 - a predicate and its name
    """Return a probe's answer."""
    return text_answer(HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE, text)


def text_answer(status: HTTPStatus, text: str) -> Answer:
    """Return a text as an answer."""
    return status, _TEXT, f"{text}\n".encode()


@asynccontextmanager
async def serving(
    settings: ServerSettings | None,
    pages: Mapping[str, Page],
    api: Api = no_api,
    door_of: Callable[[Authority, DaemonLoop, frozenset[str]], ApiDoor] = ApiDoor,
) -> AsyncIterator[None]:
    """Serve ``pages`` and ``api`` while the context lasts; do nothing if ``settings`` is None.

    ``door_of`` makes the door of the API from who may ask, the daemon's loop and the names of the address.

    Raises:
        ConfigurationError: the server cannot listen on its address.
    """
    if settings is None:
        yield
        return
    try:
        channel = _listening(settings.address)
    except OSError as error:
        problem = f"server.listen: {settings.listen} cannot be listened on: {error.strerror}"
        raise ConfigurationError([problem]) from None
    daemon_loop = DaemonLoop()
    names = frozenset({settings.address[0].lower(), *settings.hosts})
    door = door_of(Tokens(settings.tokens, is_open=settings.page), daemon_loop, names)
    app = application(pages, daemon_loop, api(door))
    async with asgi_server.serving(app, channel, _HEADERS):
        log.info("server.listening", address=settings.listen)
        try:
            yield
        finally:
            await daemon_loop.end()


def _listening(address: tuple[str, int]) -> socket:
    channel = socket(AF_INET6 if ":" in address[0] else AF_INET)
    try:
        channel.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        channel.bind(address)
        channel.listen()
    except BaseException:
        channel.close()
        raise
    return channel


def application(pages: Mapping[str, Page], daemon_loop: DaemonLoop, routes: Iterable[Route] = ()) -> ASGIApp:
    """Return the application that serves ``pages`` by their paths, and ``routes``."""
    app = Starlette(
        routes=[*(Route(path, page_endpoint(page, daemon_loop)) for path, page in pages.items()), *routes],
        exception_handlers={HTTPException: _refusal, Exception: _fault},
    )
    app.router.redirect_slashes = False  # it would redirect to whatever host the client names
    return app


def page_endpoint(page: Page, daemon_loop: DaemonLoop) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a page that is seen in the daemon's event loop."""

    async def endpoint(request: Request) -> Response:
        try:
            seen = await daemon_loop.call(lambda: _seen(page), _PATIENCE_S)
        except TimeoutError:
            return _response(probe_answer(ok=False, text="the event loop does not answer"))
        if not callable(seen):
            return _response(seen)
        query = request.scope["query_string"].decode("latin-1")
        asked = PageRequest(request.headers.get("host"), query)
        return _response(await run_in_threadpool(seen, asked))

    return endpoint


async def _seen(page: Page) -> Answer | Later:
    seen = page()
    return await seen if isawaitable(seen) else seen


def _response(answer: Answer) -> Response:
    status, kind, body = answer
    return Response(body, status, media_type=kind)


async def _refusal(request: Request, error: Exception) -> Response:
    """Refuse a request with a fixed text that contains nothing of the request."""
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.BAD_REQUEST
    if _is_of_api(request):
        headers = error.headers if isinstance(error, HTTPException) else None
        return api_endpoints.refusal(status, headers)
    allowed = (error.headers or {}).get("Allow", "") if isinstance(error, HTTPException) else ""
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        methods = sorted(allowed.split(", "))
        is_for_looking = methods == ["GET", "HEAD"]
        told = (
            "only GET and HEAD: what is here is for looking at" if is_for_looking else status.phrase.lower()
        )
        response = _response(text_answer(status, told))
        response.headers["Allow"] = ", ".join(methods)
        return response
    return _response(text_answer(status, status.phrase.lower()))


def _is_of_api(request: Request) -> bool:
    path: str = request.scope["path"]
    return path.startswith(api_endpoints.PREFIXES)


async def _fault(request: Request, error: Exception) -> Response:
    kind = type(error).__name__
    log.error("server.fault", path=request.scope["path"], kind=kind, exc_info=error)
    if _is_of_api(request):
        return api_endpoints.fault(kind)
    text = f"a fault in the bridge ({kind}); mlflow-bridge status tells the same"
    return _response(text_answer(HTTPStatus.INTERNAL_SERVER_ERROR, text))
