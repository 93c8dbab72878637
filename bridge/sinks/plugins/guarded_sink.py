"""A package's sink, held to what sinks promise: whatever it does, an outcome comes of it, and in time.

It may raise, hang, swallow its cancellation or return anything at all: that fails its own
attempts, and neither ends the relay nor holds up another sink. What it cannot be kept from is
blocking the event loop: that is for its authors' tests (`bridge.testing`), and for the watchdog.
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
from bridge.sinks.http_common import link_of
from bridge.sinks.secret_files import SecretFiles

log = structlog.get_logger(__name__)

_SPARE_S = 1.0
"""An attempt may take so much longer than its timeout: the transport's own comes first, and says more."""

_GRACE_S = 1.0
"""How long an attempt that is to end may take for it."""

_MOST_STRAYS = 8
"""With so many attempts that do not end, none is begun."""

_LONGEST_DETAIL = 500
_LONGEST_WAIT_MS = 24 * 3_600_000


class GuardedSink:
    """`bridge.sinks.base.Sink` around one that a package makes."""

    def __init__(
        self, settings: SinkSettings, package: str, make: Callable[[], Sink], timeout_ms: int
    ) -> None:
        """Make the sink; where that fails, each attempt says so."""
        self._settings = settings
        self._package = package
        self._timeout_ms = timeout_ms
        self._files = SecretFiles(settings, timeout_ms)
        self._strays: set[asyncio.Task[Outcome]] = set()
        self.fault = ""
        """Why no sink could be made, if so."""
        try:
            self._sink: Sink | None = make()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's code may do anything
            self._sink = None
            self.fault = f"{package} cannot make the sink: {type(error).__name__}"

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Attempt ``delivery`` once, for no longer than the timeout and a moment."""
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
        if attempt.cancelled():  # by itself: nobody else did
            return self._failure("its attempt was cancelled from within")
        return self._checked(attempt.result())

    async def aclose(self) -> None:
        """Have the sink let go of what it opened, if it has an ``aclose``; for as long as an attempt may take."""
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
        except (Exception, SystemExit) as error:  # noqa: BLE001 - and its text could hold anything
            return self._failure(type(error).__name__)

    async def _end(self, attempt: asyncio.Task[Outcome]) -> None:
        """Cancel an attempt; one that does not end is left to itself, and the end of the loop waits for it no more.

        CPython, *Extending asyncio*: the loop's end cancels all tasks that are registered, and waits.
        """
        attempt.cancel()
        done, _ = await asyncio.wait({attempt}, timeout=_GRACE_S)
        if not done:
            log.error("sink.attempt_abandoned", sink=self._settings.name, package=self._package)
            asyncio._unregister_task(attempt)  # noqa: SLF001 - documented for those who end tasks their own way
            attempt._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - it was told
            self._strays.add(attempt)
            attempt.add_done_callback(self._strays.discard)

    def _failure(self, what: str) -> Outcome:
        return retryable(Reason.INTERNAL, f"a fault in {self._package}: {what}")

    def _checked(self, outcome: Outcome) -> Outcome:
        """Return the outcome as it may be kept: of the right types, bounded, and without secrets."""
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
    """Yield what is wrong with what a sink returned."""
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
    """Yield the sink's secrets as they are now."""
    for secret in settings.secrets().values():
        try:
            yield secret.read()
        except SecretUnavailable:
            continue
