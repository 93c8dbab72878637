"""The HTTP server for probes, metrics and the status page; it runs in its own threads.

Each answer is made in the event loop, so that an answer proves that the loop runs; if the
loop does not answer within a second, the probe fails.
"""

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from inspect import isawaitable
from socket import AF_INET, AF_INET6
from threading import Thread
from typing import Any

import structlog

from bridge.config import ServerSettings
from bridge.errors import ConfigurationError
from bridge.server.connection_limits import OpenConnections, TimeLimitedInput
from bridge.server.page.page_document import STYLE_HASH
from bridge.sinks.transport.open_file_limit import open_file_limit

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The parts of a request beside its path: the ``Host`` header and the query."""

    host: str | None = None
    query: str = ""


Answer = tuple[HTTPStatus, str, bytes]
Later = Callable[[PageRequest], Answer]
"""Renders an answer in the server's thread, from data that was collected in the event loop."""

Page = Callable[[], Answer | Later | Awaitable[Answer | Later]]
"""Called in the event loop; must answer quickly."""

_PATIENCE_S = 1.0
_LOOK_S = 0.05
_REQUEST_S = 10.0
"""The time limit in seconds for reading a request, and for sending its answer."""

_MOST_CONNECTIONS = 64
_FEWEST_CONNECTIONS = 4
_SHARE_OF_FILES = 8
_MOST_DRAINED = 65_536
_TEXT = "text/plain; charset=utf-8"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of Prometheus' text format."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": f"default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The headers of every answer; each connection serves one request."""


def probe_answer(ok: bool, text: str) -> Answer:  # noqa: FBT001 - a predicate and its name
    """Return a probe's answer."""
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return status, _TEXT, f"{text}\n".encode()


def text_answer(status: HTTPStatus, text: str) -> Answer:
    """Return a text as an answer."""
    return status, _TEXT, f"{text}\n".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = _MOST_CONNECTIONS

    def __init__(
        self, address: tuple[str, int], pages: Mapping[str, Page], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.pages = pages
        self.loop = loop
        self._connections = OpenConnections(
            min(_MOST_CONNECTIONS, max(_FEWEST_CONNECTIONS, open_file_limit() // _SHARE_OF_FILES))
        )
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; if no more files can be opened, wait briefly before the next try."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_LOOK_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve the connection in a thread, and count it."""
        self._connections.admit(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.leave(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log at debug level only: clients that disconnect are normal."""
        log.debug("server.request_failed", peer=str(client_address))

    def ask(self, path: str, asked: PageRequest) -> Answer:
        page = self.pages.get(path)
        if page is None:
            return text_answer(HTTPStatus.NOT_FOUND, "not found")
        future = asyncio.run_coroutine_threadsafe(_in_loop(page), self.loop)
        try:
            seen = future.result(_PATIENCE_S)
            return seen(asked) if callable(seen) else seen
        except TimeoutError:
            future.cancel()
            return probe_answer(ok=False, text="the event loop does not answer")
        except Exception as error:
            log.error("server.fault", path=path, kind=type(error).__name__, exc_info=error)
            text = f"a fault in the bridge ({type(error).__name__}); mlflow-bridge status tells the same"
            return text_answer(HTTPStatus.INTERNAL_SERVER_ERROR, text)


async def _in_loop(page: Page) -> Answer | Later:
    seen = page()
    return await seen if isawaitable(seen) else seen


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_S
    protocol_version = "HTTP/1.1"
    server_version = "mlflow-bridge"
    sys_version = ""

    def setup(self) -> None:
        """Read the request with one time limit."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(TimeLimitedInput(self.connection, _REQUEST_S))

    def do_GET(self) -> None:
        """Answer a GET."""
        path, _, query = self.path.partition("?")
        self._send(self.server.ask(path, PageRequest(self.headers["Host"], query)))

    def do_HEAD(self) -> None:
        """Answer a HEAD: what a GET gets, without the body."""
        self.do_GET()

    def _send(self, answer: Answer, more: Mapping[str, str] | None = None) -> None:
        status, kind, body = answer
        self.close_connection = True
        self.connection.settimeout(_REQUEST_S)
        self.send_response(status)
        own = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in {**own, **_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Refuse a request with a fixed text that contains nothing of the request."""
        status = HTTPStatus(code)
        if status is not HTTPStatus.NOT_IMPLEMENTED:
            self._send(text_answer(status, status.phrase.lower()))
            return
        self._drain()
        refusal = text_answer(
            HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD: what is here is for looking at"
        )
        self._send(refusal, {"Allow": "GET, HEAD"})

    def _drain(self) -> None:
        """Read the request's body: closing the connection before could discard the answer."""
        length = self.headers.get("Content-Length", "")
        if length.isascii() and length.isdecimal():
            self.rfile.read(min(int(length), _MOST_DRAINED))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Do not log requests."""


@contextmanager
def serving(settings: ServerSettings | None, pages: Mapping[str, Page]) -> Iterator[None]:
    """Serve ``pages`` while the context lasts; do nothing if ``settings`` is None.

    Raises:
        ConfigurationError: the server cannot listen on its address.
    """
    if settings is None:
        yield
        return
    try:
        server = _Server(settings.address, pages, asyncio.get_running_loop())
    except OSError as error:
        problem = f"server.listen: {settings.listen} cannot be listened on: {error.strerror}"
        raise ConfigurationError([problem]) from None
    Thread(target=server.serve_forever, args=(_LOOK_S,), name="server", daemon=True).start()
    log.info("server.listening", address=settings.listen)
    try:
        yield
    finally:
        server.shutdown()  # takes at most _LOOK_S
        server.server_close()
