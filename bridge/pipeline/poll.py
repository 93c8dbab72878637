"""The poll: registry → outbox. Fetch, compare, synthesize, route, commit."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from bridge.config import PollSettings
from bridge.delivery.event_routing import Route
from bridge.delivery.model_details_by_event import models_told
from bridge.delivery.outbox_entry import Entry
from bridge.errors import BridgeError, PollHeld, ScanUnfinished, StateUnwritable
from bridge.pipeline.clocks import Clock, stamp_of
from bridge.pipeline.commit_plan import Plan
from bridge.pipeline.full_scan_interval import Cadence, is_due, is_pressing
from bridge.pipeline.hold_decisions import report_event, report_note
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.memory_release import release_memory
from bridge.pipeline.metrics_observer import Observer
from bridge.pipeline.model_scan import ModelScans
from bridge.pipeline.pending_hints import PendingHints
from bridge.pipeline.poll_governance import PollGovernance, ReadSpan
from bridge.pipeline.poll_records import (
    Span,
    doubt_notes,
    failed_record,
    hold_notes,
    odd_row_notes,
    poll_record,
    scan_record,
    standing_hold,
)
from bridge.pipeline.read_deadline import GRACE_S, BoundedReader
from bridge.pipeline.reading_result import Observation, Order
from bridge.pipeline.registry_reading import RegistryReader
from bridge.pipeline.resumable_scan import ScanSlice
from bridge.registry.base import Registry
from bridge.store.base import Basis, PollState
from bridge.store.cancellation import finish
from bridge.store.poll_commit import PollCommit
from bridge.store.state_metadata import Binding, PollRecord

if TYPE_CHECKING:
    from bridge.diff.snapshot import RegisteredModel

log = structlog.get_logger(__name__)


ModelsChanged = Callable[[Collection[str]], Awaitable[None]]
"""Is called after a commit with the names of the models that changed."""


async def _nobody(_names: Collection[str]) -> None:
    """Tell nobody of changed models."""


def _has_order(basis: Basis) -> bool:
    """Whether the registry can be read fast: it lists recent changes, and there is a baseline."""
    return basis.head is not None and (basis.abilities is None or basis.abilities.has_order)


def _is_plain(last: PollRecord | None) -> bool:
    """Whether nothing was held or in doubt, of which the next poll would have to tell again."""
    return last is not None and not last.held_digest and not last.doubted


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of a poll: new outbox entries, the hold that stands, if there is one, and how much was read.

    ``rows`` is the number of known models and versions.
    """

    entries: Sequence[Entry]
    held: PollHeld | None = None
    read: Read = Read.FULL
    rows: int = 0


class Poll:
    """Polls one registry into one state, one poll at a time."""

    def __init__(
        self,
        registry: Registry,
        state: PollState,
        routes: Sequence[Route],
        settings: PollSettings,
        binding: Binding,
        clock: Clock,
        observer: Observer,
    ) -> None:
        """Compose a poll; ``binding`` names the configured registry (without its fingerprint)."""
        self._reader = RegistryReader(registry, routes, settings, binding, clock)
        self.put_routes(routes)
        self._state = state
        self._settings = settings
        self._cadence = Cadence(settings.reconcile_interval, settings.reconcile_share)
        self._clock = clock
        self._observer = observer
        self.model_scans = ModelScans(self._cadence, clock)
        self._has_reported = False
        self._overlooked: Mapping[str, RegisteredModel] = {}
        self.hints = PendingHints()
        self.gives_way: Callable[[], bool] = _never
        """Whether a full scan has to stop between two pages, so that hints are read first; called in a thread."""
        self.models_changed: ModelsChanged = _nobody
        self.governance = PollGovernance(state)
        self._bounded = BoundedReader(self._reader, settings.deadline, clock)

    def watch(self, routes: Sequence[Route]) -> None:
        """Also read by name, at every poll, the models that these routes name; nothing is sent by them."""
        self._reader.watched = tuple(routes)

    def put_routes(self, routes: Sequence[Route]) -> None:
        """Route the events of the next commit by these routes: webhooks come and go at run time."""
        self._reader.routes = tuple(routes)
        self._sinks = frozenset(way.sink for way in routes)
        self._telling = frozenset(way.sink for way in routes if "model" in way.include)

    async def due(self) -> list[Read]:
        """Return the reads that the next poll has to make, in order; perhaps none.

        A registry that cannot list recent changes is read in full, as often as the share allows.
        """
        basis = await self._state.load_basis()
        if basis.head is None:
            return [Read.FULL]
        reads = [Read.FAST] if _has_order(basis) else []
        return [*reads, Read.FULL] if self._is_full_due(basis) else reads

    def _is_full_due(self, basis: Basis, *, is_wanted: bool = False) -> bool:
        last, head = basis.last_reconcile, basis.head
        if last is None or head is None or last.unfinished:
            return True
        pressing = is_wanted or is_pressing(head, last, basis.last_poll, basis.abilities)
        now_ms, cadence = self._clock.now_ms(), self._cadence
        lists_models = self.model_scans.are_made and cadence.has_model_scans(last, basis.last_poll, now_ms)
        spacing = cadence.spacing_ms(last, head.state_id, is_pressing=pressing, has_model_scans=lists_models)
        return is_due(last.at, spacing, now_ms)

    async def run(
        self,
        read: Read = Read.FULL,
        accepted: frozenset[str] = frozenset(),
        within_ms: int | None = None,
        *,
        afresh: bool = False,
        only_named: bool = False,
    ) -> PollResult:
        """Poll once and commit, also for the hints that wait.

        Args:
            read: how much to read.
            accepted: digests of holds that an operator accepts.
            within_ms: how long it may take, if that is less than ``poll.deadline``.
            afresh: whether a full scan starts from the beginning, instead of continuing an unfinished one.
            only_named: whether only the models that hints name are read, unless something is held or in doubt.

        Raises:
            ScanUnfinished: a full scan was read in part; the next poll continues it.
            RegistryError: the registry gave no usable answer; nothing changed.
            SecretUnavailable: a credential for the registry is missing.
            StateError: the state belongs to another registry, or cannot be written; nothing changed.
        """
        polled = await self._poll(read, accepted, within_ms, afresh=afresh, only_named=only_named)
        if polled.read is Read.FULL:
            release_memory(polled.rows)  # now that nothing refers to what was read
        return polled

    async def _poll(
        self, read: Read, accepted: frozenset[str], within_ms: int | None, *, afresh: bool, only_named: bool
    ) -> PollResult:
        basis = await self._state.load_basis()
        may_scan = self._is_full_due(basis, is_wanted=True)
        hints = self.hints.take() if read is Read.FAST or not _has_order(basis) else ()
        is_brief = only_named and bool(hints) and _is_plain(basis.last_poll)
        order = Order(
            read,
            accepted,
            may_scan=may_scan,
            hints=hints,
            since=self.hints.waiting,
            only_named=is_brief,
            model_scan=None if is_brief or read is Read.FULL else self.model_scans.next_part(basis),
            gives_way=self.gives_way,
        )
        kept = None if afresh else basis.unfinished_scan
        try:
            gives_way = self.gives_way if basis.head else _never
            is_hinted = self.hints.have_come
            began = stamp_of(self._clock)
            scan = ScanSlice(began, kept, self._state.scan_part, gives_way, has_brief_pages=is_hinted)
            return await self._run(basis, order, within_ms, scan)
        except BaseException:
            self.hints.put_back(hints)
            raise

    async def rebaseline(self, goes_on: Callable[[], None] = lambda: None) -> Plan:
        """Record the registry as it is without announcing anything; return what was recorded.

        It may take several deadlines, as long as each one brings progress; ``goes_on`` is called after each.

        Raises:
            RegistryError, SecretUnavailable, StateError: as in `run`.
        """
        watch, basis = self._watch(), await self._state.load_basis()
        seen = await self._bounded.whole(basis, Order(Read.FULL, holds=False, silently=True), goes_on)
        await self._commit(basis, seen, watch())
        return seen.plan

    async def preview(self) -> Observation:
        """Return what the next full poll would commit. Nothing is changed, and nothing is held."""
        basis = await self._state.load_basis()
        return await self._bounded.whole(basis, Order(Read.FULL, holds=False), lambda: None)

    async def standing_hold(self) -> PollHeld | None:
        """Return the hold that stands, if one does."""
        return standing_hold((await self._state.load_basis()).last_poll)

    def _watch(self) -> Callable[[], Span]:
        """Start a time measurement. It is bounded, because wall clocks jump and machines sleep."""
        began, began_ms = self._clock.monotonic(), self._clock.now_ms()
        most = self._settings.deadline + GRACE_S * 1000

        def stop() -> Span:
            taken = (self._clock.monotonic() - began) * 1000
            return Span(began_ms, self._clock.now_ms(), round(max(0, min(taken, most))))

        return stop

    async def _run(self, basis: Basis, order: Order, within_ms: int | None, scan: ScanSlice) -> PollResult:
        watch, outcome = self._watch(), "failed"
        try:
            seen = await self._bounded.read(basis, order, self._overlooked, scan, within_ms)
            record, entries = await self._commit(basis, seen, watch(), scan)
            self.model_scans.note(order.model_scan, seen.model_scan, basis)
            held = standing_hold(record)
            outcome = "held" if held else "ok"
        except StateUnwritable:
            raise  # nothing more can be recorded
        except asyncio.CancelledError:
            with suppress(StateUnwritable):
                await self._keep(scan, watch())
            raise
        except Exception as error:
            self.model_scans.note(order.model_scan, None, basis)  # what it listed may be what cannot be read
            outcome = "unfinished" if isinstance(error, ScanUnfinished) else outcome
            await self._note_failure(basis, error, watch(), scan)
            raise
        finally:
            self._observer.poll_finished(outcome, watch().duration_ms / 1000)
        self._report(seen, entries)
        return PollResult(entries, held, seen.read, record.models + record.versions)

    async def _commit(
        self, basis: Basis, seen: Observation, span: Span, scan: ScanSlice | None = None
    ) -> tuple[PollRecord, list[Entry]]:
        """Commit what was read; return the record of the poll, and its entries."""
        found, before = seen.plan, basis.last_poll
        reading = ReadSpan(span.began_ms, span.ended_ms, is_full=seen.read is Read.FULL)
        async with self._state.turn():
            # a webhook may be gone since the plan
            routed = [one for one in found.routed if one.sink in self._sinks]
            governed = await self.governance.govern(found, routed, self._reader.routes, reading)
            record = poll_record(seen, before, span)
            commit = PollCommit(
                head=found.head,
                record=record,
                removed=found.removed,
                models=found.models,
                events=governed.events,
                routed=governed.routed,
                requests=governed.requests,
                direct=governed.direct,
                at=span.ended_ms,
                unsettled=found.unsettled,
                settled=found.settled,
                notes=(
                    *found.notes,
                    *governed.notes,
                    *doubt_notes(seen, before, span.ended_ms),
                    *odd_row_notes(record, before, span.ended_ms),
                    *hold_notes(seen, standing_hold(before), span.ended_ms),
                ),
                reconciled=scan_record(
                    seen.read, span, went_well=True, spent_ms=scan.spent_ms if scan else 0
                ),
                abilities=seen.abilities,
                details=models_told(governed.routed, self._telling, found.models),
                superseded=found.superseded,
                forgotten=found.forgotten,
            )
            entries = await self._state.commit_poll(commit)
        self._overlooked = seen.overlooked
        if seen.read is Read.FULL:
            with suppress(StateUnwritable):  # the commit is done, and a leftover scan does no harm
                await self._state.keep_scan(scan.leave() if scan else None)
        for note in commit.notes:
            report_note(note)
        if commit.removed or commit.models:
            await self.models_changed({*commit.removed, *commit.models})
        return record, entries

    async def _note_failure(self, basis: Basis, error: Exception, span: Span, scan: ScanSlice) -> None:
        """Record why the poll failed; of a fault in the code, only its type.

        Once there is a baseline, an unfinished scan is not recorded as a failure: the polls beside it record
        their results.
        """
        told = str(error) if isinstance(error, BridgeError) else f"a fault: {type(error).__name__}"
        last, unfinished = basis.last_poll, isinstance(error, ScanUnfinished)
        goes_on = unfinished and basis.head is not None
        record = last if goes_on and last else failed_record(told, last, span.ended_ms)
        spent_ms = scan.spent_ms if unfinished else 0
        scanned = scan_record(
            self._reader.under_way, span, went_well=False, spent_ms=spent_ms, unfinished=unfinished
        )
        await self._state.record_poll(record, scanned)
        await self._keep(scan, span)

    async def _keep(self, scan: ScanSlice, span: Span) -> None:
        """Store what an unfinished scan has read; a cancellation waits until that is done."""
        kept = scan.keep(span.duration_ms)
        if kept is not None:
            await finish(self._state.keep_scan(kept, scan.new_parts()))

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
