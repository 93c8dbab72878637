"""Runs what is awaitable but never waits: every call of a state over documents."""

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def done(call: Coroutine[Any, Any, T]) -> T:
    """Return the result of ``call``, which must not wait for anything."""
    try:
        call.send(None)
    except StopIteration as end:
        return end.value
    call.close()
    msg = "it waits for something: await it in a test with an event loop"
    raise AssertionError(msg)
