"""The poll: registry → outbox. Fetch, compare, synthesize, route, commit."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from bridge.config import PollSettings
from bridge.delivery.entry import Entry
from bridge.delivery.routing import Route
from bridge.errors import (
    BridgeError,
    PollHeld,
    RegistryError,
    RegistryUnreachable,
    SecretUnavailable,
    StateForeign,
)
from bridge.pipeline.cadence import Cadence, is_due
from bridge.pipeline.clock import Clock
from bridge.pipeline.judgement import report_event, report_note
from bridge.pipeline.look import Look, Observation, Order
from bridge.pipeline.memory import give_back
from bridge.pipeline.observer import Observer
from bridge.pipeline.plan import Plan
from bridge.pipeline.reads import Read
from bridge.pipeline.threads import ThreadedCall
from bridge.registry.base import Deadline, Registry
from bridge.store.commits import PollCommit
from bridge.store.state import State
from bridge.store.values import Binding, Note, PollRecord, ReconcileRecord

if TYPE_CHECKING:
    from bridge.diff.snapshot import RegisteredModel

log = structlog.get_logger(__name__)

_GRACE_S = 5.0
"""How much longer than the deadline a request under way may take before it is cut off."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What a poll came to: new outbox entries, and what of it is held back, if anything."""

    entries: Sequence[Entry]
    held: PollHeld | None = None
    read: Read = Read.FULL


class Poll:
    """One poll at a time, of one registry, into one state."""

    def __init__(
        self,
        registry: Registry,
        state: State,
        routes: Sequence[Route],
        settings: PollSettings,
        binding: Binding,
        clock: Clock,
        observer: Observer,
    ) -> None:
        """Wire a poll; ``binding`` names the configured registry (without its fingerprint)."""
        self._look = Look(registry, state, routes, settings, binding, clock)
        self._state = state
        self._settings = settings
        self._cadence = Cadence(settings.reconcile_interval, settings.reconcile_share)
        self._clock = clock
        self._observer = observer
        self._has_reported = False
        self._overlooked: Mapping[str, RegisteredModel] = {}
        self._reading: ThreadedCall[Observation] | None = None

    def due(self) -> list[Read]:
        """Return what the next poll has to read, one after the other; perhaps nothing.

        A registry that does not say what changed last is read in full, as often as the share allows.
        """
        if self._state.head is None:
            return [Read.FULL]
        reads = [Read.FAST] if self._has_order() else []
        return [*reads, Read.FULL] if self._is_full_due() else reads

    def _has_order(self) -> bool:
        abilities = self._state.abilities
        return abilities is None or abilities.has_order

    def _is_full_due(self) -> bool:
        last, head = self._state.last_reconcile, self._state.head
        if last is None or head is None:
            return True
        is_pressing = not self._has_order() or self._standing_hold() is not None
        spacing = self._cadence.spacing_ms(last, head.state_id, is_pressing=is_pressing)
        return is_due(last, spacing, self._clock.now_ms())

    async def run(
        self,
        read: Read = Read.FULL,
        accepted: frozenset[str] = frozenset(),
        within_ms: int | None = None,
    ) -> Polled:
        """Poll once and commit.

        Args:
            read: how much to read.
            accepted: digests of holds that an operator lets through.
            within_ms: how long it may take, where that is less than ``poll.deadline``.

        Raises:
            RegistryError: the registry gave no usable answer; nothing changed.
            SecretUnavailable: a credential for it is not where the configuration says.
            StateError: the state is another registry's, or cannot be written; nothing changed.
        """
        polled = await self._run(Order(read, accepted), within_ms)
        if polled.read is Read.FULL:
            give_back()  # now that nothing refers to what was read
        return polled

    async def rebaseline(self) -> Plan:
        """Record the registry as it is, and announce nothing; return what was recorded.

        Raises:
            RegistryError, SecretUnavailable, StateError: as `run`.
        """
        began_ms = self._clock.now_ms()
        seen = await self._observe(Order(Read.FULL, holds=False, silently=True), None)
        self._commit(seen, began_ms)
        return seen.plan

    async def preview(self) -> Observation:
        """Return what the next full poll would commit. Nothing changes, and nothing is held back."""
        return await self._observe(Order(Read.FULL, holds=False), None)

    async def _run(self, order: Order, within_ms: int | None) -> Polled:
        began, began_ms = self._clock.monotonic(), self._clock.now_ms()
        outcome = "failed"
        try:
            seen = await self._observe(order, within_ms)
            entries = self._commit(seen, began_ms)
            held = self._standing_hold()
            outcome = "held" if held else "ok"
        except (RegistryError, SecretUnavailable, StateForeign) as error:
            self._note_failure(error, order.read, began_ms)
            raise
        finally:
            self._observer.poll_finished(outcome, self._clock.monotonic() - began)
        self._report(seen, entries)
        return Polled(entries, held, seen.read)

    async def _observe(self, order: Order, within_ms: int | None) -> Observation:
        """Look in a thread, within the deadline and a little grace; then cut it off."""
        if self._reading is not None and self._reading.is_running():
            msg = "the registry is still holding up the read of an earlier poll"
            raise RegistryUnreachable(msg)
        allowed = self._settings.deadline
        deadline = Deadline.after(allowed if within_ms is None else min(within_ms, allowed))
        self._reading = ThreadedCall(lambda: self._look.take(order, self._overlooked, deadline))
        grace = _GRACE_S if within_ms is None else 0
        done, _ = await asyncio.wait({self._reading.result}, timeout=deadline.remaining() + grace)
        if not done:
            self._reading.cut_off()
            msg = "the registry did not answer everything in time (poll.deadline, or --deadline)"
            raise RegistryUnreachable(msg)
        reading, self._reading = self._reading, None
        return reading.result.result()

    def _standing_hold(self) -> PollHeld | None:
        last = self._state.last_poll
        return PollHeld(last.held, last.held_digest) if last and last.held_digest else None

    def _commit(self, seen: Observation, began_ms: int) -> list[Entry]:
        now_ms, found = self._clock.now_ms(), seen.plan
        record = self._record(seen, began_ms, now_ms)
        commit = PollCommit(
            head=found.head,
            record=record,
            removed=found.removed,
            models=found.models,
            events=found.events,
            routed=found.routed,
            at=now_ms,
            unsettled=found.unsettled,
            settled=found.settled,
            notes=(*found.notes, *self._news(seen, now_ms)),
            reconciled=ReconcileRecord(began_ms, now_ms - began_ms, went_well=True)
            if seen.read is Read.FULL
            else None,
            abilities=seen.abilities,
        )
        entries = self._state.commit_poll(commit)
        self._overlooked = seen.overlooked
        for note in commit.notes:
            report_note(note)
        return entries

    def _news(self, seen: Observation, now_ms: int) -> Iterator[Note]:
        """Yield what is new about holds; only a full scan can tell that one is no more."""
        before = self._standing_hold()
        known = before.digest.split("+") if before else []
        yield from (Note(now_ms, "accepted", detail=hold.message) for hold in seen.accepted)
        yield from (
            Note(now_ms, "held", detail=hold.message) for hold in seen.held if hold.digest not in known
        )
        if before and seen.read is Read.FULL and not seen.held and not seen.accepted:
            yield Note(now_ms, "lifted", detail=str(before))

    def _record(self, seen: Observation, began_ms: int, now_ms: int) -> PollRecord:
        """Note how the poll went. A hold stands until a full scan finds nothing to hold."""
        before = self._state.last_poll
        held, digest = "; ".join(hold.message for hold in seen.held), "+".join(h.digest for h in seen.held)
        if seen.read is Read.FAST and before is not None:
            held, digest = before.held, before.held_digest
        models, versions = seen.plan.counted
        return PollRecord(
            attempted_at=now_ms,
            outcome="held" if held else "ok",
            succeeded_at=now_ms,
            duration_ms=now_ms - began_ms,
            models=models,
            versions=versions,
            events=len(seen.plan.events),
            held=held,
            held_digest=digest,
            kind=seen.read.value,
            read_from=seen.read_from,
        )

    def _note_failure(self, error: BridgeError, read: Read, began_ms: int) -> None:
        now_ms = self._clock.now_ms()
        before = self._state.last_poll or PollRecord(now_ms, "failed")
        record = replace(before, attempted_at=now_ms, outcome="failed", error=str(error))
        scan = ReconcileRecord(began_ms, now_ms - began_ms, went_well=False) if read is Read.FULL else None
        self._state.record_poll(record, scan)

    def _report(self, seen: Observation, entries: Sequence[Entry]) -> None:
        models, versions = seen.plan.counted
        if seen.is_first:
            log.info("baseline.taken", models=models, versions=versions)
        for event in seen.plan.events:
            self._observer.event_observed(event.type.value)
            report_event(event)
        news = seen.plan.events or not self._has_reported
        self._has_reported = True
        report = log.info if news else log.debug
        report(
            "poll.committed",
            events=len(seen.plan.events),
            entries=len(entries),
            models=models,
            read=seen.read.value,
        )
