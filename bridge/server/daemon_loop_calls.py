"""Calls from the threads of the servers into the daemon's event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonLoop:
    """The daemon's event loop, which alone may read or change the state."""

    def __init__(self) -> None:
        """Use the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._has_ended = False

    async def call(self, function: Callable[[], Awaitable[T]], patience_s: float | None = None) -> T:
        """Return the result of ``function``, called in the daemon's loop; it goes on if the caller is cancelled.

        Raises:
            TimeoutError: there was no result within ``patience_s`` seconds; the call is cancelled.
            CancelledError: `end` was called.
        """
        future = asyncio.run_coroutine_threadsafe(self._called(function), self._loop)
        try:
            async with asyncio.timeout(patience_s):
                return await asyncio.shield(asyncio.wrap_future(future))
        except TimeoutError:
            future.cancel()
            raise

    async def _called(self, function: Callable[[], Awaitable[T]]) -> T:
        task = asyncio.current_task()
        if self._has_ended or task is None:
            raise asyncio.CancelledError
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await function()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody else asks for it if the caller has given up

    async def end(self) -> None:
        """Begin no more calls, cancel those under way, and wait until they have ended."""
        self._has_ended = True
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
