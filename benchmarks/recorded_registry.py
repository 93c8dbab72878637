"""A registry on another machine, as the bridge sees one: it takes its time, and nothing of this machine's.

    python benchmarks/recorded_registry.py registry URL

Started by `governance.py`. What is asked for the first time is asked of the real server at URL; from then on the
same answer is given after the same time. A word in, a line of JSON out: ``port`` says where it listens.
"""

import json
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

_PATIENCE_S = 60.0
Question = tuple[str, str, bytes]


@dataclass(frozen=True)
class Recorded:
    """What the real server answered, and the seconds that it took."""

    status: int
    content_type: str
    content: bytes
    seconds: float


class Registry:
    """Asks ``url`` what it has not asked before."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=_PATIENCE_S)
        self._recorded: dict[Question, Recorded] = {}

    def answer(self, question: Question) -> Recorded:
        known = self._recorded.get(question)
        if known is not None:
            time.sleep(known.seconds)
            return known
        method, path, body = question
        began = time.monotonic()
        answer = self._client.request(
            method, path, content=body, headers={"Content-Type": "application/json"}
        )
        kind = answer.headers.get("content-type", "")
        recorded = Recorded(answer.status_code, kind, answer.content, time.monotonic() - began)
        self._recorded[question] = recorded
        return recorded


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    registry: Registry

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        known = self.registry.answer((self.command, self.path, body))
        head = f"HTTP/1.1 {known.status} -\r\nContent-Type: {known.content_type}\r\nContent-Length: {len(known.content)}"
        self.wfile.write(head.encode() + b"\r\n\r\n" + known.content)

    do_POST = do_GET  # noqa: N815 - as BaseHTTPRequestHandler wants it

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    Handler.registry = Registry(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for _ in sys.stdin:
        print(json.dumps({"port": server.server_port}), flush=True)


if __name__ == "__main__":
    main()
