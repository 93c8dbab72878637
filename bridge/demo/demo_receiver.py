"""The receiver of the demo: an HTTP server on loopback that verifies each signature."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    """A received delivery, and whether its signature is valid."""

    delivery_id: str
    signature_ok: bool
    body: dict[str, Any]


class Receiver:
    """An HTTP server on loopback that can be stopped and started again on the same port."""

    def __init__(self, secret: str, show: Callable[[Received], None]) -> None:
        """Start listening on a free port."""
        self._secret = secret
        self._show = show
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        """The URL that deliveries go to."""
        return f"http://127.0.0.1:{self._port}/hooks/mlflow"

    def start(self) -> None:
        """Start listening."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler())
        self._port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver._receive(dict(self.headers.items()), body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Do not log requests."""

        return Handler

    def _receive(self, headers: dict[str, str], body: bytes) -> None:
        ok = is_genuine(headers, body, self._secret)
        self._show(Received(headers["X-MLflow-Delivery-Id"], ok, json.loads(body)))


def is_genuine(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """Verify the signature as the README describes it for receivers."""
    signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    return hmac.compare_digest(expected, headers["X-MLflow-Signature"])
