"""The turn to write: whoever holds it reads, decides and commits, and nobody else commits in between."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class WriteTurn:
    """A lock that its holder may take again, because what holds it calls methods that take it themselves.

    A commit to a database waits for an answer; without a turn, a second change could be decided meanwhile by what
    the first is about to replace.
    """

    def __init__(self) -> None:
        """Begin with nobody's turn."""
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Wait for the turn, and hold it during the context."""
        task = _task()
        if self._lock.locked() and self._holder is task:
            yield
            return
        async with self._lock:
            self._holder = task
            try:
                yield
            finally:
                self._holder = None


def _task() -> asyncio.Task[Any] | None:
    """Return the task that runs; None outside an event loop, where a coroutine that never waits can run as well."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


class Turns(Protocol):
    """A state of which the changes are made one after the other."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Hold the turn to write during the context: what was read in it stays so until its end, but by its own commits.

        It may be held again inside. Within it, wait for nothing that takes the turn in another task.
        """
        ...


S = TypeVar("S", bound=Turns)


def in_turn(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Have ``method`` hold the turn to write."""

    @wraps(method)
    async def run(state: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        async with state.turn():
            return await method(state, *args, **kwargs)

    return run
