"""Polls take turns, whoever asks for them."""

import asyncio
import threading
from dataclasses import replace
from unittest.mock import AsyncMock

import pytest
from structlog.testing import capture_logs
from support.registry import FakeRegistry
from support.until import eventually
from support.values import model
from support.world import World

from bridge.daemon.poll_queue import Polling
from bridge.errors import OwnerUnavailable, PollHeld, RegistryBusy, RegistryUnreachable, ScanUnfinished
from bridge.events.change_hints import Hint
from bridge.operations.poll_requests import OnceResult, PollOrder


class SlowRegistry(FakeRegistry):
    """Scans as long as it is told to, and notices polls that overlap."""

    def __init__(self) -> None:
        super().__init__({"m": model()})
        self.release = threading.Event()
        self.began = 0
        self.under_way = 0
        self.overlapped = False

    def scan(self, *args, **kwargs):
        self._take_time()
        return super().scan(*args, **kwargs)

    def latest(self, deadline):
        self._take_time()
        return super().latest(deadline)

    def _take_time(self) -> None:
        self.began += 1
        self.under_way += 1
        self.overlapped |= self.under_way > 1
        while not self.release.wait(0.01):
            pass
        self.under_way -= 1


@pytest.fixture
def world() -> World:
    world = World()
    world.registry = SlowRegistry()
    return world


@pytest.fixture
async def polling(world):
    app = world.app()
    polling = Polling(app, world.probes)
    stop = asyncio.Event()
    relay = asyncio.create_task(app.relay.run(stop))
    yield polling
    stop.set()
    world.registry.release.set()
    await relay
    await polling.end()


async def test_polls_take_turns_whoever_asks_for_them(world, polling) -> None:
    polling.scan_soon()
    asked = [
        asyncio.create_task(polling.on_schedule()),
        asyncio.create_task(polling.now(PollOrder(full=True))),
        asyncio.create_task(polling.now(PollOrder(accept_held=True))),
    ]
    await eventually(lambda: world.registry.began)
    world.registry.release.set()
    await asyncio.gather(*asked)

    assert (world.registry.began, world.registry.overlapped) == (4, False)


async def test_scans_asked_for_while_one_waits_are_one(world, polling) -> None:
    first = asyncio.create_task(polling.on_schedule())
    await eventually(lambda: world.registry.began)
    for _ in range(3):
        polling.scan_soon()
    world.registry.release.set()
    await first
    assert await polling.now(PollOrder()) == OnceResult(0, 0, 0, ())

    assert world.registry.began == 3


async def test_a_scan_asked_for_while_one_is_under_way_is_made_after_it(world, polling) -> None:
    polling.scan_soon()
    await eventually(lambda: world.registry.began)
    polling.scan_soon()
    world.registry.release.set()

    await eventually(lambda: world.registry.began == 2)


async def test_an_order_does_not_wait_for_its_turn_beyond_its_deadline(world, polling) -> None:
    first = asyncio.create_task(polling.on_schedule())
    await eventually(lambda: world.registry.began)

    with pytest.raises(RegistryUnreachable, match="did not end in time"):
        await polling.now(PollOrder(deadline_ms=20))
    world.registry.release.set()
    await first
    assert (await polling.now(PollOrder(deadline_ms=20_000))).errors == ()


async def test_what_went_wrong_is_part_of_the_result(world, polling) -> None:
    world.registry.failure = RegistryUnreachable("down")

    assert [str(error) for error in (await polling.now(PollOrder())).errors] == ["down"]


async def test_a_hold_is_let_through_by_the_order_to_accept_it_and_by_no_other(world, polling) -> None:
    world.registry.release.set()
    world.registry.put(*(model(name) for name in "abcdefgh"))
    await polling.now(PollOrder())
    world.registry.models.clear()

    for order in (PollOrder(), PollOrder(full=True)):
        (error,) = (await polling.now(order)).errors
        assert isinstance(error, PollHeld)
    assert (await polling.now(PollOrder(accept_held=True))).errors == ()


async def test_what_is_done_between_polls_waits_for_the_poll_under_way(world, polling) -> None:
    done = []

    async def act() -> str:
        done.append(world.registry.under_way)
        return "done"

    first = asyncio.create_task(polling.on_schedule())
    await eventually(lambda: world.registry.began)
    second = asyncio.create_task(polling.between(act))
    world.registry.release.set()

    assert (await second, done) == ("done", [0])
    await first


async def test_at_the_end_orders_are_refused_at_once(world, polling) -> None:
    orders = [asyncio.create_task(polling.now(PollOrder())) for _ in range(2)]
    await eventually(lambda: world.registry.began)
    await polling.end()

    for error in await asyncio.gather(*orders, return_exceptions=True):
        assert isinstance(error, OwnerUnavailable)
    with pytest.raises(OwnerUnavailable, match="stopping, or taking up another configuration"):
        await polling.now(PollOrder())
    assert world.registry.began == 1


async def test_whoever_ordered_a_poll_can_go_away(world, polling) -> None:
    order = asyncio.create_task(polling.now(PollOrder()))
    await eventually(lambda: world.registry.began)
    order.cancel()
    world.registry.release.set()

    await eventually(lambda: world.state.last_poll)
    assert world.state.last_poll.outcome == "ok"


def scan_in_parts(polling, monkeypatch, parts: int, gate=None) -> list[tuple[str, list[str], bool]]:
    """Have a full scan take so many polls, the later ones after ``gate``; return the list to which each adds itself."""
    poll, made = polling._poll._poll, []
    run = poll.run

    async def part_of_the_way(read, accepted=frozenset(), within_ms=None, *, afresh=False, **_):
        if gate is not None and made:
            await gate.wait()
        made.append((read.value, sorted(accepted), afresh))
        if len([one for one in made if one[0] == "full"]) < parts:
            raise ScanUnfinished("not over")
        return await run(read, accepted, within_ms, afresh=afresh)

    monkeypatch.setattr(poll, "run", part_of_the_way)
    return made


async def test_an_order_waits_for_the_whole_scan_whatever_comes_before_its_rest(
    world, polling, monkeypatch
) -> None:
    world.registry.release.set()
    made = scan_in_parts(polling, monkeypatch, 3)
    accepted = AsyncMock(return_value=frozenset({"digest"}))
    monkeypatch.setattr("bridge.daemon.poll_queue.accepted_hold", accepted)
    done = await polling.now(PollOrder(accept_held=True))
    assert done.errors == ()
    assert [one for one in made if one[0] == "full"] == [
        ("full", ["digest"], True),
        ("full", ["digest"], False),
        ("full", ["digest"], False),
    ]
    assert (polling.trouble, polling.rests_for_s) == ("", 0)


async def test_an_order_whose_deadline_ends_before_its_scan_says_so_and_the_scan_goes_on(
    world, polling, monkeypatch
) -> None:
    world.registry.release.set()
    gate = asyncio.Event()
    made = scan_in_parts(polling, monkeypatch, 3, gate)
    done = await polling.now(PollOrder(full=True, deadline_ms=50))

    assert [str(error) for error in done.errors] == ["not over"]
    gate.set()
    await eventually(lambda: len([one for one in made if one[0] == "full"]) == 3)


async def test_an_order_whose_scan_nobody_goes_on_with_ends_and_says_so(world, polling, monkeypatch) -> None:
    world.registry.release.set()
    scan_in_parts(polling, monkeypatch, 2)
    assert (await polling.now(PollOrder(full=True))).errors == ()
    made = scan_in_parts(polling, monkeypatch, 1_000_000)
    monkeypatch.setattr(polling, "_take_turn", turn_before_the_end(polling))
    done = await polling.now(PollOrder(full=True))

    assert ([str(error) for error in done.errors], len(made)) == (["not over"], 1)


def turn_before_the_end(polling):
    """A reload begins when the poll has its turn: nothing is begun after that."""
    take = polling._take_turn

    async def taken(until: float) -> None:
        await take(until)
        polling.is_over = True

    return taken


async def test_an_order_whose_scan_is_cut_short_by_the_end_is_told_so(world, polling, monkeypatch) -> None:
    world.registry.release.set()
    made = scan_in_parts(polling, monkeypatch, 1_000_000)
    order = asyncio.create_task(polling.now(PollOrder(full=True)))
    await eventually(lambda: len(made) > 1)
    await polling.end()
    with pytest.raises(OwnerUnavailable, match="stopping"):
        await order


async def test_a_registry_that_asks_for_a_pause_is_given_one_and_told_of_once(world, polling) -> None:
    world.registry.release.set()
    with capture_logs() as logs:
        for wait_s in (600, 590, 580):
            world.registry.failure = RegistryBusy(f"asks to wait {wait_s} s", wait_s)
            await polling.now(PollOrder())
    assert [(one["log_level"], one["error"]) for one in logs if one["event"] == "poll.failed"] == [
        ("error", "asks to wait 600 s"),
        ("debug", "asks to wait 590 s"),
        ("debug", "asks to wait 580 s"),
    ]
    assert polling.rests_for_s > 0
    world.registry.failure = None
    await polling.now(PollOrder())
    assert polling.rests_for_s == 0


class Tagged(FakeRegistry):
    """A model whose alias moves no timestamp: a fast read sees it only by name."""

    def __init__(self) -> None:
        super().__init__({f"m{number}": model(f"m{number}") for number in range(3)})

    def set_alias(self, name: str) -> None:
        self.put(replace(self.models[name], aliases=(("a", "1"),)))


@pytest.fixture
async def hinted(monkeypatch):
    monkeypatch.setattr("bridge.pipeline.watched_models.MOST_UNNAMED", 0)
    world = World()
    world.registry = Tagged()
    app = world.app()
    polling = Polling(app, world.probes)
    await polling.catch_up()
    world.clock.sleep(600)
    await polling.catch_up()
    polling.world = world
    yield polling
    await polling.end()


def aliases(polling, name: str):
    return polling.world.state.known()[name].aliases


async def test_a_hint_has_its_model_read_at_once(hinted) -> None:
    hinted.world.registry.set_alias("m1")
    hinted.hint([Hint("m1")])
    await eventually(lambda: aliases(hinted, "m1"))


async def test_more_hints_than_the_rate_allows_wait_and_are_read_together(hinted, monkeypatch) -> None:
    monkeypatch.setattr(hinted._hint_rate, "wait_s", lambda: 0.05)
    for name in ("m0", "m1", "m2"):
        hinted.world.registry.set_alias(name)
        hinted.hint([Hint(name)])
    reads = len(hinted.world.registry.read)
    await eventually(lambda: all(aliases(hinted, name) for name in ("m0", "m1", "m2")))
    assert len(hinted.world.registry.read) - reads == 3
    assert hinted._hint_reads is not None


async def test_hints_wait_for_the_polls_while_the_registry_fails(hinted) -> None:
    hinted.world.registry.failure = RegistryUnreachable("down")
    hinted.hint([Hint("m1")])
    await eventually(hinted._hint_reads.done)
    assert hinted._hints
    hinted.world.registry.failure = None
    hinted.world.registry.set_alias("m1")
    hinted.hint([Hint("m1")])  # the backoff is on
    await eventually(hinted._hint_reads.done)
    assert not aliases(hinted, "m1")
    hinted.world.clock.sleep(3_600)
    await hinted.on_schedule()
    assert aliases(hinted, "m1")


async def test_hints_that_come_at_the_end_are_left(hinted) -> None:
    await hinted.end()
    hinted.hint([Hint("m1")])
    await eventually(hinted._hint_reads.done)


async def test_hints_beyond_what_is_remembered_are_told_in_the_log(hinted) -> None:
    with capture_logs() as logs:
        hinted.hint(Hint(f"x{number}") for number in range(1_005))
    assert ("hints.left_out", 5) in [(line["event"], line.get("hints")) for line in logs]
