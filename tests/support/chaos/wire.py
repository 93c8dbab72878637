"""The wire between the bridge and its registry, which can be cut."""

import asyncio
from collections.abc import Coroutine
from threading import Thread

from support.receiver import lasting_port

_HALF_AN_ANSWER = 600
"""How many bytes come through before a connection that is torn breaks."""

WAYS = ("refuse", "hang", "tear")
"""How a registry is out of reach: no port, no answer, or half of one."""


class Wire:
    """Forwards connections to ``port`` on loopback, as they come; `fail` and `mend` may be called from any thread."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = lasting_port()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._way = ""
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        self._do(self._open())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, way: str) -> None:
        """Cut every connection; new ones fail in this way."""
        self._do(self._fail(way))

    def mend(self) -> None:
        self._do(self._mend())

    def stop(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _do(self, work: Coroutine) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)

    async def _fail(self, way: str) -> None:
        self._way = way
        if way == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        self._cut()

    async def _mend(self) -> None:
        self._way = ""
        self._cut()  # what hangs
        await self._open()

    async def _end(self) -> None:
        await self._fail("refuse")
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _cut(self) -> None:
        for end in list(self._ends):
            end.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            if self._way == "hang":
                await reader.read()  # until we are cut
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            self._ends.add(back)
            try:
                await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
            finally:
                self._ends.discard(back)
                back.transport.abort()
        except OSError:
            pass
        finally:
            self._ends.discard(writer)
            writer.transport.abort()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        came = 0
        while data := await source.read(65_536):
            came += len(data)
            if self._way == "tear" and came > _HALF_AN_ANSWER:
                sink.write(data[: _HALF_AN_ANSWER // 2])
                raise ConnectionError
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
