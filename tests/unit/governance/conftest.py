"""Fixtures for the tests of governance."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from bridge.pipeline import request_processing


@pytest.fixture(autouse=True, scope="package")
def _no_wait_is_over_at_once() -> Iterator[None]:
    """Wait half of the most between two attempts: at random, one wait in some hundreds is none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_processing, "random", SimpleNamespace(random=lambda: 0.5))
        yield
