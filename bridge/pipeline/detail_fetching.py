"""Fetches the details that sinks ask for (``include``) from the registry, once for each event.

This happens between claim and attempt, never before the commit: an event is safe whatever the registry
answers. Details that were read are stored; details that could not be read are requested again at the entry's
next attempt.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakValueDictionary

import structlog

from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.diff.absence_verification import Absence
from bridge.errors import BridgeError, RegistryUnreachable, StateUnwritable
from bridge.events.event import Event
from bridge.events.event_details import Include, Why, assembled, bounded, gone, merged, model_part
from bridge.pipeline.clocks import Clock
from bridge.pipeline.worker_threads import SharedCall, ThreadedCall
from bridge.registry.base import Deadline, Facts
from bridge.store.base import RelayState

log = structlog.get_logger(__name__)

_PATIENCE_MS = 10_000
"""How long the registry may take for the details of one event."""

_GRACE_S = 1.0
_RESPITE_S = 30.0
"""How long to wait after the registry gave no answer, so that many events do not each wait for it."""

_AT_A_TIME = 4


@dataclass(slots=True)
class _Found:
    """The details read so far: parts to store, and the reasons why other parts are missing for now."""

    kept: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def keep(self, part: str, answer: Mapping[str, Any] | Absence | None) -> None:
        """Take an answer; "the object no longer exists" is an answer, too."""
        if answer is Absence.UNKNOWN:
            self.missing[part] = Why.DENIED.value
        elif isinstance(answer, Absence):
            self.keep_all(gone(part))
        else:
            self.kept[part] = None if answer is None else bounded(answer)

    def keep_all(self, details: Mapping[str, Any]) -> None:
        """Take known parts, together with the reasons for parts that are gone."""
        self.kept = merged(self.kept, details)


class Enrichment:
    """Adds details to events, a few at a time."""

    def __init__(self, state: RelayState, facts: Facts, clock: Clock) -> None:
        """Read from ``facts``, and store the answers in ``state``."""
        self._state = state
        self._facts = facts
        self._clock = clock
        self._prepared = SharedCall(facts.prepare)  # never cut off: half an import stays broken
        self._places = asyncio.Semaphore(_AT_A_TIME)
        self._under_way: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._down_until = float("-inf")
        self._trouble = ""

    async def enrich(self, event: Event, include: Include) -> Event | Outcome:
        """Return ``event`` with its details, or an outcome if required details are missing."""
        lock = self._under_way.setdefault(event.id, asyncio.Lock())
        async with lock:  # an entry of another sink may be asking for the same details
            stored = await self._state.load_details(event.id)
            wanted = [part for part in include.parts if part not in stored]
            found = await self._find(event, wanted) if wanted else _Found()
            if found.kept:
                try:
                    stored = await self._state.keep_details(event.id, found.kept)
                except StateUnwritable as error:
                    return retryable(Reason.ENRICHMENT, f"what the registry told could not be kept: {error}")
        if found.missing and include.is_required:
            return retryable(Reason.ENRICHMENT, self._told(found.missing))
        return replace(event, details=assembled(include.parts, stored, found.missing))

    def _told(self, missing: Mapping[str, str]) -> str:
        parts = " and ".join(f"its {part}" for part in missing)
        if set(missing.values()) == {Why.DENIED.value}:
            return f"the registry does not let the bridge read {parts}: grant it READ, or leave it out of include"
        return f"the registry does not tell {parts}: {self._trouble}"

    async def _find(self, event: Event, wanted: Sequence[str]) -> _Found:
        found, name = _Found(), await self._state.load_model_name(event)
        if "model" in wanted:
            model = None if name is None else await self._state.load_model(name)
            found.keep_all(gone("model") if model is None else {"model": model_part(model)})
        asked = [part for part in wanted if part != "model"]
        if not asked:
            return found
        if event.model_version is None:
            found.kept |= dict.fromkeys(asked)
            return found
        if name is None:
            for part in asked:
                found.keep_all(gone(part))
            return found
        return await self._ask(found, name, event.model_version, asked)

    async def _ask(self, found: _Found, name: str, version: str, asked: Sequence[str]) -> _Found:
        """Ask the registry, unless it has failed to answer a short while ago."""
        async with self._places:
            try:
                if self._clock.monotonic() >= self._down_until:
                    await self._within_patience(found, name, version, asked)
            except (RegistryUnreachable, TimeoutError) as error:
                self._note_trouble(str(error) or "it did not answer in time", respite_s=_RESPITE_S)
            except BridgeError as error:  # an answer, but not a usable one: it may concern this event alone
                self._note_trouble(str(error))
            except Exception as error:  # noqa: BLE001 - from MLflow's client, or its handling of an unexpected answer
                self._note_trouble(f"a fault in the bridge or in MLflow's client: {type(error).__name__}")
        for part in asked:
            if part not in found.kept:
                found.missing.setdefault(part, Why.FAILED.value)
        return found

    async def _within_patience(self, found: _Found, name: str, version: str, asked: Sequence[str]) -> None:
        await self._prepared.within(_PATIENCE_MS / 1000)
        deadline = Deadline.after(_PATIENCE_MS)
        call = ThreadedCall(lambda: _read(self._facts, found, name, version, asked, deadline))
        await call.within(deadline.remaining() + _GRACE_S)

    def _note_trouble(self, trouble: str, respite_s: float = 0.0) -> None:
        self._trouble = trouble
        if respite_s:
            self._down_until = self._clock.monotonic() + respite_s
        log.warning("enrichment.failed", error=trouble, respite_s=respite_s)


def _read(
    facts: Facts, found: _Found, name: str, version: str, asked: Sequence[str], deadline: Deadline
) -> None:
    """Read the parts that are ``asked`` for, in a thread; parts read before a failure are kept."""
    told = facts.version(name, version, deadline)
    if isinstance(told, Absence):
        for part in asked:
            found.keep(part, told)
        return
    if "run" in asked:
        run_id = told["run_id"]
        found.keep("run", facts.run(run_id, deadline) if run_id else None)
    if "version" in asked:
        found.keep("version", {**told, **facts.files(name, version, deadline)})
