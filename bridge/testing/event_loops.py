"""Attempts on event loops of their own, and what must be left of them: nothing."""

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from bridge.delivery.attempt_outcome import Outcome

T = TypeVar("T")

_FOR_EVER_S = 60.0
"""No test takes so long."""

PROMPTLY_S = 30.0
"""What is to end at once may take so long on a loaded machine."""


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Return what ``work`` comes to, on an event loop of its own, for at most a minute."""

    async def whole() -> T:
        async with asyncio.timeout(_FOR_EVER_S):
            return await work()

    return asyncio.run(whole())


async def quiet(attempt: Awaitable[Outcome]) -> Outcome:
    """Return what comes of an attempt, which must be over by then."""
    outcome = await attempt
    assert isinstance(outcome, Outcome), f"deliver returned {outcome!r}, which is no Outcome"
    assert_quiet()
    return outcome


def assert_quiet() -> None:
    """Fail where a task is still going on, other than the test's own."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, f"left behind: {left}"


@contextmanager
def everything_closed() -> Iterator[None]:
    """Fail where a connection or a file was left for the garbage collector to close."""
    gc.collect()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    left = [str(one.message) for one in told if issubclass(one.category, ResourceWarning)]
    assert not left, f"not closed, neither by the attempt nor by aclose: {left}"


class NameLookUps(ThreadPoolExecutor):
    """The loop's own threads, for looking up names only: they are few, and are waited for when the bridge ends."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        assert "getaddrinfo" in getattr(fn, "__name__", ""), (
            "asyncio.to_thread and run_in_executor share threads with everybody: use bridge.plugin.in_thread"
        )
        return super().submit(fn, *args, **kwargs)


async def ticks() -> int:
    """Count until cancelled."""
    count = 0
    try:
        while True:
            await asyncio.sleep(0.01)
            count += 1
    except asyncio.CancelledError:
        return count
