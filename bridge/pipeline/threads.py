"""Run a blocking call beside the event loop, without ever being held up by it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """Return what ``call`` returns, from a daemon thread of its own.

    A pool's threads are joined when the interpreter ends, so a server that trickles could
    hold up the exit for ever; a daemon thread cannot. Cancelling stops the waiting only.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        try:
            result, error = call(), None
        except BaseException as caught:  # noqa: BLE001 - handed to whoever waits
            result, error = None, caught
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    Thread(target=work, name="registry", daemon=True).start()
    return await future
