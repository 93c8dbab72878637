"""The state in documents: known models, events and outbox, in any `Documents`."""

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from bridge.delivery.outbox_entry import Entry, Status
from bridge.diff.recently_replaced_values import Superseded
from bridge.errors import InvalidState
from bridge.store.base import Basis, Upkeep
from bridge.store.document_governance import DocumentGovernance
from bridge.store.document_store_protocol import Document
from bridge.store.entry_header import EntryHeader
from bridge.store.poll_commit import (
    AUDIT,
    CLOCK,
    DETAILS,
    DIRECT,
    EVENTS,
    HEAD,
    META,
    POLL,
    PRUNED,
    RECONCILE,
    REQUESTS,
    SUPERSEDED,
    PollCommit,
    check_basis,
    new_entries,
    numbered_head,
    removal,
    trail_writes,
    writes_of,
)
from bridge.store.state_metadata import ClockRecord, Head, Note, PollRecord, ReconcileRecord
from bridge.store.state_reader import StateReader
from bridge.store.stored_models import MODELS
from bridge.store.write_turn import in_turn

T = TypeVar("T")

_ORPHANS = "orphans"
_SCAN = "scan"
_REMOVED_AT_ONCE = 1_000
"""How many parts of a scan one commit removes; of a few thousand documents, the whole journal would be written anew."""

_EVENTS_AT_ONCE = 5_000
"""How many events are read before the event loop goes on; that takes some milliseconds."""


class DocumentState(DocumentGovernance):
    """`bridge.store.base.State` over documents. One commit is durable in full or not at all; only commits may wait."""

    async def ask(self, question: Callable[[StateReader], T]) -> T:
        """Return the answer to ``question``; it is asked at once, so nothing changes meanwhile."""
        return question(self)

    async def load_basis(self) -> Basis:
        """Return what a poll begins from."""
        return Basis(
            head=self.head,
            last_poll=self.last_poll,
            last_reconcile=self.last_reconcile,
            abilities=self.abilities,
            known=self.known(),
            identities=self.identities(),
            superseded=self._superseded(),
            unfinished_scan=self.unfinished_scan,
        )

    def _superseded(self) -> tuple[Superseded, ...]:
        documents = sorted(self._documents.items(SUPERSEDED), key=lambda item: int(item[0]))
        return tuple(Superseded.from_document(document) for _, document in documents)

    @property
    def unfinished_scan(self) -> Document | None:
        """The stored progress of an unfinished full scan, or None."""
        return self._documents.get(_SCAN, _SCAN)

    @in_turn
    async def commit_poll(self, commit: PollCommit) -> list[Entry]:
        """Commit a poll: snapshot, events and outbox entries; return the entries with their numbers."""
        present = self.head
        check_basis(commit.head, present)
        entries = new_entries(commit.routed, (present or commit.head).sequence, commit.at)
        await self._documents.commit(writes_of(commit, entries, present, self._documents))
        self._note_settled(commit)
        self._add(entries)
        return entries

    def _note_settled(self, commit: PollCommit) -> None:
        if self._unsettled is not None:
            gone = {*commit.removed, *commit.models, *commit.settled}
            kept = {name: at for name, at in self._unsettled.items() if name not in gone}
            self._unsettled = {**kept, **dict.fromkeys(commit.unsettled, commit.at)}

    @in_turn
    async def record_poll(self, record: PollRecord, reconciled: ReconcileRecord | None = None) -> None:
        """Record the result of a poll that changed nothing."""
        scanned = {RECONCILE: reconciled.to_document()} if reconciled else {}
        await self._documents.commit({META: {POLL: record.to_document(), **scanned}})

    async def keep_scan(self, scan: Document | None, parts: Iterable[tuple[str, Document]] = ()) -> None:
        """Store the progress of an unfinished full scan, after its new ``parts`` by name; None removes it.

        One part takes some 10 ms; other commits come between two of them.
        """
        for name, part in parts:
            async with self.turn():
                await self._documents.commit({_SCAN: {name: part}})
            await asyncio.sleep(0)
        async with self.turn():
            if scan != self.unfinished_scan:
                await self._documents.commit({_SCAN: {_SCAN: scan}})
        wanted = {_SCAN, *(scan or {}).get("progress", {}).get("parts", ())}
        gone = [key for key in self._documents.keys(_SCAN) if key not in wanted]
        for start in range(0, len(gone), _REMOVED_AT_ONCE):
            async with self.turn():
                some = gone[start : start + _REMOVED_AT_ONCE]
                await self._documents.commit({_SCAN: dict.fromkeys(some)})

    def scan_part(self, name: str) -> Document:
        """Return a part of the unfinished full scan, or raise `KeyError`."""
        part = self._documents.get(_SCAN, name)
        if part is None:
            raise KeyError(name)
        return part

    @in_turn
    async def write_head(self, head: Head) -> None:
        """Replace the head of the state (to bind the state to a registry that moved)."""
        present = self.head
        check_basis(head, present)
        after = replace(numbered_head(head, present), revision=head.revision + 1)
        await self._documents.commit({META: {HEAD: after.to_document()}})

    @in_turn
    async def lift_numbers(self, now_ms: int, note: Note) -> None:
        """Have all that is numbered from now on have numbers above those of any life of this state."""
        head = self.head
        if head is None:
            raise InvalidState("there is no baseline yet: nothing was numbered so far")
        now_s = now_ms // 1000
        noted = numbered_head(head, head, notes=1)
        lifted = replace(
            noted,
            floor=max(head.floor, now_s),
            sequence=max(head.sequence, now_ms),
            revision=head.revision + 1,
        )
        models = {
            name: {**document, "generation": max(document["generation"], now_s)}
            for name, document in self._documents.items(MODELS)
        }
        trail = trail_writes([note], head.noted)
        await self._documents.commit({META: {HEAD: lifted.to_document()}, MODELS: models, AUDIT: trail})

    async def load_upkeep(self) -> Upkeep:
        """Return what pruning has to know."""
        waiting = frozenset(name for name, summary in self.summaries().items() if summary.pending)
        pruned = self._documents.get(META, PRUNED)
        orphaned = self._documents.get(META, _ORPHANS) or {}
        return Upkeep(waiting, orphaned, pruned["at"] if pruned else None)

    @in_turn
    async def note(self, clock: ClockRecord, orphaned_since: Mapping[str, int]) -> None:
        """Record the clocks and the missing sinks, if they have changed."""
        news = {CLOCK: clock.to_document(), _ORPHANS: dict(orphaned_since)}
        if any((self._documents.get(META, key) or {}) != value for key, value in news.items()):
            await self._documents.commit({META: news})

    @in_turn
    async def prune(self, delivered_before: int, dead_before: int, now_ms: int) -> int:
        """Prune old history (ms since the epoch); return how many documents were removed."""
        limits = {Status.DELIVERED: delivered_before, Status.DEAD: dead_before}
        numbers: list[int] = []
        needed: set[str] = set()
        async for part in self._header_parts():
            ended = {one.id for one in part if _ended_before(one, limits.get(one.status))}
            numbers += ended
            needed.update(one.event_id for one in part if one.id not in ended)
        old = await self.load_entries(sorted(numbers))
        events = await self._events_before(delivered_before, needed)
        notes = [key for key, note in self._documents.items(AUDIT) if note["at"] < delivered_before]
        requests, direct = self._ended_governance(delivered_before)
        await self._documents.commit(
            {
                META: {PRUNED: {"at": now_ms, "before": max(self.kept_since, delivered_before)}},
                **removal(old),
                EVENTS: dict.fromkeys(events),
                DETAILS: dict.fromkeys(key for key in events if self.details(key)),
                AUDIT: dict.fromkeys(notes),
                REQUESTS: dict.fromkeys(requests),
                DIRECT: dict.fromkeys(direct),
            }
        )
        self._discount(old)
        return len(old) + len(events) + len(notes) + len(requests) + len(direct)

    async def _events_before(self, before: int, needed: Container[str]) -> list[str]:
        """Return the ids of the events that were observed before this time and are not needed; the event loop goes on."""
        found = []
        others = [key for key in self._documents.keys(EVENTS) if key not in needed]
        for number, key in enumerate(others, start=1):
            event = self._documents.get(EVENTS, key)
            if event is not None and event["observed_at"] < before:
                found.append(key)
            if number % _EVENTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return found


def _ended_before(entry: EntryHeader, limit: int | None) -> bool:
    """Whether an entry ended before this time; None: entries of its status stay."""
    ended = entry.created_at if entry.last_attempt_at is None else entry.last_attempt_at
    return limit is not None and ended < limit
