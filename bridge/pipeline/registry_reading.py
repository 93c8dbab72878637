"""One read of the registry: list, verify, plan, and decide what to hold."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import uuid4

import structlog

from bridge.config import PollSettings
from bridge.delivery.event_routing import Route
from bridge.delivery.storm_guard import hold_older, hold_storm, hold_vanished
from bridge.diff.absence_verification import Absence, Answer, Listing
from bridge.diff.known_snapshot import PlainModels
from bridge.diff.malformed_rows import aside_since
from bridge.diff.model_identity_comparison import (
    find_replaced_models,
    missing_or_replaced_models,
    without_unknown_models,
)
from bridge.diff.recently_replaced_values import OVERLAP_MS, RecentlyReplacedValues
from bridge.diff.registry_abilities import Abilities
from bridge.diff.registry_changes import ChangeKind
from bridge.diff.snapshot import RegisteredModel
from bridge.errors import RegistryError, RegistryLacks, StateForeign
from bridge.events.event_synthesis import Identities
from bridge.pipeline.clocks import Clock, stamp_of
from bridge.pipeline.commit_plan import Known, Plan, plan, plan_baseline, plan_silently
from bridge.pipeline.hold_decisions import HoldDecisions, another_database
from bridge.pipeline.incremental_read import MOST_ABSENT, FullScanNeeded, Interest, Read, read_fast
from bridge.pipeline.listing_verification import ListingVerification, contradictions
from bridge.pipeline.model_scan import ModelScan, read_part
from bridge.pipeline.reading_result import Observation, Order
from bridge.pipeline.registry_clock import CLOCKS_APART_MS, Reading, registry_time
from bridge.pipeline.registry_identity import are_back, likeness_if_told
from bridge.pipeline.resumable_scan import ScanSlice
from bridge.pipeline.skipped_and_held_rows import (
    differing_rows,
    judged_head,
    new_rows,
    ownerless_versions,
    possibly_malformed_models,
    replacement_hold,
)
from bridge.pipeline.watched_models import Watch, watch_of
from bridge.registry.base import Deadline, Registry
from bridge.store.base import Basis
from bridge.store.state_metadata import Binding, Head, Stamp

log = structlog.get_logger(__name__)

_FEW_REPLACED = 5
"""If more known names than this belong to other models, a full scan has to decide what this registry is."""


_TIMES_ASKED = 2
"""How often models that read as older than known are read again: one of several answers may come from a stale copy."""


class RegistryReader:
    """Reads the registry and plans the poll. It blocks, changes nothing, and belongs in a worker thread."""

    def __init__(
        self,
        registry: Registry,
        routes: Sequence[Route],
        settings: PollSettings,
        binding: Binding,
        clock: Clock,
    ) -> None:
        """Compose a read; ``binding`` names the configured registry (without its fingerprint)."""
        self._registry = registry
        self.routes = tuple(routes)
        """The routes of the next poll."""
        self.watched: tuple[Route, ...] = ()
        """Routes of which the models are read by name as well; nothing is sent by them."""
        self._settings = settings
        self._binding = binding
        self._clock = clock
        self.under_way = Read.FULL
        """The kind of read that is running, or ran last: a fast read can turn out to need a full scan."""

    def prepare(self) -> None:
        """Prepare the client; this is never cut off.

        Raises:
            SecretUnavailable, ConfigurationError: a credential is missing.
        """
        self._registry.prepare()

    def read(
        self,
        basis: Basis,
        order: Order,
        overlooked: Mapping[str, RegisteredModel],
        deadline: Deadline,
        scan: ScanSlice,
    ) -> Observation:
        """Read once, beginning from ``basis``; a full scan continues ``scan``.

        Raises:
            RegistryError: the registry gave no usable answer.
            StateForeign: it is not the registry that the state was taken from.
        """
        self.under_way = order.read
        self._registry.odd_rows()  # discard those of an interrupted read: they are found again
        if basis.abilities is not None:
            self._registry.expect(basis.abilities)
        if order.read is Read.FAST:
            found = self._fast(basis, order, overlooked, deadline)
            if found is None and order.model_scan is not None and not order.may_scan:
                # What only a model scan found asks for a full scan only as often as the share allows.
                found = self._fast(basis, replace(order, model_scan=None), overlooked, deadline)
            if found is not None:
                return found
        self.under_way = Read.FULL
        return self._full(basis, replace(order, read=Read.FULL, only_named=False), deadline, scan)

    def _fast(
        self,
        basis: Basis,
        order: Order,
        overlooked: Mapping[str, RegisteredModel],
        deadline: Deadline,
    ) -> Observation | None:
        """Return the recent changes, or None if there are so many that a full scan is needed."""
        known, began = self._known(basis, order), stamp_of(self._clock)
        watched = Watch() if order.only_named else self._watch(known, basis)
        model_scan, listed = self._part_of_model_scan(known, order, deadline)
        missing = model_scan.missing(known.models) if model_scan else frozenset[str]()
        if len(missing) > MOST_ABSENT:
            return None
        interest = Interest(known.since, watched, order.named, order.only_named, overlooked, listed, missing)
        last = basis.last_poll
        has_vanished = last is not None and last.held_vanished
        try:
            if has_vanished and are_back(self._registry, known.models, began.wall_ms, deadline):
                return None  # the full scan lifts the hold
            reading = time.monotonic()
            listing = read_fast(self._registry, known.models, interest, deadline)
        except (FullScanNeeded, RegistryLacks):
            return None
        if len(find_replaced_models(known.models, listing).replaced) > _FEW_REPLACED:
            return None
        if model_scan is not None and listed:
            model_scan = model_scan.after(reading)  # the versions of what it listed
        if listing.models or listing.absent:
            known = self._checked(known, deadline)
        if has_vanished:
            listing = without_unknown_models(known.models, listing)
        held = frozenset(map(ChangeKind, last.held_kinds)) if last is not None else frozenset()
        found = self._conclude(known, listing, began, replace(order, held=held), deadline)
        if any(order.may_scan or not hold.is_older for hold in found.held):
            return None
        return replace(found, overlooked=overlooked, model_scan=model_scan)

    def _part_of_model_scan(
        self, known: Known, order: Order, deadline: Deadline
    ) -> tuple[ModelScan | None, dict[str, RegisteredModel]]:
        """Read a part of the model scan, if there is one; where that fails, the rest of the poll shows what is wrong."""
        if order.model_scan is None:
            return None, {}
        try:
            return read_part(self._registry, known.models, order.model_scan, deadline, order.gives_way)
        except RegistryError as error:
            log.info("model_scan.failed", error=str(error))
            return None, {}

    def _watch(self, known: Known, basis: Basis) -> Watch:
        has_names = (basis.abilities or Abilities()).has_names
        return watch_of((*self.routes, *self.watched), known.models, has_names=has_names)

    def _full(self, basis: Basis, order: Order, deadline: Deadline, scan: ScanSlice) -> Observation:
        known = self._checked(self._known(basis, order), deadline)
        progress = scan.begin(known.head, stamp_of(self._clock))
        with_facts = self._settings.first_run == "emit" or not known.is_first
        listing = self._registry.scan(known.models, deadline, with_facts=with_facts, progress=progress)
        return self._conclude(known, listing, scan.began, order, deadline)

    def _conclude(
        self,
        known: Known,
        listing: Listing,
        began: Stamp,
        order: Order,
        deadline: Deadline,
    ) -> Observation:
        ended = stamp_of(self._clock)
        decisions = HoldDecisions(order.accepted | set(known.head.accepted), is_strict=order.holds)
        listing, unasked, hidden = self._hold_vanished(known, listing, decisions)
        verification = ListingVerification(self._registry, known.models, known.since, began.wall_ms, deadline)
        answers = verification.verify(listing, unasked)
        odd_rows = self._registry.odd_rows()
        answers = {**answers, **possibly_malformed_models(known, answers, odd_rows)}
        passed = contradictions(known.models, listing, answers, known.memory, self._clock.now_ms())
        reading = Reading(listing, answers, began, ended, passed)
        reading, found = self._read_again(known, reading, order, verification)
        found, waiting = self._hold_changes(known, reading, found, order, decisions)
        if listing.is_complete:
            found = replace(found, head=judged_head(known.head, found.head, decisions))
        return Observation(
            plan=found,
            read=order.read,
            # What other models did since the last poll is still to be read.
            read_from=known.since + OVERLAP_MS
            if order.only_named
            else registry_time(found.head, began.wall_ms),
            is_first=known.is_first,
            abilities=listing.abilities,
            held=tuple(decisions.held),
            accepted=tuple(
                hold for hold in decisions.passed if hold.digest in order.accepted or not order.holds
            ),
            overlooked={**hidden, **waiting},
            odd_rows=(*odd_rows, *self._registry.odd_rows(), *ownerless_versions(listing, answers)),
        )

    def _hold_vanished(
        self, known: Known, listing: Listing, decisions: HoldDecisions
    ) -> tuple[Listing, dict[str, Answer], dict[str, RegisteredModel]]:
        """Hold back missing models; return the listing, answers that are not asked for, and held rows."""
        lost = find_replaced_models(known.models, listing).lost if listing.is_complete else []
        vanished = hold_vanished(len(known.models), lost, self._settings.max_vanished)
        if not decisions.is_held(vanished or replacement_hold(known, lost, listing)):
            return listing, {}, {}
        unasked: dict[str, Answer] = dict.fromkeys(
            missing_or_replaced_models(known.models, listing), Absence.UNKNOWN
        )
        return without_unknown_models(known.models, listing), unasked, new_rows(known, listing)

    def _read_again(
        self, known: Known, reading: Reading, order: Order, verification: ListingVerification
    ) -> tuple[Reading, Plan]:
        """Read models again that read as older than known; return the new reading and its plan."""
        found = self._plan(known, reading, order)
        for _ in range(_TIMES_ASKED if found.review.doubtful else 0):
            reading = verification.read_again(reading, found.review)
            found = self._plan(known, reading, order)
        return reading, found

    def _hold_changes(
        self, known: Known, reading: Reading, found: Plan, order: Order, decisions: HoldDecisions
    ) -> tuple[Plan, dict[str, RegisteredModel]]:
        """Return the plan without the changes that are held, and the rows that are not recorded because of that."""
        waiting: dict[str, RegisteredModel] = {}
        older = hold_older(found.review.certain)
        if older is not None and not decisions.is_held(older):
            reading = replace(reading, as_it_is=True)
            found = self._plan(known, reading, order)
        elif older is not None:
            waiting.update(differing_rows(reading, found))
        storm = hold_storm(found.routed, self._settings.max_events)
        if storm is not None and decisions.is_held(storm):
            found = plan(known, reading, self.routes, self._clock.now_ms(), order.held | storm.kinds)
            waiting.update(differing_rows(reading, found))
        return found, waiting

    def _plan(self, known: Known, reading: Reading, order: Order) -> Plan:
        if known.is_first and (order.silently or self._settings.first_run == "baseline"):
            return plan_baseline(known, reading)
        if order.silently:
            return plan_silently(known, reading, self._clock.now_ms())
        return plan(known, reading, self.routes, self._clock.now_ms(), order.held)

    def _known(self, basis: Basis, order: Order) -> Known:
        head, last = basis.head, basis.last_poll
        since = (last.read_from if last else 0) - OVERLAP_MS
        if head is None:
            bound = self._binding
            fresh = Head(str(uuid4()), self._clock.now_ms(), bound.uri, bound.workspace)
            return Known(PlainModels(), Identities(), fresh, since=since, is_first=True)
        counted = (last.models, last.versions) if last else (0, 0)
        shift = max(head.skew, -CLOCKS_APART_MS) - OVERLAP_MS  # if no rows change, they do not show its clock
        aside = {name: at + shift for name, at in aside_since(last.odd_rows if last else ()).items()}
        last_scan = basis.last_reconcile
        memory = RecentlyReplacedValues(basis.superseded, head.baseline_at, last_scan.at if last_scan else 0)
        return Known(
            basis.known, basis.identities, head, counted, memory, aside, since, hints=order.all_hints
        )

    def _checked(self, known: Known, deadline: Deadline) -> Known:
        """Check which database the registry has; store its fingerprint if none is known.

        Raises:
            StateForeign: it is another database than the one that the state was taken from.
        """
        fingerprint, head = self._registry.fingerprint(deadline), known.head
        if None not in (fingerprint, head.fingerprint) and fingerprint != head.fingerprint:
            likeness = likeness_if_told(self._registry, known.models, deadline)
            raise StateForeign(another_database(head, likeness))
        return replace(known, head=replace(head, fingerprint=head.fingerprint or fingerprint))
