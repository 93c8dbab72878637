"""A real HTTP receiver on loopback, that answers as it is told to."""

import json
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True)
class Got:
    path: str
    headers: Mapping[str, str]
    raw: bytes
    at: float
    method: str = "POST"

    @property
    def body(self) -> dict:
        return json.loads(self.raw)

    @property
    def delivery_id(self) -> str:
        return self.headers["x-mlflow-delivery-id"]


@dataclass
class Answer:
    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0


class Receiver:
    """Records what it gets; ``answer`` decides what it says."""

    def __init__(self, answer: Callable[[Got], Answer] | Answer = Answer(), port: int = 0) -> None:  # noqa: B008
        self.got: list[Got] = []
        self.came = 0  # requests read, whether answered yet or not
        self.answer = answer
        self._server: ThreadingHTTPServer | None = None
        self.port = port
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = self._server_class()(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def wait_until_one_came(self, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not self.came and time.monotonic() < end:
            time.sleep(0.02)
        assert self.came, "no delivery came"

    def wait_for(self, count: int, seconds: float = 20.0) -> list[Got]:
        end = time.monotonic() + seconds
        while len(self.got) < count and time.monotonic() < end:
            time.sleep(0.02)
        assert len(self.got) >= count, f"{len(self.got)} of {count} deliveries came"
        return self.got

    def _server_class(self):
        return ThreadingHTTPServer

    def _handler(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {key.lower(): value for key, value in self.headers.items()}
                got = Got(self.path, headers, raw, time.time(), self.command)
                receiver.came += 1
                answer = receiver.answer(got) if callable(receiver.answer) else receiver.answer
                time.sleep(answer.delay)
                receiver.got.append(got)
                self.send_response(answer.status)
                for key, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def do_PUT(self) -> None:
                self.do_POST()

            def do_PATCH(self) -> None:
                self.do_POST()

            def log_message(self, *args: object) -> None:
                pass

        return Handler


class WebServer(Receiver):
    """A receiver that answers GET as well: MLflow's searches."""

    def _handler(self):
        handler = super()._handler()

        class WithGet(handler):
            def do_GET(self) -> None:
                self.headers["Content-Length"] = "0"
                self.do_POST()

        return WithGet


class RawReceiver:
    """Answers a request with bytes, then closes or hangs."""

    def __init__(self, answer: bytes, *, hang: float = 0.0, drip: float = 0.0, reset: bool = False) -> None:
        self._answer, self._hang, self._drip, self._reset = answer, hang, drip, reset
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self._socket.accept()
                Thread(target=self._answer_one, args=(connection,), daemon=True).start()
        except OSError:
            pass

    def _answer_one(self, connection: socket.socket) -> None:
        with connection:
            connection.recv(65_536)
            try:
                if self._drip:
                    for byte in self._answer:
                        connection.send(bytes([byte]))
                        time.sleep(self._drip)
                else:
                    connection.sendall(self._answer)
                time.sleep(self._hang)
            except OSError:
                pass
            if self._reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def stop(self) -> None:
        self._socket.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def lasting_port() -> int:
    """Return a free port below those that outgoing connections are given: closed, it stays free."""
    while True:
        port = secrets.choice(range(20_000, 32_000))
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
