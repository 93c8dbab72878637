"""Ten reads for hints in the time of one poll, on average and in a row."""

from hypothesis import given
from hypothesis import strategies as st
from support.clock import HandClock

from bridge.daemon.hint_rate import HintRate


@given(st.lists(st.floats(0, 40)))
def test_there_are_at_most_ten_in_a_row_and_ten_more_for_each_interval(pauses) -> None:
    clock, began = HandClock(), 0
    rate = HintRate(30_000, clock)
    start = clock.monotonic()
    for pause in pauses:
        clock.sleep(pause)
        while rate.wait_s() == 0:
            rate.spend()
            began += 1
            assert began <= 10 + (clock.monotonic() - start) / 3 + 1e-6


def test_the_next_one_comes_after_a_tenth_of_the_interval() -> None:
    clock = HandClock()
    rate = HintRate(30_000, clock)
    for _ in range(10):
        assert rate.wait_s() == 0
        rate.spend()
    assert rate.wait_s() == 3
    clock.sleep(2)
    assert round(rate.wait_s(), 6) == 1
