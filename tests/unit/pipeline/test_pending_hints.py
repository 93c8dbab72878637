"""Hints are merged by model, and bounded."""

from bridge.events.change_hints import Hint
from bridge.pipeline.pending_hints import MOST_AT_ONCE, MOST_MODELS, PendingHints


def hint(model: str, user: str = "ann") -> Hint:
    return Hint(model, user=user)


def test_the_hints_of_a_model_are_taken_together_those_that_waited_longest_first() -> None:
    hints = PendingHints()
    hints.add([hint("a"), hint("b"), hint("a", "bob")])
    assert hints.waiting() == hints.take() == (hint("a"), hint("a", "bob"), hint("b"))
    assert (bool(hints), hints.take()) == (False, ())


def test_a_read_takes_so_many_models_and_the_next_one_the_rest() -> None:
    hints = PendingHints()
    hints.add(hint(str(number)) for number in range(MOST_AT_ONCE + 3))
    assert (len(hints.take()), len(hints.take()), bool(hints)) == (MOST_AT_ONCE, 3, False)


def test_what_there_is_no_room_for_is_counted_and_left_to_the_polls() -> None:
    hints = PendingHints()
    assert hints.add(hint(str(number)) for number in range(MOST_MODELS + 2)) == 2
    assert hints.add([hint("0")] * 1_000) == 0
    assert len(hints.waiting()) == MOST_MODELS - 1 + 100


def test_hints_whose_read_failed_come_before_those_that_came_since() -> None:
    hints = PendingHints()
    hints.add([hint("a")])
    taken = hints.take()
    hints.add([hint("b"), hint("a", "bob")])
    hints.put_back(taken)
    assert hints.take() == (hint("a"), hint("a", "bob"), hint("b"))
