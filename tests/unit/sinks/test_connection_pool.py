"""Connections that are kept for a while, place by place."""

import asyncio

import pytest
import structlog
from support.receiver import Answer, Receiver

from bridge.delivery.attempt_outcome import Outcome, Reason
from bridge.sinks.base import Request, Response
from bridge.sinks.transport import connection_pool
from bridge.sinks.transport.connection_pool import MOST_KEPT, Connections
from bridge.sinks.transport.http_client import Client


class Made:
    """Numbers for connections, what was closed of them, and which are not fit to be kept."""

    def __init__(self, most: int = 1_000) -> None:
        self.count = 0
        self.closed: list[int] = []
        self.unfit: set[int] = set()
        self.kept = Connections(self.close, lambda one: one not in self.unfit, most)

    def make(self) -> int:
        self.count += 1
        return self.count

    async def close(self, one: int) -> None:
        self.closed.append(one)

    def lent(self, place: str, owner: str = "me"):
        return self.kept.lent(owner, place, self.make)

    async def used(self, place: str, owner: str = "me") -> int:
        """Take one that is kept, or make one, and give it back."""
        async with self.lent(place, owner) as one:
            return one


@pytest.fixture
def now(monkeypatch) -> list[float]:
    at = [1_000.0]
    monkeypatch.setattr(connection_pool.time, "monotonic", lambda: at[0])
    return at


async def test_the_connection_that_was_used_last_is_used_next() -> None:
    made = Made()
    async with made.lent("a") as first:
        assert await made.used("a") == 2

    async with made.lent("a") as one, made.lent("a") as other:
        assert (first, one, other, await made.used("a")) == (1, 1, 2, 3)


async def test_one_that_cannot_be_closed_fails_nobody_and_keeps_no_other_open(now, monkeypatch) -> None:
    made = Made()

    async def close(one: int) -> None:
        made.closed.append(one)
        msg = "reset"
        raise OSError(msg)

    monkeypatch.setattr(made.kept, "_close", close)
    async with made.lent("a"), made.lent("a"):
        pass
    now[0] += connection_pool.KEPT_S + 1
    await made.used("b")

    assert (made.closed, len(made.kept)) == ([2, 1], 1)


async def test_each_place_and_each_owner_has_its_own() -> None:
    made = Made()

    assert [await made.used("a"), await made.used("b"), await made.used("a", "you")] == [1, 2, 3]
    await made.kept.aclose("me")
    assert (made.closed, len(made.kept)) == ([1, 2], 1)


async def test_what_nobody_used_for_a_while_is_closed(now) -> None:
    made = Made()
    await made.used("a")
    now[0] += connection_pool.KEPT_S + 1
    await made.used("b")

    assert (made.closed, len(made.kept)) == ([1], 1)
    assert await made.used("a") == 3


async def test_one_that_is_not_fit_for_another_request_is_closed() -> None:
    made = Made()
    made.unfit.add(1)

    assert [await made.used("a"), await made.used("a")] == [1, 2]
    assert made.closed == [1]


async def test_one_that_was_cut_off_is_closed() -> None:
    made = Made()
    with pytest.raises(asyncio.CancelledError):
        async with made.lent("a"):
            raise asyncio.CancelledError

    assert (made.closed, len(made.kept)) == ([1], 0)


async def test_no_more_are_kept_than_are_allowed_and_the_oldest_go_first() -> None:
    made = Made()
    for number in range(MOST_KEPT + 3):
        await made.used(f"place-{number}")

    assert (made.closed, len(made.kept)) == ([1, 2, 3], MOST_KEPT)
    await made.kept.aclose("me")
    assert (len(made.closed), len(made.kept)) == (MOST_KEPT + 3, 0)


async def test_an_unused_one_makes_room_for_one_that_is_needed() -> None:
    made = Made(most=3)
    for place in "abc":
        await made.used(place)
    async with made.lent("d"), made.lent("e"):
        assert (made.closed, len(made.kept)) == ([1, 2], 1)


async def test_where_all_are_in_use_the_next_waits_and_that_is_said_once() -> None:
    made = Made(most=2)
    most, current = 0, 0

    async def use(place: str) -> None:
        nonlocal most, current
        async with made.lent(place):
            current += 1
            most = max(most, current)
            await asyncio.sleep(0)
            current -= 1

    with structlog.testing.capture_logs() as logs:
        await asyncio.gather(*(use(f"place-{number}") for number in range(20)))

    assert (most, made.count) == (2, 20)
    assert [(log["event"], log["most"]) for log in logs] == [("connections.limited", 2)]
    assert "LimitNOFILE" in logs[0]["mend"]


async def test_one_that_cannot_be_made_takes_no_room() -> None:
    made = Made(most=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with made.kept.lent("me", "a", lambda: 1 // 0):
                pass

    assert await made.used("a") == 1


async def test_deliveries_side_by_side_have_connections_of_their_own_and_share_them_afterwards() -> None:
    receiver = Receiver(Answer(204, delay=0.2))
    async with Client() as client:
        request = Request(f"{receiver.url}/", {}, b"{}", 10_000)
        for _ in range(2):
            answers = await asyncio.gather(*(client.post(request) for _ in range(4)))
            assert [answer.status for answer in answers] == [204] * 4
        assert len(client._network.connections) == 4
    receiver.stop()


async def test_a_connection_that_was_cut_off_is_not_used_again() -> None:
    receiver = Receiver(Answer(204, delay=5.0))
    async with Client() as client:
        slow = await client.post(Request(f"{receiver.url}/", {}, b"{}", 100))
        assert isinstance(slow, Outcome)
        assert (slow.reason, len(client._network.connections)) == (Reason.TIMEOUT, 0)
        receiver.answer = Answer(204)
        assert isinstance(await client.post(Request(f"{receiver.url}/", {}, b"{}", 10_000)), Response)
    receiver.stop()
