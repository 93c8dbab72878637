"""Run attempts on their own event loops, and check that they leave no tasks, connections or files open."""

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
"""The time limit of a test in seconds."""

PROMPTLY_S = 30.0
"""The time limit in seconds for what must end at once, on a loaded machine."""


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run ``work`` on a new event loop for at most a minute, and return its result."""

    async def whole() -> T:
        async with asyncio.timeout(_FOR_EVER_S):
            return await work()

    return asyncio.run(whole())


async def quiet(attempt: Awaitable[Outcome]) -> Outcome:
    """Return the outcome of an attempt, after which no task may be left."""
    outcome = await attempt
    assert isinstance(outcome, Outcome), f"deliver returned {outcome!r}, which is no Outcome"
    assert_quiet()
    return outcome


def assert_quiet() -> None:
    """Fail if a task other than the test's own is still running."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, f"left behind: {left}"


@contextmanager
def everything_closed() -> Iterator[None]:
    """Fail if a connection or a file is left for the garbage collector to close."""
    gc.collect()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    left = [str(one.message) for one in told if issubclass(one.category, ResourceWarning)]
    assert not left, f"not closed, neither by the attempt nor by aclose: {left}"


class NameLookUps(ThreadPoolExecutor):
    """The default executor of the loop, allowed for name resolution only.

    Its threads are few, and the bridge waits for them when it ends: sinks must use `in_thread` instead.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        assert "getaddrinfo" in getattr(fn, "__name__", ""), (
            "asyncio.to_thread and run_in_executor share threads with everybody: use bridge.plugin.in_thread"
        )
        return super().submit(fn, *args, **kwargs)


async def ticks() -> int:
    """Count every 10 ms until cancelled; return the count."""
    count = 0
    try:
        while True:
            await asyncio.sleep(0.01)
            count += 1
    except asyncio.CancelledError:
        return count
