"""Requests to the bridge, over real sockets."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bridge.mlflow_app.bridge_client import Asker, BridgeClient, BridgeUnreachable
from bridge.mlflow_app.plugin_settings import PluginSettings


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = {"path": self.path, "headers": dict(self.headers), "body": json.loads(body)}
        answer = b"not JSON" if self.path == "/odd" else json.dumps(told).encode()
        self.send_response(403 if self.path == "/refused" else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_) -> None:
        pass

    def address_string(self) -> str:
        return ""


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture(params=["tcp", "unix"])
def settings(request, tmp_path):
    if request.param == "unix":
        server = UnixServer(str(tmp_path / "control"), Handler)
        found = PluginSettings("unix", str(tmp_path / "control"), 0)
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        found = PluginSettings("http", "127.0.0.1", server.server_port, token="secret")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def test_it_asks_on_behalf_of_a_user(settings) -> None:
    found = BridgeClient(settings).ask("POST", "/x", {"a": 1}, Asker("ann ö", ("read",)), 5)
    told = found.document()
    assert (found.status, told["path"], told["body"]) == (200, "/x", {"a": 1})
    assert told["headers"]["X-MLflow-Bridge-User"] == "ann%20%C3%B6"
    assert told["headers"]["X-MLflow-Bridge-May"] == "read"
    assert told["headers"]["Host"].partition(":")[0] in {"127.0.0.1", "localhost"}
    assert told["headers"].get("Authorization") == ("Bearer secret" if settings.token else None)


def test_a_refusal_is_an_answer_and_what_is_no_object_is_empty(settings) -> None:
    client = BridgeClient(settings)
    assert client.ask("POST", "/refused", {}, Asker(None, ("read",)), 5).status == 403
    assert client.ask("POST", "/odd", {}, Asker(None, ("read",)), 5).document() == {}


@pytest.mark.parametrize(
    "settings",
    [
        PluginSettings("http", "127.0.0.1", 9, token="x"),
        PluginSettings("unix", "/no/such/socket", 0),
        PluginSettings("https", "127.0.0.1", 9, token="x"),
    ],
    indirect=False,
)
def test_a_bridge_that_is_not_there_is_unreachable(settings) -> None:
    with pytest.raises(BridgeUnreachable):
        BridgeClient(settings).ask("POST", "/", {}, Asker(None, ("read",)), 1)
