"""The base of the contract tests: builds the sink under test, and runs attempts with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from bridge.config import Access, SinkSettings, build
from bridge.delivery.attempt_outcome import Outcome
from bridge.events.event_names import EVENT_NAMES
from bridge.sinks.base import Delivery, Sink, Transport
from bridge.sinks.sink_type_table import Kinds
from bridge.sinks.transport.client_cache import LazyTransport
from bridge.sinks.transport.exchange_recorder import RecordingTransport
from bridge.testing.resource_leak_checks import PROMPTLY_S, assert_quiet, quiet
from bridge.testing.sample_deliveries import SECRET_VARIABLE, sample

_HANGS_S = 0.1
"""An attempt that has not ended after so many seconds hangs."""


class SinkUnderTest:
    """The description of a sink by its test class, and helpers for the tests.

    Attributes:
        type: the registered name of the sink type.
        secret: the value of the secret at `SECRET_PLACE`; to be set if the sink needs a particular form.
        events: the names of the events that the sink can deliver.
        timeout_ms: the timeout of an attempt in milliseconds, except in tests of the timeout.
    """

    type: ClassVar[str]
    secret: ClassVar[str] = "s3cret-Token/+="
    events: ClassVar[Sequence[str]] = tuple(EVENT_NAMES)
    timeout_ms: ClassVar[int] = 20_000

    def settings(self, place: str) -> Mapping[str, Any]:
        """Return the keys of a configuration that delivers to ``place``, without ``name`` and ``type``.

        Secrets must be `SECRET_PLACE`. ``place`` is the path of an empty folder; for HTTP, the receiver's URL.
        """
        raise NotImplementedError

    def arrived(self, place: str) -> Sequence[str]:
        """Return the ids of the events that arrived at ``place``, in order of arrival."""
        raise NotImplementedError

    def break_down(self, place: str) -> None:
        """Make the receiver at ``place`` fail from now on."""
        pytest.skip(f"{type(self).__name__}.break_down does not say how {place} can fail")

    def hang(self, place: str) -> None:
        """Make the receiver at ``place`` hang from now on."""
        pytest.skip(f"{type(self).__name__}.hang does not say how {place} can hang")

    def is_reached(self, _place: str) -> bool:
        """Whether an attempt has reached the receiver; True if that cannot be determined."""
        return True

    @pytest.fixture
    def place(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        """The place that the sink under test delivers to."""
        yield str(tmp_path_factory.mktemp("place"))  # noqa: PT022 - an override may need a teardown

    @pytest.fixture(autouse=True)
    def _secret_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(SECRET_VARIABLE, self.secret)

    # Helpers for tests

    def configured(self, place: str, **more: Any) -> SinkSettings:
        """Return the settings as they would be read from a configuration file."""
        table = {"name": "ci", "type": self.type, **self.settings(place), **more}
        return build({"registry": {"tracking_uri": "http://r"}, "sinks": [table]}, Kinds()).sinks[0]

    @asynccontextmanager
    async def sink(
        self, place: str, *, timeout_ms: int | None = None, access: Access | None = None, **more: Any
    ) -> AsyncIterator[tuple[Sink, RecordingTransport]]:
        """Yield the sink, without the guard that the bridge wraps around it, and its recording transport."""
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
        """Make one attempt and return its outcome; no task may be left afterwards."""
        async with self.sink(place, **more) as (sink, _):
            return await quiet(sink.deliver(delivery or sample()))

    async def cancelled(self, place: str, is_reached: Callable[[], bool]) -> None:
        """Cancel a hanging attempt once it has reached the receiver; it must end, and leave no task behind."""
        async with self.sink(place, timeout_ms=60_000) as (sink, _):
            attempt = asyncio.ensure_future(sink.deliver(sample()))
            while not (is_reached() or attempt.done()):
                await asyncio.wait({attempt}, timeout=0.01)
            await asyncio.wait({attempt}, timeout=_HANGS_S)
            assert not attempt.done(), f"it does not hang: {attempt}"
            attempt.cancel()
            done, _ = await asyncio.wait({attempt}, timeout=PROMPTLY_S)
            assert done, "a cancelled attempt has to end"
            assert attempt.cancelled(), "a cancelled attempt has to raise CancelledError"
            assert_quiet()
