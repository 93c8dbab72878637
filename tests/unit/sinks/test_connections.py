"""Connections that are kept for a while, place by place."""

import asyncio

import pytest
from support.receiver import Answer, Receiver

from bridge.delivery.outcome import Outcome, Reason
from bridge.sinks import connections
from bridge.sinks.base import Request, Response
from bridge.sinks.client import Client
from bridge.sinks.connections import MOST_KEPT, Connections


class Made:
    """Numbers for connections, and what was closed of them."""

    def __init__(self) -> None:
        self.count = 0
        self.closed: list[int] = []
        self.kept = Connections(self.make, self.close)

    def make(self, _place: str) -> int:
        self.count += 1
        return self.count

    async def close(self, one: int) -> None:
        self.closed.append(one)


@pytest.fixture
def now(monkeypatch) -> list[float]:
    at = [1_000.0]
    monkeypatch.setattr(connections.time, "monotonic", lambda: at[0])
    return at


async def test_the_connection_that_was_used_last_is_used_next() -> None:
    made = Made()
    first, second = made.kept.take("a"), made.kept.take("a")
    await made.kept.keep("a", first)
    await made.kept.keep("a", second)

    assert (made.kept.take("a"), made.kept.take("a"), made.kept.take("a")) == (second, first, 3)


async def test_one_that_cannot_be_closed_fails_nobody_and_keeps_no_other_open(now) -> None:
    made = Made()

    async def close(one: int) -> None:
        made.closed.append(one)
        msg = "reset"
        raise OSError(msg)

    kept = Connections(made.make, close)
    for one in (kept.take("a"), kept.take("a")):
        await kept.keep("a", one)
    now[0] += connections.KEPT_S + 1
    await kept.keep("b", kept.take("b"))

    assert (made.closed, len(kept)) == ([1, 2], 1)


async def test_each_place_has_its_own() -> None:
    made = Made()
    await made.kept.keep("a", made.kept.take("a"))

    assert made.kept.take("b") == 2


async def test_what_nobody_used_for_a_while_is_closed(now) -> None:
    made = Made()
    await made.kept.keep("a", made.kept.take("a"))
    now[0] += connections.KEPT_S + 1
    await made.kept.keep("b", made.kept.take("b"))

    assert (made.closed, len(made.kept)) == ([1], 1)
    assert made.kept.take("a") == 3


async def test_no_more_are_kept_than_are_allowed_and_the_oldest_go_first() -> None:
    made = Made()
    for number in range(MOST_KEPT + 3):
        await made.kept.keep(f"place-{number}", made.kept.take(f"place-{number}"))

    assert (made.closed, len(made.kept)) == ([1, 2, 3], MOST_KEPT)
    await made.kept.aclose()
    assert (len(made.closed), len(made.kept)) == (MOST_KEPT + 3, 0)


async def test_deliveries_side_by_side_have_connections_of_their_own_and_share_them_afterwards() -> None:
    receiver = Receiver(Answer(204, delay=0.2))
    async with Client() as client:
        request = Request(f"{receiver.url}/", {}, b"{}", 10_000)
        for _ in range(2):
            answers = await asyncio.gather(*(client.post(request) for _ in range(4)))
            assert [answer.status for answer in answers] == [204] * 4
        assert len(client._connections) == 4
    receiver.stop()


async def test_a_connection_that_was_cut_off_is_not_used_again() -> None:
    receiver = Receiver(Answer(204, delay=5.0))
    async with Client() as client:
        slow = await client.post(Request(f"{receiver.url}/", {}, b"{}", 100))
        assert isinstance(slow, Outcome)
        assert (slow.reason, len(client._connections)) == (Reason.TIMEOUT, 0)
        receiver.answer = Answer(204)
        assert isinstance(await client.post(Request(f"{receiver.url}/", {}, b"{}", 10_000)), Response)
    receiver.stop()
