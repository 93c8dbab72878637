"""Calls in threads that nobody is held up by."""

import asyncio
import threading
import time

import pytest
from support.until import eventually

from bridge.pipeline.worker_threads import SharedCall, ThreadedCall, in_thread


async def test_it_returns_what_the_call_returns_and_raises_what_it_raises() -> None:
    assert await in_thread(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0)


def drip() -> None:
    while True:
        time.sleep(0.001)


async def test_a_call_that_takes_too_long_is_cut_off() -> None:
    call = ThreadedCall(drip)
    with pytest.raises(TimeoutError):
        await call.within(0.02)
    await eventually(lambda: not call.is_running())


async def test_a_call_that_nobody_waits_for_any_more_is_cut_off() -> None:
    call = ThreadedCall(drip)
    waiting = asyncio.create_task(call.within(30))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await eventually(lambda: not call.is_running())


async def test_a_call_that_is_cut_off_before_its_thread_came_to_it_is_not_made(monkeypatch) -> None:
    """An exception would hit the code by which Python starts a thread."""
    made = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", lambda _thread: None)
        call = ThreadedCall(lambda: made.append(1))
    call.cut_off()
    call._work()
    assert (made, call.is_running()) == ([], False)


async def test_cutting_off_a_call_at_its_very_end_hurts_nobody(monkeypatch) -> None:
    """pytest fails on an exception that ends a thread unseen."""
    seen = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    for number in range(300):
        call = ThreadedCall(lambda number=number: time.sleep(number % 7 / 20_000))
        await asyncio.sleep(number % 5 / 20_000)
        call.cut_off()
        call._thread.join(5)
        assert not call.is_running()

    assert seen == []


async def test_a_shared_call_is_made_once_at_a_time_and_goes_on_when_nobody_waits_longer() -> None:
    release, made = threading.Event(), []

    def call() -> int:
        made.append(len(made))
        release.wait(20)
        return made[-1]

    shared = SharedCall(call)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await shared.within(0.01)
    release.set()
    assert await asyncio.gather(shared.within(20), shared.within(20)) == [0, 0]
    assert await shared.within(20) == 1


async def test_a_shared_call_that_fails_is_made_again() -> None:
    failures = [ZeroDivisionError(), None]

    def call() -> str:
        failure = failures.pop(0)
        if failure:
            raise failure
        return "done"

    shared = SharedCall(call)
    with pytest.raises(ZeroDivisionError):
        await shared.within(20)
    assert await shared.within(20) == "done"
