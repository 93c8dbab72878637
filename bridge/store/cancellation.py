"""Calls that a cancellation waits for."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(call: Coroutine[Any, Any, T]) -> T:
    """Return the result of ``call``, also while the present task is cancelled: the task then ends at its next wait."""
    task = asyncio.create_task(call)
    was_cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            was_cancelled = True
        except Exception:  # noqa: BLE001 - the result raises it
            break
    if was_cancelled:
        _cancel_again()
    return task.result()


def _cancel_again() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
        task.cancel()
