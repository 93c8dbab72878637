"""Proxies in front of a real MLflow server: one that answers from a cache, one behind which clocks are behind."""

import re
import urllib.error
import urllib.request
from email.utils import formatdate

from support.patience import patience
from support.receiver import Answer, Got, WebServer

_TIMES = re.compile(rb'("(?:creation|last_updated)_timestamp": )(\d+)')


class CachingProxy:
    """Keeps every answer; ``is_old`` has it give what it kept first, for whatever was asked before."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._kept: dict[str, Answer] = {}
        self.is_old = False
        self._server = WebServer(self._answer)
        self.url = self._server.url

    def stop(self) -> None:
        self._server.stop()

    def _answer(self, got: Got) -> Answer:
        if self.is_old and got.path in self._kept:
            return self._kept[got.path]
        answer = self._forward(got.path)
        self._kept.setdefault(got.path, answer)
        return answer

    def _forward(self, path: str) -> Answer:
        try:
            with urllib.request.urlopen(self._target + path, timeout=patience()) as answer:
                return Answer(answer.status, {"Content-Type": "application/json"}, self._body(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, {"Content-Type": "application/json"}, error.read())

    def _body(self, body: bytes) -> bytes:
        return body


class SlowClockProxy(CachingProxy):
    """Shows a registry whose clock is ``behind_ms``; ``Date`` is right, as a proxy writes it."""

    def __init__(self, target: str, behind_ms: int) -> None:
        self._behind_ms = behind_ms
        super().__init__(target)

    def _forward(self, path: str) -> Answer:
        answer = super()._forward(path)
        return Answer(answer.status, {**answer.headers, "Date": formatdate(usegmt=True)}, answer.body)

    def _body(self, body: bytes) -> bytes:
        return _TIMES.sub(lambda found: found[1] + b"%d" % (int(found[2]) - self._behind_ms), body)
