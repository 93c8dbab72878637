"""The contract tests for sinks that send HTTP, against real sockets."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

import pytest

from bridge.config import Access
from bridge.delivery.allowed_destinations import Targets
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.sinks.transport.exchange_recorder import NoTransport, RecordingTransport
from bridge.testing.http_statuses import STATUSES
from bridge.testing.receiver import Answer, Got, RawReceiver, Receiver, free_port
from bridge.testing.resource_leak_checks import run
from bridge.testing.sample_deliveries import sample
from bridge.testing.sink_contract import SinkContract

_LONG_S = 60.0
_NEVER = {
    "before it answers": b"",
    "in a header": b"HTTP/1.1 200 OK\r\nX: ",
    "in the body": b"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nhalf",
}


class HttpSinkContract(SinkContract):
    """Adds the tests for sinks that send HTTP. A subclass gives the settings of its sink only.

    Attributes:
        answers: statuses whose meaning differs from the common one, according to the receiver's documentation.
        success: the receiver's answer to an accepted delivery.
    """

    success: ClassVar[Answer] = Answer(204)
    answers: ClassVar[Mapping[int, tuple[Verdict, Reason]]] = {}
    receiver: Receiver

    def id_of(self, got: Got) -> str:
        """Return the event's id in a request: from `DELIVERY_ID_HEADER`, unless a subclass overrides this."""
        return got.delivery_id

    def arrived(self, _place: str) -> Sequence[str]:
        """Return the ids of the requests that the receiver got."""
        return [self.id_of(got) for got in self.receiver.got]

    def break_down(self, _place: str) -> None:
        """Make the receiver answer 503."""
        self.receiver.answer = Answer(503)

    def hang(self, _place: str) -> None:
        """Make the receiver answer after a minute."""
        self.receiver.answer = Answer(delay=_LONG_S)

    def is_reached(self, _place: str) -> bool:
        """Whether the receiver has read a request."""
        return self.receiver.came > 0

    @pytest.fixture
    def place(self) -> Iterator[str]:
        """The URL of a real receiver on loopback, which is ``self.receiver``."""
        self.receiver = Receiver(self.success)
        yield self.receiver.url
        self.receiver.stop()

    # One request, through the transport only

    def test_an_attempt_is_one_request_through_the_transport_with_its_timeout(self, place: str) -> None:
        async def attempt() -> RecordingTransport:
            async with self.sink(place, timeout_ms=9_000) as (sink, way):
                await sink.deliver(sample())
                return way

        exchanges = run(attempt).exchanges
        assert len(exchanges) == 1, "an attempt is one request, by the transport that the sink is given"
        assert self.receiver.came == 1, "what goes another way knows no allowed_hosts and no tls"
        assert exchanges[0].request.timeout_ms <= 9_000

    def test_a_dry_run_shows_the_request_and_sends_nothing(self, place: str) -> None:
        recording = RecordingTransport(NoTransport())
        sink = self._built(self.configured(place), recording, self.timeout_ms)

        run(lambda: sink.deliver(sample()))

        assert (len(recording.exchanges), self.receiver.came) == (1, 0)

    def test_it_connects_to_nothing_that_allowed_hosts_leaves_out(self, place: str) -> None:
        elsewhere = Access(targets=Targets.of(["10.0.0.0/8"]), hosts_key="sinks.ci.allowed_hosts")

        outcome = run(lambda: self.attempt(place, access=elsewhere))

        assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
        assert ("sinks.ci.allowed_hosts" in outcome.detail, self.receiver.came) == (True, 0)

    def test_its_origin_is_told_with_scheme_host_and_port(self) -> None:
        assert self.configured("https://[::1]:8443").origin().startswith("https://[::1]:8443")

    # Answers

    def test_each_status_means_what_it_means_to_every_sink_after_one_request(self, place: str) -> None:
        found = self._outcomes(place, [Answer(one, {"Location": f"{place}/moved"}) for one in STATUSES])

        assert {
            status: (outcome.verdict, outcome.reason, outcome.status)
            for status, outcome in zip(STATUSES, found, strict=True)
        } == {status: (*meaning, status) for status, meaning in {**STATUSES, **self.answers}.items()}
        assert self.receiver.came == len(STATUSES)

    @pytest.mark.parametrize(
        ("asked", "wait_ms"),
        [("7", 7_000), ("Tue, 14 Nov 2023 22:14:00 GMT", 39_500), ("9" * 20, 86_400_000)],
    )
    def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
        self, asked: str, wait_ms: int, place: str
    ) -> None:
        meanings = {**STATUSES, **self.answers}
        asking = [status for status, (verdict, _) in meanings.items() if verdict is Verdict.RETRYABLE]

        found = self._outcomes(place, [Answer(status, {"Retry-After": asked}) for status in asking])

        waits = {status: outcome.retry_after_ms for status, outcome in zip(asking, found, strict=True)}
        assert waits == dict.fromkeys(asking, wait_ms)

    def _outcomes(self, place: str, answers: Sequence[Answer]) -> list[Outcome]:
        """Make one attempt for each of the receiver's answers, and return the outcomes."""
        coming = iter(answers)
        self.receiver.answer = lambda _: next(coming)

        async def each() -> list[Outcome]:
            async with self.sink(place) as (sink, _):
                return [await sink.deliver(sample()) for _ in answers]

        return run(each)

    def test_after_a_failure_it_delivers_again(self, place: str) -> None:
        found = self._outcomes(place, [Answer(500), Answer(302, {"Location": "/"}), self.success])

        assert [one.verdict for one in found] == [Verdict.RETRYABLE, Verdict.RETRYABLE, Verdict.DELIVERED]

    def test_a_secret_that_the_receiver_echoes_is_masked(self, place: str) -> None:
        if not self.configured(place).secrets():
            pytest.skip(f"{self.type} has no secret")
        said = [(status, text) for status in (400, 401, 404, 429, 500) for text in _spellings(self.secret)]

        found = self._outcomes(
            place, [Answer(status, {"X": text}, f"you sent {text}!".encode()) for status, text in said]
        )

        for (status, text), outcome in zip(said, found, strict=True):
            assert (self.secret in repr(outcome), text in repr(outcome)) == (False, False), status
            assert "you sent ***" in outcome.detail, f"{status}: what a receiver says has to show (answered)"

    @pytest.mark.parametrize(
        ("answer", "how", "reason"),
        [
            (b"", {"hang": _LONG_S}, Reason.TIMEOUT),
            (b"HTTP/1.1 200 OK\r\n", {"drip": 0.1}, Reason.TIMEOUT),
            (b"", {}, Reason.PROTOCOL),
            (b"", {"reset": True}, Reason.PROTOCOL),
            (b"SSH-2.0-OpenSSH\r\n", {}, Reason.PROTOCOL),
            (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, {}, Reason.PROTOCOL),
        ],
        ids=["hangs", "trickles", "closes", "resets", "no http", "endless header"],
    )
    def test_a_broken_answer_is_worth_another_try_within_the_timeout(
        self, answer: bytes, how: dict[str, Any], reason: Reason
    ) -> None:
        receiver = RawReceiver(answer, **how)
        timeout_ms = 300 if reason is Reason.TIMEOUT else self.timeout_ms

        outcome = run(lambda: self.attempt(receiver.url.rstrip("/"), timeout_ms=timeout_ms))

        receiver.stop()
        assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, reason)

    @pytest.mark.parametrize(
        "rest", [b"Content-Length: 99\r\n\r\nshort", b"Transfer-Encoding: chunked\r\n\r\nzz"]
    )
    def test_a_success_whose_body_breaks_off_is_a_success(self, rest: bytes) -> None:
        receiver = RawReceiver(f"HTTP/1.1 {self.success.status} OK\r\n".encode() + rest)

        outcome = run(lambda: self.attempt(receiver.url.rstrip("/")))

        receiver.stop()
        assert outcome.verdict is Verdict.DELIVERED

    def test_a_receiver_that_is_not_there_is_worth_another_try(self) -> None:
        outcome = run(lambda: self.attempt(f"http://127.0.0.1:{free_port()}"))

        assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.CONNECT)

    def test_a_connection_that_cannot_be_trusted_is_worth_another_try(self) -> None:
        receiver = RawReceiver(b"HTTP/1.1 200 OK\r\n\r\n")

        outcome = run(lambda: self.attempt(receiver.url.replace("http:", "https:").rstrip("/")))

        receiver.stop()
        assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.TLS)

    # Cancellation

    @pytest.mark.parametrize("said", _NEVER.values(), ids=list(_NEVER))
    def test_a_cancelled_attempt_closes_its_connection(self, said: bytes) -> None:
        receiver = RawReceiver(said, hang=_LONG_S)

        async def cancelled() -> None:
            await self.cancelled(receiver.url.rstrip("/"), receiver.reached.is_set)
            assert await asyncio.to_thread(receiver.left.wait, 10.0), "the connection is still open"

        run(cancelled)
        receiver.stop()

    def test_after_a_cancelled_attempt_the_next_is_made_as_ever(self, place: str) -> None:
        self.hang(place)

        async def cancelled_then_again() -> Outcome:
            async with self.sink(place) as (sink, _):
                given_up = asyncio.ensure_future(sink.deliver(sample(1)))
                while not self.receiver.came:
                    await asyncio.wait({given_up}, timeout=0.01)
                given_up.cancel()
                await asyncio.wait({given_up})
                self.receiver.answer = self.success
                return await sink.deliver(sample(2))

        assert run(cancelled_then_again).verdict is Verdict.DELIVERED
        assert self.receiver.came == 2


def _spellings(secret: str) -> list[str]:
    """Return the spellings in which receivers may echo a secret."""
    return [secret, quote(secret, safe=""), json.dumps(secret)[1:-1], b64encode(secret.encode()).decode()]
