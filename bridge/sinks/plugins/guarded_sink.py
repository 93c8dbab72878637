"""Guards a package's sink: every attempt ends in time, with a valid outcome.

The sink may raise, hang, ignore its cancellation or return anything. That fails its own attempts, but neither
ends the relay nor delays another sink. A sink that blocks the event loop cannot be stopped: its authors'
tests (`bridge.testing`) and the watchdog detect that.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import structlog

from bridge.config import SinkSettings
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict, retryable
from bridge.delivery.secret_masking import mask
from bridge.errors import SecretUnavailable
from bridge.sinks.base import Delivery, Sink
from bridge.sinks.http_answer_reading import link_of
from bridge.sinks.secret_files import SecretFiles

log = structlog.get_logger(__name__)

_SPARE_S = 1.0
"""How much longer than its timeout an attempt may take: the transport's own message is better."""

_GRACE_S = 1.0
"""How long a cancelled attempt may take to end."""

_MOST_STRAYS = 8
"""If this many attempts do not end, no new one is started."""

_LONGEST_DETAIL = 500
_LONGEST_WAIT_MS = 24 * 3_600_000


class GuardedSink:
    """`bridge.sinks.base.Sink` around a sink of a package."""

    def __init__(
        self, settings: SinkSettings, package: str, make: Callable[[], Sink], timeout_ms: int
    ) -> None:
        """Make the sink; if that fails, each attempt returns the fault."""
        self._settings = settings
        self._package = package
        self._timeout_ms = timeout_ms
        self._files = SecretFiles(settings, timeout_ms)
        self._strays: set[asyncio.Task[Outcome]] = set()
        self.fault = ""
        """Why the sink could not be made, if so."""
        try:
            self._sink: Sink | None = make()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - code of a third party may raise anything
            self._sink = None
            self.fault = f"{package} cannot make the sink: {type(error).__name__}"

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Attempt ``delivery`` once, for hardly longer than the timeout."""
        return await self._files.deliver(self._guarded, delivery)

    async def _guarded(self, delivery: Delivery) -> Outcome:
        if self._sink is None:
            return retryable(Reason.INTERNAL, self.fault)
        if len(self._strays) >= _MOST_STRAYS:
            return self._failure(f"{len(self._strays)} earlier attempts do not end: restart the bridge")
        attempt = asyncio.create_task(self._attempt(self._sink, delivery))
        try:
            done, _ = await asyncio.wait({attempt}, timeout=self._timeout_ms / 1000 + _SPARE_S)
        except asyncio.CancelledError:
            await self._end(attempt)
            raise
        if not done:
            await self._end(attempt)
            return retryable(Reason.TIMEOUT, f"no outcome within {self._timeout_ms / 1000:g} s: cut off")
        if attempt.cancelled():  # by its own code, not from outside
            return self._failure("its attempt was cancelled from within")
        return self._checked(attempt.result())

    async def aclose(self) -> None:
        """Close the sink if it has an ``aclose``, within the timeout of an attempt."""
        close = getattr(self._sink, "aclose", None)
        if close is None:
            return
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                await close()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - nothing depends on it
            log.warning("sink.not_closed", sink=self._settings.name, error=type(error).__name__)

    async def _attempt(self, sink: Sink, delivery: Delivery) -> Outcome:
        try:
            return await sink.deliver(delivery)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the error's text may contain secrets
            return self._failure(type(error).__name__)

    async def _end(self, attempt: asyncio.Task[Outcome]) -> None:
        """Cancel an attempt; abandon one that does not end, so that the end of the event loop does not wait for it.

        CPython, *Extending asyncio*: at its end, the loop cancels all registered tasks and waits for them.
        """
        attempt.cancel()
        done, _ = await asyncio.wait({attempt}, timeout=_GRACE_S)
        if not done:
            log.error("sink.attempt_abandoned", sink=self._settings.name, package=self._package)
            asyncio._unregister_task(attempt)  # noqa: SLF001 - documented for code that ends tasks itself
            attempt._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - already logged above
            self._strays.add(attempt)
            attempt.add_done_callback(self._strays.discard)

    def _failure(self, what: str) -> Outcome:
        return retryable(Reason.INTERNAL, f"a fault in {self._package}: {what}")

    def _checked(self, outcome: Outcome) -> Outcome:
        """Return the outcome in storable form: with the right types, bounded, and without secrets."""
        for fault in _faults(outcome):
            return self._failure(fault)
        wait = outcome.retry_after_ms
        if wait is not None:
            outcome = replace(outcome, retry_after_ms=min(max(0, wait), _LONGEST_WAIT_MS))
        if not outcome.detail and not outcome.link:
            return outcome
        secrets = tuple(_known(self._settings))
        text = "".join(char if char.isprintable() else " " for char in outcome.detail)
        detail = mask(text[:_LONGEST_DETAIL], secrets, is_cut=len(text) > _LONGEST_DETAIL)
        return replace(outcome, detail=detail, link=link_of(outcome.link, secrets))


def _faults(outcome: object) -> Iterator[str]:
    """Yield what is wrong with the value that a sink returned."""
    if not isinstance(outcome, Outcome):
        yield f"deliver returned a {type(outcome).__name__}, no outcome"
        return
    is_typed = isinstance(outcome.verdict, Verdict) and isinstance(outcome.reason, Reason)
    is_texts = isinstance(outcome.detail, str) and isinstance(outcome.link, str)
    is_numbers = type(outcome.status) in {int, type(None)} and type(outcome.retry_after_ms) in {
        int,
        type(None),
    }
    if not (is_typed and is_texts and is_numbers):
        yield "deliver returned an outcome with values of wrong types"
    elif (outcome.verdict is Verdict.DELIVERED) != (outcome.reason is Reason.OK):
        yield f"deliver returned {outcome.verdict.value!r} for the reason {outcome.reason.value!r}"


def _known(settings: SinkSettings) -> Iterator[str]:
    """Yield the sink's present secrets."""
    for secret in settings.secrets().values():
        try:
            yield secret.read()
        except SecretUnavailable:
            continue
