"""A real forward proxy on loopback: tunnels (`CONNECT`) for https, and requests in absolute form for http."""

import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from urllib.parse import urlsplit

from support.patience import patience

_BYTES = 65_536


@dataclass(frozen=True)
class Refusal:
    """What a proxy answers itself, instead of passing requests on."""

    status: str = "403 Forbidden"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def encoded(self) -> bytes:
        headers = {"Content-Length": str(len(self.body)), "Connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class ForwardProxy:
    """Passes on what comes, to where ``hosts`` says that a name is; ``asked`` has the request lines.

    With ``login`` (USER:PASSWORD) it wants that first; with ``refusal`` it passes nothing on; with
    ``context`` it speaks TLS itself.
    """

    def __init__(
        self,
        *,
        login: str = "",
        refusal: Refusal | None = None,
        context: ssl.SSLContext | None = None,
        hosts: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        self.login, self.refusal = login, refusal
        self.asked: list[str] = []
        self.certificates: list[dict | None] = []  # of clients, where it speaks TLS
        self._context, self._hosts = context, hosts or {}
        self.port = port
        self._open: list[socket.socket] = []
        self.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen (again, on the same port)."""
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]
        Thread(target=self._serve, args=(self._socket,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and cut those that are open."""
        for one in (self._socket, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _serve(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with suppress(OSError):
            client.settimeout(patience())
            if self._context is not None:
                client = self._context.wrap_socket(client, server_side=True)
                self.certificates.append(client.getpeercert() or None)
            self._open.append(client)
            with client:
                self._pass_on(client)

    def _pass_on(self, client: socket.socket) -> None:
        head, rest = _head(client)
        if not head:
            return
        line, _, fields = head.partition(b"\r\n")
        method, target, _ = line.decode().split(" ")
        self.asked.append(f"{method} {target}")
        refusal = self._refusal(fields)
        if refusal is not None:
            client.sendall(refusal.encoded())
            return
        with self._connected(method, target) as server:
            self._open.append(server)
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server.sendall(_in_origin_form(method, target, fields) + rest)
            Thread(target=_copy, args=(client, server), daemon=True).start()
            _copy(server, client)

    def _refusal(self, fields: bytes) -> Refusal | None:
        if self.login and b64encode(self.login.encode()) not in fields:
            return Refusal("407 Proxy Authentication Required", {"Proxy-Authenticate": 'Basic realm="x"'})
        return self.refusal

    def _connected(self, method: str, target: str) -> socket.socket:
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host = parts.hostname or ""
        return socket.create_connection((self._hosts.get(host, host), parts.port or 80), 20)


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    """Return what comes before the empty line, and what came behind it."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = client.recv(_BYTES)
        if not more:
            return b"", b""
        got += more
    head, _, rest = got.partition(b"\r\n\r\n")
    return head, rest


def _in_origin_form(method: str, target: str, fields: bytes) -> bytes:
    """Return the head for the server; one request a connection, so that the next one is seen as well."""
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [
        field
        for field in fields.split(b"\r\n")
        if not field.lower().startswith((b"connection:", b"proxy-", b"keep-alive:"))
    ]
    return b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), *kept, b"Connection: close", b"", b""])


def _copy(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_BYTES):
            to.sendall(data)
    with suppress(OSError):
        to.shutdown(socket.SHUT_WR)
