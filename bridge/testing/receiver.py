"""Receivers on loopback for tests: an HTTP server with configurable answers, and one that sends raw bytes."""

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


@dataclass(frozen=True)
class Got:
    """A received request: header names are lower case, ``at`` is in seconds since the epoch."""

    path: str
    headers: Mapping[str, str]
    raw: bytes
    at: float
    method: str = "POST"

    @property
    def body(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.raw)

    @property
    def delivery_id(self) -> str:
        """The event's id in the delivery id header."""
        return self.headers["x-mlflow-delivery-id"]


@dataclass
class Answer:
    """The answer of a receiver, and its delay in seconds."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0


class Receiver:
    """An HTTP receiver that keeps its requests in order; ``answer`` decides its answers."""

    def __init__(self, answer: Callable[[Got], Answer] | Answer = Answer(), port: int = 0) -> None:  # noqa: B008
        """Start listening, on a free port if none is given; end it with `stop`."""
        self.got: list[Got] = []
        self.came = 0  # requests read, whether answered yet or not
        self.answer = answer
        self._server: ThreadingHTTPServer | None = None
        self._stopping = Event()
        self.port = port
        self.start()

    @property
    def url(self) -> str:
        """The URL of the receiver, without a final slash."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start listening, again on the same port."""
        self._stopping.clear()
        self._server = self._server_class()(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening; delayed answers are sent at once."""
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def wait_until_one_came(self, seconds: float = 120.0) -> None:
        """Block until a request has been read."""
        end = time.monotonic() + seconds
        while not self.came and time.monotonic() < end:
            time.sleep(0.02)
        assert self.came, "no delivery came"

    def wait_for(self, count: int, seconds: float = 120.0) -> list[Got]:
        """Block until ``count`` requests have been answered, and return all requests."""
        end = time.monotonic() + seconds
        while len(self.got) < count and time.monotonic() < end:
            time.sleep(0.02)
        assert len(self.got) >= count, f"{len(self.got)} of {count} deliveries came"
        return self.got

    def _server_class(self) -> type[ThreadingHTTPServer]:
        return _Server

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = (
                -1
            )  # send an answer in one piece: otherwise its body waits for the kernel's delayed ACK

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {key.lower(): value for key, value in self.headers.items()}
                got = Got(self.path, headers, raw, time.time(), self.command)
                receiver.came += 1
                answer = receiver.answer(got) if callable(receiver.answer) else receiver.answer
                receiver._stopping.wait(answer.delay)
                receiver.got.append(got)
                self.send_response_only(answer.status)  # without a Date header: tests set their own time
                for key, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def do_PUT(self) -> None:
                self.do_POST()

            def do_PATCH(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # otherwise, connections beyond five at a time wait a second


class RawReceiver:
    """Answers each request with bytes (one every ``drip`` seconds), waits for ``hang`` seconds, then closes."""

    def __init__(self, answer: bytes, *, hang: float = 0.0, drip: float = 0.0, reset: bool = False) -> None:
        """Start listening on a free port; end it with `stop`."""
        self._answer, self._hang, self._drip, self._reset = answer, hang, drip, reset
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self.reached = Event()
        """Set when a request has arrived."""
        self.left = Event()
        """Set when the sender has closed a hanging connection."""
        Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._socket.close()

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
            self.reached.set()
            try:
                self._say(connection)
                self._linger(connection)
            except OSError:
                pass
            if self._reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def _say(self, connection: socket.socket) -> None:
        if not self._drip:
            connection.sendall(self._answer)
            return
        for byte in self._answer:
            connection.send(bytes([byte]))
            time.sleep(self._drip)

    def _linger(self, connection: socket.socket) -> None:
        """Keep the connection open until the time is over, or the sender closes it."""
        end = time.monotonic() + self._hang
        while (rest := end - time.monotonic()) > 0:
            connection.settimeout(rest)
            try:
                if not connection.recv(65_536):
                    self.left.set()
                    return
            except ConnectionError:
                self.left.set()
                return


def free_port() -> int:
    """Return a loopback port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
