"""Fixtures for several packages: a state, and retries that wait as long as they may."""

import pytest

from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments


@pytest.fixture
def state() -> DocumentState:
    """A state in memory, empty."""
    return DocumentState(MemoryDocuments())


@pytest.fixture
def full_jitter_at_its_longest(monkeypatch) -> None:
    """Have retries wait for as long as they may, so that a clock moved by that much makes them due."""
    monkeypatch.setattr("bridge.pipeline.attempt_settlement.random.random", lambda: 0.999)
