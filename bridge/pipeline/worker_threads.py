"""Runs blocking calls in threads, so that the event loop never waits for them."""

import asyncio
import ctypes
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class CutOff(BaseException):
    """Raised inside a thread that has to end; ``except Exception`` does not catch it."""


class ThreadedCall(Generic[T]):
    """A call in a daemon thread of its own; ``result`` is its result.

    The threads of a pool are joined when the interpreter exits, so a server that sends its answer very slowly
    could delay the exit for ever. A daemon thread cannot. Cancelling only stops the waiting.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        """Start ``call``."""
        self._loop = asyncio.get_running_loop()
        self.result: asyncio.Future[T] = self._loop.create_future()
        self.result.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._call = call
        self._has_begun = self._is_cut_off = self._over = False
        self._ending = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="registry", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            with self._ending:
                if self._is_cut_off:
                    self._over = True
                    return
                self._has_begun = True
            result, error = self._outcome()
            with self._ending:
                self._over = True
        except CutOff as caught:  # raised after the call's end
            self._over = True
            result, error = None, caught
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, result, error)

    def _outcome(self) -> tuple[T | None, BaseException | None]:
        try:
            return self._call(), None
        except BaseException as caught:  # noqa: BLE001 - passed on to the caller
            return None, caught

    def _settle(self, result: T | None, error: BaseException | None) -> None:
        if self.result.cancelled():
            return
        if error is not None:
            self.result.set_exception(error)
        else:
            self.result.set_result(result)  # type: ignore[arg-type]

    def is_running(self) -> bool:
        """Whether the call is still running."""
        return self._thread.is_alive() and not self._over

    async def within(self, seconds: float) -> T:
        """Return the call's result; cut the call off if it takes longer, or if the caller is cancelled.

        Raises:
            TimeoutError: it took longer.
        """
        try:
            done, _ = await asyncio.wait({self.result}, timeout=seconds)
        except asyncio.CancelledError:
            self.cut_off()
            raise
        if not done:
            self.cut_off()
            raise TimeoutError
        return self.result.result()

    def cut_off(self) -> None:
        """End the call at its next step in Python, such as the next byte of a slow answer.

        MLflow's client has a timeout only for each single read, so an answer that comes byte by byte would
        never time out (CPython, *PyThreadState_SetAsyncExc*).

        Under a tracer (coverage, a debugger), the main thread of CPython 3.11 does not go on before that step: it
        checks for the exception of the other thread again and again, at its next call of a function.
        """
        self.result.cancel()
        with self._ending:  # otherwise it could hit later code, or another thread with that number
            if not self._has_begun:  # otherwise it would hit Python's own code that starts the thread
                self._is_cut_off = True
            elif self.is_running():
                number = ctypes.c_ulong(self._thread.ident or 0)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(CutOff))


class SharedCall(Generic[T]):
    """A call that is never cut off, and runs once at a time: all callers wait for the same run."""

    def __init__(self, call: Callable[[], T]) -> None:
        """Store ``call``; it runs when its result is asked for."""
        self._call = call
        self._under_way: ThreadedCall[T] | None = None

    async def within(self, seconds: float) -> T:
        """Return the call's result; a call that takes longer continues, and can be waited for again.

        Raises:
            TimeoutError: it takes longer.
        """
        call = self._under_way = self._under_way or ThreadedCall(self._call)
        await asyncio.wait({call.result}, timeout=seconds)
        if not call.result.done():
            raise TimeoutError
        self._under_way = None
        return call.result.result()


async def in_thread(call: Callable[[], T]) -> T:
    """Run ``call`` in a thread, and return its result."""
    return await ThreadedCall(call).result
