"""Receivers on loopback: those of `bridge.testing`, and what only our own tests need of them."""

import secrets
import socket
from contextlib import suppress

from bridge.testing.receiver import Answer, Got, RawReceiver, Receiver, free_port

__all__ = [
    "Answer",
    "Got",
    "RawReceiver",
    "Receiver",
    "WebServer",
    "free_port",
    "is_listening",
    "lasting_port",
]


class WebServer(Receiver):
    """A receiver that answers GET as well: MLflow's searches."""

    def _handler(self):
        handler = super()._handler()

        class WithGet(handler):
            def do_GET(self) -> None:
                self.headers["Content-Length"] = "0"
                self.do_POST()

        return WithGet


def lasting_port() -> int:
    """Return a free port below those that outgoing connections are given: closed, it stays free."""
    while True:
        port = secrets.choice(range(20_000, 32_000))
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
