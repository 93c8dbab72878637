"""The contract of every sink, whatever it delivers by."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, TypeVar

import pytest

from bridge.config import Access, SinkSettings, build
from bridge.delivery.outcome import Outcome, Reason, Verdict
from bridge.errors import ConfigurationError
from bridge.events.names import EVENT_NAMES
from bridge.sinks.base import Delivery, Sink, Transport
from bridge.sinks.kinds import Kinds
from bridge.sinks.lazy import LazyTransport
from bridge.sinks.recording import NoTransport, RecordingTransport
from bridge.sinks.vetting import vetted
from bridge.testing.samples import HOSTILE, NOW_MS, PARTS, SECRET_VARIABLE, detailed, sample

T = TypeVar("T")

_LIBRARIES = ("httpx", "httpcore", "asyncio")
"""Loggers of the transport's libraries, whose debugging output is never switched on."""

_PROMPTLY_S = 10.0
"""What is to end at once may take so long on a loaded machine."""

_FOR_EVER_S = 60.0
"""No test takes so long."""

_HANGS_S = 0.1
"""What has not ended after so long is under way."""


class SinkContract:
    """Tests of what every sink promises. A subclass, called ``Test…``, says what its sink is like.

    Attributes:
        type: the name under which the kind is registered.
        secret: what is to be found at `SECRET_PLACE`, where it needs a particular form.
        events: the names of the events that it can tell of.
        timeout_ms: how long an attempt may take in these tests, in ms, but where it is to run out.
    """

    type: ClassVar[str]
    secret: ClassVar[str] = "s3cret-Token/+="
    events: ClassVar[Sequence[str]] = tuple(EVENT_NAMES)
    timeout_ms: ClassVar[int] = 20_000

    def settings(self, place: str) -> Mapping[str, Any]:
        """Return the keys of a configuration that delivers to ``place``, without ``name`` and ``type``.

        Secrets are at `SECRET_PLACE`. ``place`` is the path of an empty folder; for HTTP, the receiver's URL.
        """
        raise NotImplementedError

    def arrived(self, place: str) -> Sequence[str]:
        """Return the ids of the events that arrived at ``place``, in the order in which they did."""
        raise NotImplementedError

    def break_down(self, place: str) -> None:
        """Have whatever takes deliveries at ``place`` fail from now on."""
        pytest.skip(f"{type(self).__name__}.break_down does not say how {place} can fail")

    def hang(self, place: str) -> None:
        """Have whatever takes deliveries at ``place`` hang from now on."""
        pytest.skip(f"{type(self).__name__}.hang does not say how {place} can hang")

    @pytest.fixture
    def place(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        """Where the sink under test delivers to."""
        yield str(tmp_path_factory.mktemp("place"))  # noqa: PT022 - one that overrides it may have more to do

    @pytest.fixture(autouse=True)
    def _secret_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(SECRET_VARIABLE, self.secret)

    # What tests are made of

    def configured(self, place: str, **more: Any) -> SinkSettings:
        """Return the settings as a configuration file would give them."""
        table = {"name": "ci", "type": self.type, **self.settings(place), **more}
        return build({"registry": {"tracking_uri": "http://r"}, "sinks": [table]}, Kinds()).sinks[0]

    @asynccontextmanager
    async def sink(
        self, place: str, *, timeout_ms: int | None = None, access: Access | None = None, **more: Any
    ) -> AsyncIterator[tuple[Sink, RecordingTransport]]:
        """Make the sink, as it is without the guard that the bridge puts around it, and its way out."""
        settings = self.configured(place, **more)
        async with LazyTransport() as transport:
            way = RecordingTransport(transport.through(access or Access()))
            sink = self._built(settings, way, timeout_ms or self.timeout_ms)
            yield sink, way
            close = getattr(sink, "aclose", None)
            if close is not None:
                await close()

    def _built(self, settings: SinkSettings, way: Transport, timeout_ms: int) -> Sink:
        built: Sink = Kinds().kind(self.type).build(settings, way, timeout_ms)
        return built

    async def attempt(self, place: str, delivery: Delivery | None = None, **more: Any) -> Outcome:
        """Return what comes of one attempt, after which nothing must be going on any more."""
        async with self.sink(place, **more) as (sink, _):
            return await quiet(sink.deliver(delivery or sample()))

    # Its kind and its settings

    def test_its_kind_is_registered_and_its_settings_answer_whatever_they_are_asked(self, place: str) -> None:
        assert self.type in Kinds(), f"no installed package registers {self.type!r} in mlflow_bridge.sinks"
        assert vetted(self.configured(place)) == []

    def test_the_same_configuration_gives_equal_settings(self, place: str) -> None:
        assert self.configured(place) == self.configured(place), "each reload would begin a new life"

    def test_a_misspelt_key_is_an_error(self, place: str) -> None:
        with pytest.raises(ConfigurationError, match="unknown key"):
            self.configured(place, **{"mis-spelt": 1})

    def test_it_opens_nothing_before_its_first_delivery(self, place: str) -> None:
        self._built(self.configured(place), NoTransport(), self.timeout_ms)  # there is no event loop yet

        assert list(self.arrived(place)) == []

    # Deliveries

    def test_a_delivery_arrives_once_with_its_id_before_it_is_called_delivered(self, place: str) -> None:
        outcome = run(lambda: self.attempt(place, sample(7)))

        assert (outcome.verdict, outcome.reason) == (Verdict.DELIVERED, Reason.OK)
        assert list(self.arrived(place)) == [sample(7).event.id]

    def test_each_attempt_carries_the_same_id(self, place: str) -> None:
        async def twice() -> None:
            async with self.sink(place) as (sink, _):
                for later_ms in (0, 3_600_000):
                    assert isinstance(await quiet(sink.deliver(sample(now_ms=NOW_MS + later_ms))), Outcome)

        run(twice)
        assert list(self.arrived(place)) == [sample().event.id] * 2

    def test_deliveries_arrive_in_the_order_in_which_they_were_made(self, place: str) -> None:
        ids = [sample(number).event.id for number in (3, 1, 2, 9, 4)]

        async def one_by_one() -> None:
            async with self.sink(place) as (sink, _):
                for at, number in enumerate((3, 1, 2, 9, 4), start=1):
                    await quiet(sink.deliver(sample(number)))
                    assert list(self.arrived(place)) == ids[:at], "delivered, and not there yet"

        run(one_by_one)

    def test_models_are_delivered_side_by_side(self, place: str) -> None:
        several = [sample(number, f"model-{number}") for number in range(8)]

        async def at_once() -> list[Outcome]:
            async with self.sink(place) as (sink, _):
                return await asyncio.gather(*(sink.deliver(one) for one in several))

        outcomes = run(at_once)

        assert {outcome.verdict for outcome in outcomes} == {Verdict.DELIVERED}
        assert sorted(self.arrived(place)) == [one.event.id for one in several]

    def test_every_event_is_delivered(self, place: str) -> None:
        async def each() -> dict[str, Verdict]:
            async with self.sink(place, events=self.events) as (sink, _):
                return {name: (await quiet(sink.deliver(sample(event=name)))).verdict for name in self.events}

        assert run(each) == dict.fromkeys(self.events, Verdict.DELIVERED)

    def test_an_event_that_is_told_in_detail_is_delivered(self, place: str) -> None:
        outcome = run(lambda: self.attempt(place, detailed(), include=PARTS))

        assert outcome.verdict is Verdict.DELIVERED

    def test_whatever_a_registry_holds_is_delivered_or_refused_and_never_raises(self, place: str) -> None:
        async def each() -> dict[str, Outcome]:
            async with self.sink(place) as (sink, _):
                return {name: await quiet(sink.deliver(sample(model=name))) for name in HOSTILE}

        for name, outcome in run(each).items():
            taken = outcome.verdict is Verdict.DELIVERED or outcome.reason in {Reason.LIMIT, Reason.REFUSED}
            assert taken, f"{name!r}: {outcome}"

    # Failures

    def test_what_fails_for_now_is_worth_another_try_and_says_why(self, place: str) -> None:
        self.break_down(place)

        outcome = run(lambda: self.attempt(place))

        assert (outcome.verdict, bool(outcome.detail)) == (Verdict.RETRYABLE, True), outcome

    def test_what_hangs_is_given_up_in_time_while_the_loop_goes_on(self, place: str) -> None:
        self.hang(place)

        async def beside() -> tuple[Outcome, int]:
            ticking = asyncio.create_task(_ticks())
            async with self.sink(place, timeout_ms=400) as (sink, _):
                outcome = await asyncio.wait_for(sink.deliver(sample()), _PROMPTLY_S)
            ticking.cancel()
            return outcome, (await asyncio.gather(ticking))[0]

        outcome, ticks = run(beside)
        assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.TIMEOUT)
        assert ticks > 3, "the event loop stood still: whatever blocks belongs into a thread (in_thread)"

    def test_a_cancelled_attempt_ends_at_once_and_leaves_nothing_behind(self, place: str) -> None:
        self.hang(place)

        run(lambda: self.cancelled(place))

    async def cancelled(self, place: str) -> None:
        """Cancel an attempt that hangs; it must end by that, and leave no task behind."""
        async with self.sink(place, timeout_ms=60_000) as (sink, _):
            attempt = asyncio.ensure_future(sink.deliver(sample()))
            await asyncio.wait({attempt}, timeout=_HANGS_S)
            assert not attempt.done(), f"it does not hang: {attempt}"
            attempt.cancel()
            done, _ = await asyncio.wait({attempt}, timeout=_PROMPTLY_S)
            assert done, "a cancelled attempt has to end"
            assert attempt.cancelled(), "a cancelled attempt has to raise CancelledError"
            assert_quiet()

    # Secrets

    def test_a_missing_secret_is_worth_another_try_and_names_its_key(
        self, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not self.configured(place).secrets():
            pytest.skip(f"{self.type} has no secret")
        monkeypatch.delenv(SECRET_VARIABLE)

        outcome = run(lambda: self.attempt(place))

        assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.SECRET)
        assert outcome.detail.startswith("sinks.ci."), outcome.detail
        assert list(self.arrived(place)) == []

    def test_no_secret_shows_in_outcomes_logs_output_or_settings(
        self, place: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        settings = self.configured(place)
        shown = [repr(settings), settings.origin(), repr(list(settings.remarks()))]

        async def deliver() -> None:
            async with self.sink(place) as (sink, _):
                shown.extend([repr(await sink.deliver(sample())), repr(sink), str(sink)])

        run(deliver)
        shown += [one.getMessage() for one in caplog.records if not one.name.startswith(_LIBRARIES)]
        shown += capfd.readouterr()
        assert self.secret not in "\n".join(shown)


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Return what ``work`` comes to, on an event loop of its own, for at most a minute."""

    async def whole() -> T:
        async with asyncio.timeout(_FOR_EVER_S):
            return await work()

    return asyncio.run(whole())


async def quiet(attempt: Awaitable[Outcome]) -> Outcome:
    """Return what comes of an attempt, which must be over by then."""
    outcome = await attempt
    assert isinstance(outcome, Outcome), f"deliver returned {outcome!r}, which is no Outcome"
    assert_quiet()
    return outcome


def assert_quiet() -> None:
    """Fail where a task is still going on, other than the test's own."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, f"left behind: {left}"


async def _ticks() -> int:
    """Count until cancelled."""
    count = 0
    try:
        while True:
            await asyncio.sleep(0.01)
            count += 1
    except asyncio.CancelledError:
        return count
