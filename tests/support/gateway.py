"""What stands between the bridge and an MLflow server: lets through what it likes."""

import urllib.error
import urllib.request
from collections.abc import Callable

from support.patience import patience
from support.receiver import Answer, Got, WebServer


class Gateway:
    """Answers by itself where ``rule`` says so, and hands everything else on to ``target``."""

    def __init__(self, target: str, rule: Callable[[Got], Answer | None] = lambda got: None) -> None:
        self.rule = rule
        self._target = target
        self._server = WebServer(self._answer)
        self.url = self._server.url

    @property
    def got(self) -> list[Got]:
        return self._server.got

    def stop(self) -> None:
        self._server.stop()

    def _answer(self, got: Got) -> Answer:
        return self.rule(got) or self.forwarded(got)

    def forwarded(self, got: Got) -> Answer:
        request = urllib.request.Request(self._target + got.path)
        try:
            with urllib.request.urlopen(request, timeout=patience()) as answer:
                return Answer(answer.status, {"Content-Type": "application/json"}, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, {"Content-Type": "application/json"}, error.read())
