"""The bridge's poll over a registry double, watched: whatever it tells is checked at once."""

import asyncio
from collections import Counter
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from typing import Self
from unittest.mock import patch

from structlog.testing import capture_logs

from bridge.config import PollSettings
from bridge.delivery.event_routing import Route
from bridge.diff.registry_changes import Change
from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.snapshot_comparison import ModelDifference, compare
from bridge.errors import RegistryUnreachable
from bridge.pipeline.incremental_read import MOST_ABSENT, Read
from bridge.pipeline.metrics_observer import NullObserver
from bridge.pipeline.poll import Poll, PollResult
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.state_metadata import Binding
from support.apply import observable
from support.clock import HandClock
from support.ledger import Ledger
from support.paging_client import PagingClient, greeted_by, reader_of
from support.paging_mutations import Mutation
from support.paging_registry import PagingRegistry

WATCH = Route("watch", tuple(kind.value for kind in K), ("a", "e*"))


class WatchedBridge:
    """A registry, a state, and a poll between them; ``ahead_ms`` is how wrong our clock is."""

    def __init__(
        self,
        page: int = 2,
        ahead_ms: int = 0,
        routes: tuple[Route, ...] = (),
        client: type[PagingClient] = PagingClient,
        *,
        lists_models: bool = False,
        **settings,
    ) -> None:
        self.clock = HandClock()
        self.ahead_ms = ahead_ms
        self.registry = PagingRegistry(lambda: self.clock.now_ms() + ahead_ms)
        self.client = client(self.registry, page)
        self.documents = MemoryDocuments()
        every = (Route("all", tuple(K)), Route("ci", (K.TRANSITIONED.value,)))
        self.routes = (*every, *routes)
        self.settings = PollSettings(**settings)
        self.lists_models = lists_models
        self.ledger: Ledger | None = None
        self.is_disturbed = False
        self.is_sound = True
        self._differences: list[ModelDifference] = []
        self._stack = ExitStack()
        self._stack.enter_context(capture_logs())
        self._stack.enter_context(greeted_by(self.client))
        self._stack.enter_context(patch("bridge.pipeline.commit_plan.compare", self._compare))
        if not routes:  # else so few models would all be watched, for whoever asks for everything
            self._stack.enter_context(patch("bridge.pipeline.watched_models.MOST_UNNAMED", 0))
        self._stack.enter_context(patch("bridge.pipeline.model_scan.PART_S", -1))  # one page at each poll
        self._runner = self._stack.enter_context(asyncio.Runner())
        self.restart()

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception) -> None:
        self.close()

    def _compare(self, *arguments) -> list[ModelDifference]:
        self._differences = compare(*arguments)
        return self._differences

    def restart(self) -> None:
        self.state = DocumentState(self.documents)
        registry, binding = reader_of(self.client), Binding("http://registry")
        self.poll = Poll(
            registry, self.state, self.routes, self.settings, binding, self.clock, NullObserver()
        )
        if self.lists_models:  # as in a large registry, and at every poll
            self.poll.model_scans.are_made = True
            self.poll.model_scans._are_needed = lambda basis: basis.head is not None
            self.poll.model_scans._is_due = lambda _basis: True

    def mutate(self, mutation: Mutation, *, late: bool = False, back: int = 0) -> None:
        """Change the registry: now, or as a transaction that began now and ends later."""
        call = mutation.call(self.registry.models)
        if call is None:
            return
        method, *arguments = call
        if method == "rename_registered_model" and self._is_hidden(call[1]):
            return  # nobody can tell that from a deletion
        if late:
            self.registry.begin(method, *arguments)
            return
        self.registry.back = back
        getattr(self.registry, method)(*arguments)
        self.registry.back = 0

    def _is_hidden(self, name: str) -> bool:
        return self.registry.rows[name].uid in self.registry.hidden

    def revoke(self, name: str) -> None:
        """Hide a model, unless it was renamed unseen: nobody can tell that from a deletion."""
        self.registry.release()
        model = self.registry.models.get(name)
        known = self.state.known().row(name)
        if model is not None and known is not None and known.created == model.created:
            self.is_disturbed = True  # a model that is shown again is as old as it was
            self.registry.revoke(name)

    def wait(self, seconds: float) -> None:
        self.registry.release(self.registry.clock() + round(seconds * 1000))
        self.clock.sleep(seconds)

    def baseline(self) -> None:
        self.is_disturbed = bool(self.client.between)
        self._runner.run(self.poll.run(Read.FULL))
        known = dict(self.state.known())
        rows = [part for model in known.values() for part in (model, *model.versions.values())]
        told = max((row.updated for row in rows), default=0)
        since = min(told, self.clock.now_ms())  # a clock that is ahead is not believed
        self.ledger = Ledger(self.registry, known, 0, since)
        self.client.calm()

    @property
    def held(self) -> frozenset[str]:
        """Digests of what is held."""
        last = self.state.last_poll
        return frozenset(last.held_digest.split("+") if last and last.held_digest else ())

    def run(self, read: Read = Read.FULL, accepted: frozenset[str] = frozenset()) -> list[Change]:
        """Poll once, and check what comes of it."""
        self.is_sound = False  # until every check went well
        before = deepcopy(self.documents._texts)
        began, hidden = len(self.registry.moments) - 1, set(self.registry.hidden)
        was_accepted = accepted or (self.state.head and self.state.head.accepted)
        self._differences = []
        self.is_disturbed |= bool(self.client.between)
        try:
            polled = self._runner.run(self.poll.run(read, accepted))
        except RegistryUnreachable:
            assert 0 < self.client.fails_at <= self.client.requests
            self._check_unchanged(before)
            self.is_disturbed = True
            changes = []
        else:
            if 0 < self.client.fails_at <= self.client.requests:  # a model scan that breaks off fails no poll
                assert self.lists_models
                self.is_disturbed = True
            changes = self._check(polled)
            if not was_accepted:
                loads = Counter(entry.sink for entry in polled.entries)
                assert all(load <= self.settings.max_events for load in loads.values()), loads
            is_whole = not (hidden | self.registry.hidden) and not self.held
            if is_whole and self.state.last_poll.kind == Read.FULL:
                self.ledger.floor = began
                self.is_disturbed = False
        self.client.calm()
        self.is_sound = True
        return changes

    def _check(self, polled: PollResult) -> list[Change]:
        ids = [entry.event_id for entry in polled.entries if entry.sink == "all"]
        changes = self.ledger.take(self._differences, ids)
        known = dict(self.state.known())
        assert observable(known) == observable(self.ledger.replica)
        last = self.state.last_poll
        assert (last.models, last.versions) == (len(known), sum(len(one.versions) for one in known.values()))
        return changes

    def _check_unchanged(self, before: dict) -> None:
        after = deepcopy(self.documents._texts)
        for tables in (before, after):
            tables.pop("scan", None)  # what was read of a scan that broke off
            for record in ("poll", "reconcile"):
                tables["meta"].pop(record, None)
        assert before == after

    def rest(self) -> None:
        """Let everything come out: then the state is as the registry, and idle polls cost one request."""
        self.client.calm()
        self.registry.release()
        self.registry.grant()
        self.wait(300 + max(0, self.ahead_ms) / 1000)  # as above
        is_sure = not self.is_disturbed and not self.held
        self.run(Read.FAST)
        if is_sure and not self.held:
            self._check_stages()
            self._check_rows()
        if self.state.unfinished_scan:  # it goes on with what it read before the last changes
            self.run(Read.FULL)
        self.run(Read.FULL)
        for _ in range(20):
            if self.held:
                self.run(Read.FULL, self.held)
            elif (
                self.state.last_poll.doubted
            ):  # it is told once a picture two minutes old could not explain it
                self.wait(130)
                self.run(Read.FULL)
        assert not self.held
        assert dict(self.state.known()) == self.registry.models
        self._check_idle()

    def _check_stages(self) -> None:
        """A fast poll alone finds versions and their stages."""
        known = dict(self.state.known())
        for name, model in self.registry.models.items():
            stages = {one.version: one.stage for one in model.versions.values()}
            assert {one.version: one.stage for one in known[name].versions.values()} == stages, name

    def _check_rows(self) -> None:
        """Model scans alone find aliases and tags of models, and models that are gone, unless they are many."""
        if not self.lists_models:
            return
        for number in range(2 * self.client.page):  # else the most recent ones are all that there are
            self.registry.create_registered_model(f"z{number}")
            self.run(Read.FAST)
        self.wait(400)
        names = sorted(self.registry.models)
        for name in names[:1]:
            self.registry.set_registered_model_tag(name, "listed", str(self.clock.now_ms()))
        for name in names[-1:]:
            self.registry.delete_registered_model(name)
        self.wait(400 + max(0, self.ahead_ms) / 1000)
        for _ in range(2 * len(self.registry.models) + 4):
            self.run(Read.FAST)
        known = dict(self.state.known())
        if len(known.keys() - self.registry.models.keys()) <= MOST_ABSENT:
            assert known.keys() == self.registry.models.keys()
        for name in known.keys() & self.registry.models.keys():
            assert replace(known[name], versions={}) == replace(self.registry.models[name], versions={})

    def _check_idle(self) -> None:
        self.poll.model_scans.are_made = False
        requests = self.client.requests
        before = deepcopy(self.documents._texts)
        assert self.run(Read.FAST) == []
        self._check_unchanged(before)
        # A list with less is doubted, or too short; a row that came late makes the registry's clock seem late.
        is_late = self.state.head.skew < min(0, self.ahead_ms)
        if len(self.routes) == 2 and len(self.registry.rows) > 1 and not is_late:
            assert self.client.requests - requests == 1
