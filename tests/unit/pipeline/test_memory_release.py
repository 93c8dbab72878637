"""Memory is given back after scans that took much of it, and only then."""

import gc

import pytest

from bridge.pipeline import memory_release


@pytest.mark.parametrize(("rows", "collected"), [(0, 0), (4_999, 0), (5_000, 1), (100_000, 1)])
def test_only_a_large_scan_is_cleaned_up_after(monkeypatch, rows, collected) -> None:
    calls: list[None] = []
    monkeypatch.setattr(gc, "collect", lambda: calls.append(None))

    memory_release.release_memory(rows)

    assert len(calls) == collected
