"""One address for MLflow and the bridge's API, as a proxy before both gives it: two prefixes go to the bridge."""

import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_OURS = ("/mlflow/registry-webhooks/", "/mlflow/transition-requests/")
_PASSED_ON = ("authorization", "content-type")


class Front:
    """Listens on loopback; ``url`` is the address for all."""

    def __init__(self, mlflow: str, bridge: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._pass_on()

            def do_POST(self) -> None:
                self._pass_on()

            def do_PATCH(self) -> None:
                self._pass_on()

            def do_DELETE(self) -> None:
                self._pass_on()

            def _pass_on(self) -> None:
                to = bridge if any(one in self.path for one in _OURS) else mlflow
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name: value for name, value in self.headers.items() if name.lower() in _PASSED_ON}
                request = urllib.request.Request(to + self.path, body or None, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        self._answer(answer.status, answer.read(), answer.headers)
                except urllib.error.HTTPError as error:
                    self._answer(error.code, error.read(), error.headers)
                except OSError:
                    self._answer(502, b"", {})

            def _answer(self, status: int, content: bytes, headers) -> None:
                self.send_response(status)
                self.send_header("Content-Type", headers.get("Content-Type", "text/plain"))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
