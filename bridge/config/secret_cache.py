"""Secrets that were read just now: what an attempt read beforehand, beside the event loop, it need not read again."""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from bridge.errors import SecretUnavailable

Reading = str | SecretUnavailable
"""A secret, or why there is none."""

_READINGS: ContextVar[Mapping[Any, Reading] | None] = ContextVar("secret readings", default=None)


@contextmanager
def readings_known(readings: Mapping[Any, Reading]) -> Iterator[None]:
    """Have `Secret.read` return what is in ``readings``, for the task that this context is entered in and its own."""
    token = _READINGS.set(readings)
    try:
        yield
    finally:
        _READINGS.reset(token)


def known_reading(secret: Hashable) -> Reading | None:
    """Return what ``secret`` was read as; None where it was not."""
    readings = _READINGS.get()
    return None if readings is None else readings.get(secret)
