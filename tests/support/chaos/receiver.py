"""A receiver in a process of its own, that misbehaves by its seed and writes down what it is sent.

    python receiver.py PORT LOG SEED '{"ok": 80, "500": 20}'

Every request is a line in the log before a byte of the answer goes out, so that the log tells what the
receiver took, also where it was killed then, or its answer never arrived. ``taken`` says that it meant yes.
"""

import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path

TAKEN = {"ok", "late", "torn", "odd"}
"""What a receiver does after it has taken a delivery: answers, answers too late, breaks off its answer, answers oddly."""

_ANSWERS = {
    "ok": "204 No Content\r\n",
    "late": "204 No Content\r\n",
    "429": "429 Too Many Requests\r\nRetry-After: 1\r\n",
    "500": "500 Internal Server Error\r\n",
    "503": "503 Service Unavailable\r\nRetry-After: 1\r\n",
    "302": "302 Found\r\nLocation: http://127.0.0.1:9/elsewhere\r\n",
}
_ODD = (
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200\nX-Folded: a\n  b\nNo colon\n\n",
    "http/1.0 202\r\nX : y\r\n\r\nhi",
    "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 204 \r\n\r\nHTTP/1.1 500 Not yours\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nRetry-Aft",
)
"""Answers that are forbidden, and that browsers and curl bear."""

_LATE_S, _HANG_S = (1.2, 2.5), 4.0
_SIGNED = ("x-mlflow-signature", "x-mlflow-timestamp", "x-mlflow-delivery-id")


class Misbehaving:
    """Answers as chance has it; each connection is served until it breaks."""

    def __init__(self, log: Path, seed: str, weights: dict[str, int]) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._chance = random.Random(seed)  # noqa: S311
        self._weights = weights

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()  # with a reset, where something is left unsent

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = [line.partition(":") for line in head.split("\r\n")[1:]]
        headers = {name.lower(): value.strip() for name, _, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        [does] = self._chance.choices(list(self._weights), list(self._weights.values()))
        self._note(does, headers, body)
        return await self._act(does, writer)

    def _note(self, does: str, headers: dict[str, str], body: bytes) -> None:
        signature, timestamp, delivery_id = (headers.get(name, "") for name in _SIGNED)
        line = {
            "at": time.time(),
            "does": does,
            "taken": does in TAKEN,
            "id": delivery_id,
            "signature": signature,
            "timestamp": timestamp,
            "cookie": headers.get("cookie", ""),
            "raw": body.decode("latin-1"),
        }
        os.write(self._log, json.dumps(line).encode() + b"\n")

    async def _act(self, does: str, writer: asyncio.StreamWriter) -> bool:
        """Answer, or don't; return whether the connection goes on."""
        if does == "hang":
            await asyncio.sleep(_HANG_S)
        if does == "late":
            await asyncio.sleep(self._chance.uniform(*_LATE_S))
        if does == "torn":
            writer.write(b"HTTP/1.1 20")
            await writer.drain()
        if does == "odd":
            writer.write(self._chance.choice(_ODD).encode())
            await writer.drain()
        if does not in _ANSWERS:
            return False
        length = "" if does in TAKEN else "Content-Length: 0\r\n"
        cookie = f"Set-Cookie: session={self._chance.random()}; Path=/\r\n"
        writer.write(f"HTTP/1.1 {_ANSWERS[does]}{cookie}{length}\r\n".encode())
        await writer.drain()
        return True


async def main() -> None:
    port, log, seed, weights = sys.argv[1:]
    receiver = Misbehaving(Path(log), seed, json.loads(weights))
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", int(port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
