"""HTTP requests to the bridge, over TCP or its Unix socket: the standard library alone, as it runs in MLflow's server."""

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bridge.mlflow_app.plugin_settings import PluginSettings

USER_HEADER, MAY_HEADER = "X-MLflow-Bridge-User", "X-MLflow-Bridge-May"
"""On whose behalf is asked, and what they may do (`bridge.server.token_authority`)."""

_REFUSALS = range(400, 500)
_LONGEST_ANSWER = 64 * 1024 * 1024


class BridgeUnreachable(Exception):
    """The bridge did not answer, or not in HTTP."""


class BridgeRefused(Exception):
    """The bridge answered, and does not do what it was asked: its token is not right, say. The message is the bridge's."""


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose behalf the bridge is asked: ``user`` is None where MLflow does not authenticate; ``may`` are permissions."""

    user: str | None
    may: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the bridge."""

    status: int
    body: bytes

    def check(self) -> None:
        """Raise an error if the bridge refuses.

        Raises:
            BridgeRefused: it does.
        """
        if self.status in _REFUSALS:
            raise BridgeRefused(str(self.document().get("message") or f"the bridge answered {self.status}"))

    def document(self) -> dict[str, Any]:
        """Return the body, or an empty object if it is not a JSON object."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class BridgeClient:
    """Asks the bridge; each request has a connection of its own."""

    def __init__(self, settings: PluginSettings) -> None:
        """Ask where ``settings`` say."""
        self._settings = settings

    def ask(
        self, method: str, path: str, document: Mapping[str, Any], asker: Asker, timeout_s: float
    ) -> Answer:
        """Send a JSON object; return the answer, whatever its status.

        Raises:
            BridgeUnreachable: there was none within ``timeout_s``, or the token cannot be read.
        """
        settings = self._settings
        connection = self._connection(timeout_s)
        try:
            headers = {
                "Content-Type": "application/json",
                USER_HEADER: quote(asker.user or "", safe=""),
                MAY_HEADER: ",".join(asker.may),
            }
            authorization = settings.authorization()
            if authorization:
                headers["Authorization"] = authorization
            connection.request(method, f"{settings.path}{path}", json.dumps(document).encode(), headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(_LONGEST_ANSWER))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise BridgeUnreachable(f"{type(error).__name__}: {error}") from None
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        settings = self._settings
        if settings.scheme == "unix":
            return _UnixConnection(settings.host, timeout_s)
        kind = http.client.HTTPSConnection if settings.scheme == "https" else http.client.HTTPConnection
        return kind(settings.host, settings.port, timeout=timeout_s)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
