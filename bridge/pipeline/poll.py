"""The poll: registry → outbox. Fetch, compare, synthesize, route, commit."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import structlog

from bridge.config import PollSettings
from bridge.delivery.entry import Entry
from bridge.delivery.guard import hold_storm, hold_vanished
from bridge.delivery.routing import Route
from bridge.diff.doubts import Answers, Listing, doubts, vanished
from bridge.errors import (
    PollHeld,
    RegistryError,
    RegistryUnreachable,
    SecretUnavailable,
    StateForeign,
)
from bridge.events.synthesis import Identities
from bridge.pipeline.clock import Clock
from bridge.pipeline.judgement import another_database, check, report_event
from bridge.pipeline.observer import Observer
from bridge.pipeline.plan import Known, Plan, plan, plan_silently
from bridge.pipeline.threads import in_thread
from bridge.registry.base import Deadline, Registry
from bridge.store.state import PollCommit, State
from bridge.store.values import Binding, Head, PollRecord

log = structlog.get_logger(__name__)

_GRACE_S = 5.0
"""How much longer than the deadline a request under way may take before it is left alone."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What was read of the registry, what was known when it was read, and what follows."""

    is_first: bool
    plan: Plan


Planner = Callable[[Known, Listing, Answers, bool], Plan]


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
        self._registry = registry
        self._state = state
        self._routes = tuple(routes)
        self._settings = settings
        self._binding = binding
        self._clock = clock
        self._observer = observer
        self._has_reported = False
        self._reading: asyncio.Task[Observation] | None = None

    async def run(self, accepted: frozenset[str] = frozenset(), within_ms: int | None = None) -> list[Entry]:
        """Poll once and commit; return the new outbox entries.

        Args:
            accepted: digests of holds that an operator lets through.
            within_ms: how long it may take, where that is less than ``poll.deadline``.

        Raises:
            RegistryError: the registry gave no usable answer; nothing changed.
            SecretUnavailable: a credential for it is not where the configuration says.
            PollHeld: the difference is too large; nothing changed.
            StateError: the state is another registry's, or cannot be written; nothing changed.
        """
        began = self._clock.monotonic()
        outcome = "failed"
        try:
            seen = await self._observe(self._announce, accepted, within_ms)
            hold = hold_storm(seen.plan.routed, self._settings.max_events)
            check(hold, accepted, seen.plan.head)
            entries = self._commit(seen.plan, self._record(seen.plan, began))
            outcome = "ok"
        except PollHeld as held:
            outcome = "held"
            self._state.record_poll(self._held(held, accepted))
            raise
        except (RegistryError, SecretUnavailable, StateForeign) as error:
            self._state.record_poll(self._failed(outcome, str(error)))
            raise
        finally:
            self._observer.poll_finished(outcome, self._clock.monotonic() - began)
        self._report(seen, entries)
        return entries

    async def preview(self) -> Plan:
        """Return what the next poll would commit. Nothing changes, and nothing is held."""
        return (await self._observe(self._announce, None)).plan

    async def rebaseline(self) -> Plan:
        """Record the registry as it is, and announce nothing; return what was recorded.

        Raises:
            RegistryError, SecretUnavailable, StateError: as `run`.
        """
        began = self._clock.monotonic()
        found = (await self._observe(self._record_silently, None)).plan
        self._commit(found, self._record(found, began))
        return found

    def _announce(self, known: Known, listing: Listing, answers: Answers, first: bool) -> Plan:  # noqa: FBT001
        if first and self._settings.first_run == "baseline":
            return self._record_silently(known, listing, answers, first)
        return plan(known, listing, answers, self._routes, self._clock.now_ms())

    def _record_silently(
        self,
        known: Known,
        listing: Listing,
        answers: Answers,
        _first: bool,  # noqa: FBT001
    ) -> Plan:
        return plan_silently(known, listing, answers, self._clock.now_ms())

    async def _observe(
        self, planner: Planner, accepted: frozenset[str] | None, within_ms: int | None = None
    ) -> Observation:
        """Read the registry and plan in a thread, within the deadline and a little grace."""
        if self._reading is not None and not self._reading.done():
            msg = "the registry is still holding up the read of an earlier poll"
            raise RegistryUnreachable(msg)
        allowed = self._settings.deadline
        deadline = Deadline.after(allowed if within_ms is None else min(within_ms, allowed))
        reading = asyncio.ensure_future(in_thread(lambda: self._read(deadline, planner, accepted)))
        reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._reading = reading
        done, _ = await asyncio.wait(
            {reading}, timeout=deadline.remaining() + (_GRACE_S if within_ms is None else 0)
        )
        if not done:
            msg = "the registry did not answer everything in time (poll.deadline, or --deadline)"
            raise RegistryUnreachable(msg)
        return reading.result()

    def _read(self, deadline: Deadline, planner: Planner, accepted: frozenset[str] | None) -> Observation:
        fingerprint = self._registry.fingerprint(deadline)
        known = self._known(fingerprint)
        listing = self._registry.scan(deadline)
        if accepted is not None:
            gone = vanished(known.snapshot, listing)
            hold = hold_vanished(len(known.snapshot), gone, self._settings.max_vanished)
            known = replace(known, head=check(hold, accepted, known.head))
        answers = self._registry.ask(doubts(known.snapshot, listing), deadline)
        first = self._state.head is None
        return Observation(first, planner(known, listing, answers, first))

    def _known(self, fingerprint: str | None) -> Known:
        head = self._state.head
        if head is None:
            binding = replace(self._binding, fingerprint=fingerprint)
            fresh = Head(str(uuid4()), self._clock.now_ms(), binding.uri, binding.workspace, fingerprint)
            return Known({}, Identities(), fresh)
        if None not in (fingerprint, head.fingerprint) and fingerprint != head.fingerprint:
            raise StateForeign(another_database(head))
        return Known(
            dict(self._state.known()),
            self._state.identities(),
            replace(head, fingerprint=head.fingerprint or fingerprint),
        )

    def _record(self, found: Plan, began: float) -> PollRecord:
        now_ms = self._clock.now_ms()
        models, versions = found.counted
        return PollRecord(
            attempted_at=now_ms,
            outcome="ok",
            succeeded_at=now_ms,
            duration_ms=round((self._clock.monotonic() - began) * 1000),
            models=models,
            versions=versions,
            events=len(found.events),
        )

    def _failed(self, outcome: str, error: str, digest: str = "") -> PollRecord:
        now_ms = self._clock.now_ms()
        before = self._state.last_poll or PollRecord(now_ms, outcome)
        return replace(before, attempted_at=now_ms, outcome=outcome, error=error, held_digest=digest)

    def _held(self, held: PollHeld, accepted: frozenset[str]) -> PollRecord:
        """Note a hold beside those already accepted, so that accepting it next lets all through."""
        return self._failed("held", str(held), "+".join(sorted({*accepted, held.digest})))

    def _commit(self, found: Plan, record: PollRecord) -> list[Entry]:
        commit = PollCommit(
            head=found.head,
            record=record,
            removed=found.removed,
            models=found.models,
            events=found.events,
            routed=found.routed,
            at=self._clock.now_ms(),
        )
        return self._state.commit_poll(commit)

    def _report(self, seen: Observation, entries: Sequence[Entry]) -> None:
        models, versions = seen.plan.counted
        if seen.is_first:
            log.info("baseline.taken", models=models, versions=versions)
        for name in seen.plan.appeared:
            log.info("model.appeared", model=name)
        for event in seen.plan.events:
            self._observer.event_observed(event.type.value)
            report_event(event)
        news = seen.plan.events or not self._has_reported
        self._has_reported = True
        report = log.info if news else log.debug
        report("poll.committed", events=len(seen.plan.events), entries=len(entries), models=models)
