"""Leaving a registry alone that gives no answer."""

import pytest
from support.clock import HandClock

from bridge.daemon.registry_backoff import Backoff


def pauses(interval_ms: int, failures: int) -> list[float]:
    clock = HandClock()
    backoff = Backoff(interval_ms, clock)
    found = []
    for _ in range(failures):
        backoff.note(has_failed=True)
        began = clock.monotonic()
        while backoff.is_on():
            clock.sleep(interval_ms / 1000 / 20)
        found.append((clock.monotonic() - began) / (interval_ms / 1000))
    return found


@pytest.mark.parametrize(("interval_ms", "most"), [(1_000, 10), (30_000, 2), (600_000, 1)])
def test_the_pause_doubles_up_to_a_bound_that_fits_the_interval(interval_ms, most) -> None:
    found = pauses(interval_ms, 6)

    assert found[0] <= 1
    assert all(
        0.75 * min(2**number, most) <= pause <= min(2**number, most) for number, pause in enumerate(found)
    )


@pytest.mark.parametrize(("asked_s", "least", "most"), [(0, 0.8, 1), (4, 3.2, 4), (600, 8, 10), (1e9, 8, 10)])
def test_a_registry_that_asks_for_a_pause_gets_it_up_to_the_same_bound(asked_s, least, most) -> None:
    backoff = Backoff(1_000, HandClock())
    backoff.note(has_failed=True, asked_s=asked_s)
    assert least <= backoff.remaining_s() <= most


def test_a_good_poll_ends_it() -> None:
    backoff = Backoff(1_000, HandClock())
    for _ in range(5):
        backoff.note(has_failed=True)
    assert backoff.is_on()
    assert 0 < backoff.remaining_s() <= 10

    backoff.note(has_failed=False)
    assert not backoff.is_on()
    assert backoff.remaining_s() == 0
