"""The contract tests for every sink, with any transport."""

import asyncio
import logging

import pytest

from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.errors import ConfigurationError
from bridge.sinks.plugins.settings_check import settings_faults
from bridge.sinks.sink_type_table import Kinds
from bridge.sinks.transport.exchange_recorder import NoTransport
from bridge.testing.resource_leak_checks import PROMPTLY_S, NameLookUps, everything_closed, quiet, run, ticks
from bridge.testing.sample_deliveries import HOSTILE, NOW_MS, PARTS, SECRET_VARIABLE, detailed, sample
from bridge.testing.tested_sink import SinkUnderTest

_LIBRARIES = ("httpx", "httpcore", "asyncio")
"""Loggers of the transport's libraries; the bridge never enables their debug output."""


class SinkContract(SinkUnderTest):
    """Tests of what every sink must do. A subclass, named ``Test…``, describes its sink."""

    # Its kind and its settings

    def test_its_kind_is_registered_and_its_settings_answer_whatever_they_are_asked(self, place: str) -> None:
        assert self.type in Kinds(), f"no installed package registers {self.type!r} in mlflow_bridge.sinks"
        assert settings_faults(self.configured(place)) == []

    def test_the_same_configuration_gives_equal_settings(self, place: str) -> None:
        assert self.configured(place) == self.configured(place), "each reload would restart the daemon"

    def test_a_misspelt_key_is_an_error(self, place: str) -> None:
        with pytest.raises(ConfigurationError, match="unknown key"):
            self.configured(place, **{"mis-spelt": 1})

    def test_it_opens_nothing_before_its_first_delivery(self, place: str) -> None:
        self._built(self.configured(place), NoTransport(), self.timeout_ms)  # no event loop runs yet

        assert list(self.arrived(place)) == []

    # Deliveries

    def test_a_delivery_arrives_once_with_its_id_before_it_is_called_delivered(self, place: str) -> None:
        outcome = run(lambda: self.attempt(place, sample(7)))

        assert (outcome.verdict, outcome.reason) == (Verdict.DELIVERED, Reason.OK)
        assert list(self.arrived(place)) == [sample(7).event.id]

    def test_what_an_attempt_opened_is_closed_again(self, place: str) -> None:
        with everything_closed():
            assert run(lambda: self.attempt(place)).verdict is Verdict.DELIVERED

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
            asyncio.get_running_loop().set_default_executor(NameLookUps())
            ticking = asyncio.create_task(ticks())
            async with self.sink(place, timeout_ms=400) as (sink, _):
                outcome = await asyncio.wait_for(sink.deliver(sample()), PROMPTLY_S)
            ticking.cancel()
            return outcome, (await asyncio.gather(ticking))[0]

        count = 0
        for _ in range(5):  # on a busy machine, the loop may stop once; a blocking sink stops it every time
            outcome, count = run(beside)
            assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.TIMEOUT)
            if count > 3:
                break
        assert count > 3, "the event loop stood still: whatever blocks belongs into a thread (in_thread)"

    def test_a_cancelled_attempt_ends_at_once_and_leaves_nothing_behind(self, place: str) -> None:
        self.hang(place)

        with everything_closed():
            run(lambda: self.cancelled(place, lambda: self.is_reached(place)))

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
