"""Secrets that a delivery attempt has read in a thread beforehand, so that the event loop need not read files."""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from bridge.errors import SecretUnavailable

Reading = str | SecretUnavailable
"""A secret, or the error of reading it."""

_READINGS: ContextVar[Mapping[Any, Reading] | None] = ContextVar("secret readings", default=None)


@contextmanager
def readings_known(readings: Mapping[Any, Reading]) -> Iterator[None]:
    """Make `Secret.read` return the values in ``readings``, in the current task and the tasks that it creates."""
    token = _READINGS.set(readings)
    try:
        yield
    finally:
        _READINGS.reset(token)


def known_reading(secret: Hashable) -> Reading | None:
    """Return the value or error that was read for ``secret``; None if it was not read."""
    readings = _READINGS.get()
    return None if readings is None else readings.get(secret)
