"""Runs blocking system calls (a name look-up, a file on a mount) in daemon threads.

The event loop's own threads are few, shared, and joined when the loop ends, so a call that hangs in one would
delay everything else, and the exit. A daemon thread for each call does neither.
"""

import asyncio
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_STALE_S = 60.0
"""After this time, another call is started: the cause of the first one's hanging may be gone."""

_MOST_HANGING = 4
"""How many calls for one key may hang at the same time."""


@dataclass(frozen=True, slots=True)
class _Call(Generic[T]):
    result: asyncio.Future[T]
    began: float


class SharedCalls(Generic[K, T]):
    """Makes at most one call for a key at a time: all who ask for the same key meanwhile share its result."""

    def __init__(self, name: str) -> None:
        """Use ``name`` for the threads."""
        self._name = name
        self._under_way: dict[K, list[_Call[T]]] = {}

    async def result(self, key: K, call: Callable[[], T]) -> T:
        """Return the result of ``call``, or raise its error. Cancelling only stops the waiting."""
        calls = self._under_way.setdefault(key, [])
        is_hanging = bool(calls) and time.monotonic() - calls[-1].began > _STALE_S
        if not calls or (is_hanging and len(calls) < _MOST_HANGING):
            calls.append(self._started(key, call))
        return await asyncio.shield(calls[-1].result)

    def _started(self, key: K, call: Callable[[], T]) -> _Call[T]:
        loop = asyncio.get_running_loop()
        begun = _Call(loop.create_future(), time.monotonic())

        def work() -> None:
            result, error = _outcome(call)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._settle, key, begun, result, error)

        Thread(target=work, name=self._name, daemon=True).start()
        return begun

    def _settle(self, key: K, call: _Call[T], result: T | None, error: BaseException | None) -> None:
        calls = self._under_way[key]
        calls.remove(call)
        if not calls:
            del self._under_way[key]
        if error is None:
            call.result.set_result(result)  # type: ignore[arg-type]
        else:
            call.result.set_exception(error)
            call.result.exception()  # otherwise the loop reports an error if nobody waits any more


def _outcome(call: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return call(), None
    except BaseException as caught:  # noqa: BLE001 - passed on to the caller
        return None, caught
