"""A client of the daemon's API that repeats a request until it is answered."""

import http.client
import json
from collections.abc import Collection, Mapping
from threading import Event as Flag
from typing import Any

_UNAVAILABLE = frozenset({0, 503})


class PatientClient:
    """Asks the daemon, whichever of its lives is on, until ``stop`` is set."""

    def __init__(self, port: int, token: str, stop: Flag) -> None:
        self.answered = 0
        self.unexpected: list[str] = []
        self._port, self._token, self._stop = port, token, stop

    def asked(
        self, method: str, path: str, body: Mapping[str, Any], may_be: Collection[int] = ()
    ) -> tuple[int, dict[str, Any]] | None:
        """Return the answer and the number of attempts; None if the storm is over, or the answer is none that may be."""
        tries = 0
        while not self._stop.is_set():
            tries += 1
            try:
                status, answer = self._ask(method, path, body)
            except (OSError, http.client.HTTPException, ValueError):
                status, answer = 0, {}
            self.answered += status == 200
            if status == 200 or status in may_be:
                return tries, answer
            if status not in _UNAVAILABLE:
                self.unexpected.append(f"{path} was answered with {status}: {answer}")
                return None
            self._stop.wait(0.05)
        return None

    def _ask(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body), {"Authorization": f"Bearer {self._token}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()
