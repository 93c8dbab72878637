"""The small HTTP server: ``/livez``, ``/readyz``, ``/metrics``, from a thread of its own.

The thread asks the event loop for every answer, so an answer is a proof that the loop runs;
a loop that does not answer within a second makes the probe fail.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from threading import Thread
from typing import Any

import structlog

from bridge.config import ServerSettings
from bridge.errors import ConfigurationError

log = structlog.get_logger(__name__)

Answer = tuple[HTTPStatus, str, bytes]
Page = Callable[[], Answer]
_PATIENCE_S = 1.0
_LOOK_S = 0.05
_TEXT = "text/plain; charset=utf-8"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of Prometheus' text format."""


def said(ok: bool, text: str) -> Answer:  # noqa: FBT001 - a predicate and its name
    """Return a probe's answer."""
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return status, _TEXT, f"{text}\n".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], pages: Mapping[str, Page], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.pages = pages
        self.loop = loop
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Take a peer that hangs up as what it is: nothing."""
        log.debug("server.request_failed", peer=str(client_address))

    def ask(self, path: str) -> Answer:
        page = self.pages.get(path)
        if page is None:
            return HTTPStatus.NOT_FOUND, _TEXT, b"not found\n"
        future = asyncio.run_coroutine_threadsafe(_in_loop(page), self.loop)
        try:
            return future.result(_PATIENCE_S)
        except TimeoutError:
            future.cancel()
            return said(ok=False, text="the event loop does not answer")


async def _in_loop(page: Page) -> Answer:
    return page()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10
    protocol_version = "HTTP/1.1"
    server_version = "mlflow-bridge"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a GET."""
        status, kind, body = self.server.ask(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep probes out of the log."""


@contextmanager
def serving(settings: ServerSettings | None, pages: Mapping[str, Page]) -> Iterator[None]:
    """Serve ``pages`` for as long as the context lasts, if ``settings`` ask for it.

    Raises:
        ConfigurationError: the address cannot be listened on.
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
        server.shutdown()  # takes at most a look
        server.server_close()
