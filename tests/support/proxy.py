"""A proxy in front of a real MLflow server that lets nothing through without its header."""

import urllib.error
import urllib.request

from support.patience import patience
from support.receiver import Answer, Got, WebServer


class Proxy:
    """Demands ``header: value``; anything else is told to sign in."""

    def __init__(self, target: str, header: str, value: str) -> None:
        self._target, self._header = target, header.lower()
        self.value = value
        self._server = WebServer(self._answer)
        self.url = self._server.url

    def stop(self) -> None:
        self._server.stop()

    def _answer(self, got: Got) -> Answer:
        if got.headers.get(self._header) != self.value:
            return Answer(401, {"Content-Type": "text/html"}, b"<h1>Sign in</h1>")
        request = urllib.request.Request(self._target + got.path, data=got.raw or None)
        try:
            with urllib.request.urlopen(request, timeout=patience()) as answer:
                return Answer(answer.status, {"Content-Type": "application/json"}, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, {"Content-Type": "application/json"}, error.read())
