"""Waiting for what must come, instead of sleeping and hoping: a slow machine is only slower."""

import asyncio
import time
from collections.abc import Callable

from support.patience import patience


async def eventually(holds: Callable[[], object]) -> None:
    """Let the loop run until ``holds``; fail when patience ends."""
    async with asyncio.timeout(patience()):
        while not holds():  # noqa: ASYNC110 - the condition has no event of its own
            await asyncio.sleep(0.005)


def wait_until(holds: Callable[[], object]) -> None:
    """Block until ``holds``; fail when patience ends."""
    seconds = patience()
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it did not come within {seconds:.0f} s"
        time.sleep(0.05)
