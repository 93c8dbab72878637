"""Lanes: in order within, in parallel beside."""

from collections import Counter, defaultdict, deque

from hypothesis import given
from hypothesis import strategies as st
from support.values import entry

from bridge.delivery.delivery_lanes import Lanes


class Gate:
    """Open to all, unless told otherwise."""

    def __init__(self, limit: int = 2) -> None:
        self.limit = limit
        self.opens = 0.0
        self.spacing = 0.0

    def limit_of(self, _sink: str) -> int:
        return self.limit

    def opens_at(self, _sink: str) -> float:
        return self.opens

    def passed(self, _sink: str, now: float) -> None:
        self.opens = max(self.opens, now + self.spacing)


def lanes(gate: Gate | int = 2, overall: int = 100, *entries) -> Lanes:
    made = Lanes(Gate(gate) if isinstance(gate, int) else gate, overall)
    made.add((one, 0.0) for one in entries)
    return made


def test_only_the_head_of_a_lane_is_claimed() -> None:
    queue = lanes(2, 100, entry(1), entry(2), entry(3, lane="other"))

    assert (queue.claim(0), queue.claim(0)) == ([1, 3], [])


def test_the_next_one_follows_when_the_head_is_done() -> None:
    queue = lanes(2, 100, entry(1), entry(2))
    queue.claim(0)

    queue.release(entry(1), None)

    assert (queue.claim(0), len(queue)) == ([2], 1)


def test_a_head_that_waits_holds_its_lane_until_it_is_due() -> None:
    queue = lanes(2, 100, entry(1), entry(2))
    queue.claim(0)

    queue.release(entry(1), 10.0)

    assert (queue.claim(9.9), queue.next_due(), queue.claim(10.0)) == ([], 10.0, [1])


def test_a_sink_has_no_more_busy_lanes_than_its_limit() -> None:
    queue = lanes(2, 100, *(entry(n, lane=str(n)) for n in range(5)))

    assert queue.claim(0) == [0, 1]
    queue.release(entry(0, lane="0"), None)
    assert queue.claim(0) == [2]


def test_a_hanging_sink_takes_no_place_from_another() -> None:
    hanging = [entry(n, lane=str(n)) for n in range(5)]
    queue = lanes(5, 5, *hanging, entry(9, sink="other"))

    assert queue.claim(0) == [0, 1, 2, 3, 4, 9]


def test_an_overall_limit_still_leaves_each_sink_one_place() -> None:
    entries = [entry(n, sink=f"s{n % 3}", lane=str(n)) for n in range(9)]
    queue = lanes(3, 1, *entries)

    assert queue.claim(0) == [0, 1, 2]


def test_a_sink_that_is_shut_gives_nothing_and_loses_nothing() -> None:
    gate = Gate(0)
    queue = lanes(gate, 100, entry(1))

    assert (queue.claim(0), queue.next_due()) == ([], None)
    gate.limit = 1
    assert queue.claim(0) == [1]


def test_a_paced_sink_gives_one_at_a_time_and_says_when_the_next_comes() -> None:
    gate = Gate(10)
    gate.spacing = 1.5
    queue = lanes(gate, 100, *(entry(n, lane=str(n)) for n in range(3)))

    assert (queue.claim(0), queue.next_due()) == ([0], 1.5)
    assert (queue.claim(1.4), queue.claim(1.5), queue.next_due()) == ([], [1], 3.0)


def test_what_waits_is_hurried_when_its_receiver_is_back() -> None:
    queue = lanes(2, 100, entry(1), entry(2, sink="other"))
    queue.claim(0)
    queue.release(entry(1), 600.0)
    queue.release(entry(2, sink="other"), 600.0)

    queue.hurry("ci", 5.0)

    assert (queue.claim(5.0), queue.claim(600.0)) == ([1], [2])


def test_what_is_removed_is_never_claimed_and_what_is_under_way_stays() -> None:
    queue = lanes(1, 100, entry(1), entry(2), entry(3), entry(4, lane="x"), entry(5, lane="y"))
    assert queue.claim(0) == [1]

    queue.remove([entry(1), entry(2), entry(4, lane="x"), entry(9), entry(8, lane="unknown")])

    queue.release(entry(1), None)
    assert queue.claim(0) == [5]
    queue.release(entry(5, lane="y"), None)
    assert queue.claim(0) == [3]


def test_the_next_of_a_lane_whose_waiting_head_is_removed_is_due_at_once() -> None:
    queue = lanes(1, 100, entry(1), entry(2))
    queue.claim(0)
    queue.release(entry(1), 600.0)

    queue.remove([entry(1)])

    assert queue.claim(1.0) == [2]


def test_entries_of_a_sink_that_nobody_waits_for_are_not_counted() -> None:
    queue = lanes(2, 100, entry(1), entry(2, sink="other"))

    assert (len(queue), queue.waiting({"other"})) == (2, 1)


def test_sinks_with_a_backlog_take_turns_at_places_that_become_free() -> None:
    entries = [entry(100 * n + k, sink=f"s{n}", lane=str(k)) for n in range(5) for k in range(40)]
    queue = lanes(16, 10, *entries)
    known = {one.id: one for one in entries}
    busy, served = deque(queue.claim(0)), Counter()
    for _ in range(100):
        one = known[busy.popleft()]
        served[one.sink] += 1
        queue.release(one, None)
        busy.extend(queue.claim(0))

    assert min(served.values()) >= 10, served


@given(st.data())
def test_whatever_happens_each_lane_is_attempted_in_order_and_nothing_is_lost(data) -> None:
    keys = st.tuples(st.sampled_from(["ci", "b"]), st.sampled_from("xyz"))
    entries = [entry(n, sink=s, lane=k) for n, (s, k) in enumerate(data.draw(st.lists(keys, max_size=12)))]
    gate = Gate(data.draw(st.integers(1, 3)))
    gate.spacing = data.draw(st.sampled_from([0.0, 0.5]))
    queue = lanes(gate, data.draw(st.integers(1, 4)), *entries)
    done, dropped, busy, now = defaultdict(list), [], [], 0.0
    while len(queue):
        busy += [entries[number] for number in queue.claim(now)]
        assert len({(one.sink, one.lane) for one in busy}) == len(busy)
        if data.draw(st.integers(0, 4)) == 0:
            known = {one.id for one in (*busy, *dropped)} | {n for order in done.values() for n in order}
            unwanted = [one for one in entries if one.id not in known][:1]
            queue.remove(unwanted)
            dropped += unwanted
        if data.draw(st.integers(0, 4)) == 0:
            queue.hurry("ci", now)
        if not busy:
            now = max(now, queue.next_due() or now)
            continue
        one = busy.pop(data.draw(st.integers(0, len(busy) - 1)))
        again = data.draw(st.booleans()) and now < 5
        queue.release(one, now + 1 if again else None)
        if not again:
            done[one.sink, one.lane].append(one.id)
    kept = sorted(number for order in done.values() for number in order)
    assert sorted([*kept, *(one.id for one in dropped)]) == [one.id for one in entries]
    assert all(order == sorted(order) for order in done.values())
    assert queue.in_flight == 0
