"""Lanes: in order within, in parallel beside."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from support.values import entry

from bridge.delivery.lanes import Lanes


def lanes(limit: int = 2, overall: int = 100, *entries) -> Lanes:
    made = Lanes(lambda _sink: limit, overall)
    made.add((one, 0.0) for one in entries)
    return made


def ids(entries) -> list[int]:
    return [one.id for one in entries]


def test_only_the_head_of_a_lane_is_claimed() -> None:
    queue = lanes(2, 100, entry(1), entry(2), entry(3, lane="other"))

    assert (ids(queue.claim(0)), ids(queue.claim(0))) == ([1, 3], [])


def test_the_next_one_follows_when_the_head_is_done() -> None:
    queue = lanes(2, 100, entry(1), entry(2))
    (head,) = queue.claim(0)

    queue.release(head, None)

    assert (ids(queue.claim(0)), len(queue)) == ([2], 1)


def test_a_head_that_waits_holds_its_lane_until_it_is_due() -> None:
    queue = lanes(2, 100, entry(1), entry(2))
    (head,) = queue.claim(0)

    queue.release(head, 10.0)

    assert (queue.claim(9.9), queue.next_due(), ids(queue.claim(10.0))) == ([], 10.0, [1])


def test_a_sink_has_no_more_busy_lanes_than_its_limit() -> None:
    queue = lanes(2, 100, *(entry(n, lane=str(n)) for n in range(5)))
    claimed = queue.claim(0)

    assert ids(claimed) == [0, 1]
    queue.release(claimed[0], None)
    assert ids(queue.claim(0)) == [2]


def test_a_hanging_sink_takes_no_place_from_another() -> None:
    hanging = [entry(n, lane=str(n)) for n in range(5)]
    queue = lanes(5, 5, *hanging, entry(9, sink="other"))

    assert ids(queue.claim(0)) == [0, 1, 2, 3, 4, 9]


def test_an_overall_limit_still_leaves_each_sink_one_place() -> None:
    entries = [entry(n, sink=f"s{n % 3}", lane=str(n)) for n in range(9)]
    queue = lanes(3, 1, *entries)

    assert [one.sink for one in queue.claim(0)] == ["s0", "s1", "s2"]


@given(st.data())
def test_whatever_happens_each_lane_is_attempted_in_order_and_nothing_is_lost(data) -> None:
    keys = st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"))
    entries = [entry(n, sink=s, lane=k) for n, (s, k) in enumerate(data.draw(st.lists(keys, max_size=12)))]
    queue = lanes(data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4)), *entries)
    done, busy, now = defaultdict(list), [], 0.0
    while len(queue):
        busy += queue.claim(now)
        assert len({(one.sink, one.lane) for one in busy}) == len(busy)
        if not busy:
            now = queue.next_due()
            continue
        one = busy.pop(data.draw(st.integers(0, len(busy) - 1)))
        again = data.draw(st.booleans()) and now < 5
        queue.release(one, now + 1 if again else None)
        if not again:
            done[one.sink, one.lane].append(one.id)
    assert sorted(number for order in done.values() for number in order) == [one.id for one in entries]
    assert all(order == sorted(order) for order in done.values())
    assert queue.in_flight == 0
