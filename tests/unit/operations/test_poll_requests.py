"""What an order comes to travels over the control socket as it is."""

from bridge.errors import PollHeld, StateUnwritable
from bridge.operations.poll_requests import OnceResult


def test_a_result_comes_back_as_it_was() -> None:
    result = OnceResult(3, 2, 1, (PollHeld("too much", "abc"), StateUnwritable("disk full")))

    again = OnceResult.from_document(result.to_document())

    assert (again.new, again.delivered, again.waiting) == (3, 2, 1)
    assert [(type(error), str(error), vars(error)) for error in again.errors] == [
        (PollHeld, "too much", {"digest": "abc"}),
        (StateUnwritable, "disk full", {}),
    ]
