"""Waiting for what must come, instead of sleeping and hoping: a slow machine is only slower."""

import asyncio
import time
from collections.abc import Callable


async def eventually(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Let the loop run until ``holds``; fail after so many seconds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - the condition has no event of its own
            await asyncio.sleep(0.005)


def wait_until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Block until ``holds``; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it did not come within {seconds} s"
        time.sleep(0.05)
