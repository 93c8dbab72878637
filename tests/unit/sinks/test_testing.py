"""The contract that authors run finds each fault that it is there to find."""

import asyncio
import inspect
import logging
import time
import urllib.request
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from support.receiver import Receiver

from bridge.delivery.attempt_outcome import Reason, Verdict, delivered, rejected, retryable
from bridge.testing import HttpSinkContract
from bridge.testing.sample_deliveries import SECRET_PLACE, SECRET_VARIABLE


class Faulty:
    """Around a sink that has no fault; each subclass has one."""

    def __init__(self, sink, transport) -> None:
        self.sink = sink
        self.transport = transport
        self.kept = []

    async def deliver(self, delivery):
        return await self.sink.deliver(delivery)


class SendsTwice(Faulty):
    async def deliver(self, delivery):
        await self.sink.deliver(delivery)
        return await self.sink.deliver(delivery)


class TriesAgain(Faulty):
    async def deliver(self, delivery):
        outcome = await self.sink.deliver(delivery)
        return outcome if outcome.verdict is Verdict.DELIVERED else await self.sink.deliver(delivery)


class Buffers(Faulty):
    async def deliver(self, delivery):
        self.kept.append(delivery)
        return delivered(204)


class SendsInTheBackground(Faulty):
    async def deliver(self, delivery):
        self.kept.append(asyncio.ensure_future(self.sink.deliver(delivery)))
        return delivered(204)


class Reorders(Faulty):
    async def deliver(self, delivery):
        self.kept.append(delivery)
        if len(self.kept) == 2:
            await self.sink.deliver(self.kept.pop())
            await self.sink.deliver(self.kept.pop())
        return delivered(204)


class MakesUpIds(Faulty):
    async def deliver(self, delivery):
        event = replace(delivery.event, id=f"{delivery.event.id}-{delivery.now_ms}")
        return await self.sink.deliver(replace(delivery, event=event))


class SwallowsItsCancellation(Faulty):
    async def deliver(self, delivery):
        try:
            return await self.sink.deliver(delivery)
        except asyncio.CancelledError:
            return retryable(Reason.TIMEOUT)


class LeavesATaskBehind(Faulty):
    async def deliver(self, delivery):
        return await asyncio.shield(self.sink.deliver(delivery))


class LeavesAConnectionOpen(Faulty):
    async def deliver(self, delivery):
        url = urlsplit(self.sink._settings.url)
        await asyncio.open_connection(url.hostname, url.port)
        return await self.sink.deliver(delivery)


class LeavesOneOpenWhenCancelled(LeavesAConnectionOpen):
    pass


class BlocksTheLoop(Faulty):
    async def deliver(self, delivery):
        time.sleep(0.5)  # noqa: ASYNC251 - that is the fault
        return retryable(Reason.TIMEOUT)


class TakesTheLoopsThreads(Faulty):
    async def deliver(self, delivery):
        await asyncio.to_thread(time.sleep, 0.1)
        return retryable(Reason.TIMEOUT)


class GoesItsOwnWay(Faulty):
    async def deliver(self, delivery):
        def post() -> None:
            headers = {"X-MLflow-Delivery-Id": delivery.event.id}
            url = self.sink._settings.url
            with urllib.request.urlopen(urllib.request.Request(url, b"{}", headers)) as answer:
                answer.read()

        await asyncio.to_thread(post)
        return delivered(204)


class JudgesForItself(Faulty):
    async def deliver(self, delivery):
        outcome = await self.sink.deliver(delivery)
        return rejected(Reason.REFUSED, "", 401) if outcome.status == 401 else outcome


class Hurries(Faulty):
    async def deliver(self, delivery):
        return replace(await self.sink.deliver(delivery), retry_after_ms=None)


class TellsItsSecret(Faulty):
    async def deliver(self, delivery):
        outcome = await self.sink.deliver(delivery)
        return replace(outcome, detail=self.sink._settings.secret.read())


class LogsItsSecret(Faulty):
    async def deliver(self, delivery):
        logging.getLogger("acme").debug("with %s", self.sink._settings.secret.read())
        return await self.sink.deliver(delivery)


class PrintsItsSecret(Faulty):
    async def deliver(self, delivery):
        print(self.sink._settings.secret.read())  # noqa: T201 - that is the fault
        return await self.sink.deliver(delivery)


class NamesNoSecret(Faulty):
    def __init__(self, sink, transport) -> None:
        super().__init__(sink, transport)
        sink._transport = self

    async def post(self, request):
        return await self.transport.post(replace(request, secrets=()))


class Chokes(Faulty):
    async def deliver(self, delivery):
        delivery.event.model_name.encode()
        return await self.sink.deliver(delivery)


class Raises(Faulty):
    async def deliver(self, delivery):
        outcome = await self.sink.deliver(delivery)
        if outcome.verdict is not Verdict.DELIVERED:
            raise ConnectionError(outcome.detail)
        return outcome


class RejectsForGood(Faulty):
    async def deliver(self, delivery):
        outcome = await self.sink.deliver(delivery)
        return rejected(outcome.reason, outcome.detail) if outcome.reason is Reason.SECRET else outcome


class SaysNothing(Faulty):
    async def deliver(self, delivery):
        await self.sink.deliver(delivery)


FAULTS = {
    SendsTwice: "test_an_attempt_is_one_request_through_the_transport_with_its_timeout",
    TriesAgain: "test_each_status_means_what_it_means_to_every_sink_after_one_request",
    Buffers: "test_a_delivery_arrives_once_with_its_id_before_it_is_called_delivered",
    SendsInTheBackground: "test_a_delivery_arrives_once_with_its_id_before_it_is_called_delivered",
    Reorders: "test_deliveries_arrive_in_the_order_in_which_they_were_made",
    MakesUpIds: "test_each_attempt_carries_the_same_id",
    SwallowsItsCancellation: "test_a_cancelled_attempt_ends_at_once_and_leaves_nothing_behind",
    LeavesATaskBehind: "test_a_cancelled_attempt_ends_at_once_and_leaves_nothing_behind",
    LeavesAConnectionOpen: "test_what_an_attempt_opened_is_closed_again",
    LeavesOneOpenWhenCancelled: "test_a_cancelled_attempt_ends_at_once_and_leaves_nothing_behind",
    BlocksTheLoop: "test_what_hangs_is_given_up_in_time_while_the_loop_goes_on",
    TakesTheLoopsThreads: "test_what_hangs_is_given_up_in_time_while_the_loop_goes_on",
    GoesItsOwnWay: "test_an_attempt_is_one_request_through_the_transport_with_its_timeout",
    JudgesForItself: "test_each_status_means_what_it_means_to_every_sink_after_one_request",
    Hurries: "test_a_receiver_is_left_alone_for_as_long_as_it_asks",
    TellsItsSecret: "test_no_secret_shows_in_outcomes_logs_output_or_settings",
    LogsItsSecret: "test_no_secret_shows_in_outcomes_logs_output_or_settings",
    PrintsItsSecret: "test_no_secret_shows_in_outcomes_logs_output_or_settings",
    NamesNoSecret: "test_a_secret_that_the_receiver_echoes_is_masked",
    Chokes: "test_whatever_a_registry_holds_is_delivered_or_refused_and_never_raises",
    Raises: "test_what_fails_for_now_is_worth_another_try_and_says_why",
    RejectsForGood: "test_a_missing_secret_is_worth_another_try_and_names_its_key",
    SaysNothing: "test_every_event_is_delivered",
}


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


class Harness:
    """Runs one of the contract's tests, as pytest would."""

    def __init__(self, receiver, monkeypatch, caplog, capfd) -> None:
        self.receiver = receiver
        self.known = {
            "place": receiver.url,
            "monkeypatch": monkeypatch,
            "caplog": caplog,
            "capfd": capfd,
            "asked": "7",
            "wait_ms": 7_000,
        }

    def run(self, test: str, fault=None) -> None:
        class Contract(HttpSinkContract):
            type = "http"

            def settings(self, place):
                return {"url": f"{place}/hook", "secret": SECRET_PLACE, "bearer": SECRET_PLACE}

            def _built(self, settings, way, timeout_ms):
                sink = super()._built(settings, way, timeout_ms)
                return fault(sink, way) if fault else sink

        contract = Contract()
        contract.receiver = self.receiver
        self.known["monkeypatch"].setenv(SECRET_VARIABLE, contract.secret)
        method = getattr(contract, test)
        method(**{one: self.known[one] for one in inspect.signature(method).parameters})


@pytest.fixture
def harness(receiver, monkeypatch, caplog, capfd) -> Harness:
    return Harness(receiver, monkeypatch, caplog, capfd)


@pytest.mark.parametrize(("fault", "test"), FAULTS.items(), ids=[fault.__name__ for fault in FAULTS])
def test_a_fault_fails_the_test_that_is_there_to_find_it(fault, test, harness) -> None:
    with pytest.raises((AssertionError, ConnectionError, UnicodeEncodeError)):
        harness.run(test, fault)


@pytest.mark.parametrize("test", sorted(set(FAULTS.values())))
def test_without_a_fault_it_passes(test, harness) -> None:
    harness.run(test)
