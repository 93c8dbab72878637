"""The wire between a bridge and the PostgreSQL of its state, which can hang, break, or lose an answer."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

_SOCKET = ".s.PGSQL.5432"


@dataclass
class Trap:
    """What ends a bridge at a commit: ``how`` is before the database gets it, or after, in place of its answer."""

    kind: str
    how: str
    kill: Callable[[], None]
    is_sprung: bool = False

    def is_meant(self, data: bytes) -> bool:
        """Whether this is a commit that writes a document of the kind."""
        kinds = _KINDS.search(data)
        return b"swap AS" in data and kinds is not None and self.kind.encode() in kinds[1].split(b",")

    def spring(self) -> None:
        self.kill()
        self.is_sprung = True


_KINDS = re.compile(
    rb"\{((?:meta|models|events|outbox|audit|attempts|sinks|details|superseded|scan)[a-z_,]*)\}"
)
"""The tables of a commit: an array among its values."""


class DatabaseWire:
    """Forwards connections from a socket folder of its own to that of a cluster; its methods may be called from any thread.

    Where it hangs, nothing passes and nothing is closed, on old connections and new ones.
    """

    def __init__(self, target: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="wire-"))
        self.folder.chmod(0o755)
        self.has_lost = Event()
        """Set once an answer was lost on purpose."""
        self._target = target / _SOCKET
        self._loop = asyncio.new_event_loop()
        self._passes = asyncio.Event()
        self._passes.set()
        self._lost_word = b""
        self._trap: Trap | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(self._open())

    def hang(self) -> None:
        self._loop.call_soon_threadsafe(self._passes.clear)

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(self._passes.set)

    def cut(self) -> None:
        """Break every connection; new ones pass."""
        self._do(self._cut())

    def lose_answer_to(self, word: str) -> None:
        """Let the next request with this word pass, and break its connection in place of the answer."""
        self.has_lost.clear()
        self._lost_word = word.encode()

    def set_trap(self, trap: Trap) -> None:
        """Have the next commit that writes a document of this kind end its bridge, before the database gets it or after."""
        self._trap = trap

    def stop(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self.folder)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> asyncio.Server:
        server = await asyncio.start_unix_server(self._forward, self.folder / _SOCKET)
        (self.folder / _SOCKET).chmod(0o777)
        return server

    async def _cut(self) -> None:
        for end in list(self._ends):
            end.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            await self._passes.wait()
            there, back = await asyncio.open_unix_connection(self._target)
            self._ends.add(back)
            try:
                loses, sprung = asyncio.Event(), []
                await asyncio.gather(
                    self._requests(reader, back, loses, sprung), self._answers(there, writer, loses, sprung)
                )
            finally:
                self._ends.discard(back)
                back.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # the end of a connection, or of the wire
        finally:
            self._ends.discard(writer)
            writer.transport.abort()

    async def _requests(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        loses: asyncio.Event,
        sprung: list[Trap],
    ) -> None:
        while data := await source.read(65_536):
            await self._passes.wait()
            if self._lost_word and self._lost_word in data:
                self._lost_word = b""
                loses.set()
            trap = self._trap
            if trap is not None and trap.is_meant(data):
                self._trap = None
                if trap.how == "before":
                    trap.spring()
                    raise ConnectionError
                loses.set()
                sprung.append(trap)
            sink.write(data)
            await sink.drain()
        raise ConnectionError

    async def _answers(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        loses: asyncio.Event,
        sprung: list[Trap],
    ) -> None:
        while data := await source.read(65_536):
            await self._passes.wait()
            if loses.is_set():
                for trap in sprung:
                    trap.spring()
                self.has_lost.set()
                raise ConnectionError
            sink.write(data)
            await sink.drain()
        raise ConnectionError
