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
        self._under_way: set[Any] = set()

    async def call(self, function: Callable[[], Awaitable[T]], patience_s: float | None = None) -> T:
        """Return the result of ``function``, called in the daemon's loop; it goes on if the caller is cancelled.

        Raises:
            TimeoutError: there was no result within ``patience_s`` seconds; the call is cancelled.
        """
        future = asyncio.run_coroutine_threadsafe(_called(function), self._loop)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        try:
            async with asyncio.timeout(patience_s):
                return await asyncio.shield(asyncio.wrap_future(future))
        except TimeoutError:
            future.cancel()
            raise

    def cancel(self) -> None:
        """Cancel all calls under way."""
        for future in tuple(self._under_way):
            future.cancel()


async def _called(function: Callable[[], Awaitable[T]]) -> T:
    return await function()
