"""The way from MLflow's server to the bridge, on which hints get lost, come twice, or come late."""

import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HINTS = "/api/v1/hints"
_LONGEST_DELAY_S = 3.0
_PATIENCE_S = 10.0
_PASSED_ON = ("authorization", "content-type", "x-mlflow-bridge-user", "x-mlflow-bridge-may")
_FATES = ("lost", "torn", "twice", "late", "passed on", "passed on")


class HintLoss:
    """Listens at ``port``, and passes on to the bridge at ``target``; what became of hints is in ``fates``."""

    def __init__(self, port: int, target: int, seed: int) -> None:
        self.fates: Counter[str] = Counter()
        self._url = f"http://127.0.0.1:{target}"
        self._chance = random.Random(seed)  # noqa: S311
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        loss = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = urllib.request.Request(loss._url + self.path, body or None, method=self.command)
                for name, value in self.headers.items():
                    if name.lower() in _PASSED_ON:
                        request.add_header(name, value)
                answer = loss._answer(request, is_hint=self.path == _HINTS)
                if answer is not None:
                    status, content = answer
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_) -> None:
                pass

        return Handler

    def _answer(self, request: urllib.request.Request, *, is_hint: bool) -> tuple[int, bytes] | None:
        """Return status and content; None: the connection ends without an answer."""
        if not is_hint:
            return self._pass_on(request)
        fate = self._chance.choice(_FATES)
        self.fates[fate] += 1
        if fate == "lost":
            return None
        if fate == "late":
            delay_s = _LONGEST_DELAY_S * self._chance.random()
            threading.Thread(target=self._pass_on_later, args=(request, delay_s), daemon=True).start()
            return None
        if fate == "twice":
            self._pass_on(request)
        answer = self._pass_on(request)
        return None if fate == "torn" else answer

    def _pass_on_later(self, request: urllib.request.Request, delay_s: float) -> None:
        time.sleep(delay_s)
        self._pass_on(request)

    def _pass_on(self, request: urllib.request.Request) -> tuple[int, bytes] | None:
        with suppress(OSError):
            try:
                with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()
        return None
