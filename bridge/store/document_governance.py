"""The transition requests and direct transitions in documents."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from bridge.delivery.outbox_entry import Entry
from bridge.diff.snapshot import RegisteredModel
from bridge.diff.snapshot_packing import pack_model
from bridge.errors import InvalidState
from bridge.governance.direct_transition import DirectStatus, DirectTransition
from bridge.governance.transition_request import RequestStatus, TransitionRequest
from bridge.store.base import GovernanceCommit, News
from bridge.store.document_store_protocol import Document, Writes
from bridge.store.document_webhooks import DocumentWebhooks
from bridge.store.poll_commit import (
    DIRECT,
    EVENTS,
    HEAD,
    META,
    OUTBOX,
    REQUESTS,
    governance_writes,
    new_entries,
    numbered_head,
    outbox_writes,
    removal,
)
from bridge.store.stored_models import MODELS, UNSETTLED
from bridge.store.write_turn import in_turn

_OPEN = frozenset(status.value for status in RequestStatus if status.is_open)
_GRANTED = frozenset({RequestStatus.APPROVED.value, RequestStatus.APPLIED.value})
_IDENTITY = ("lane", "generation", UNSETTLED)
"""What the document of a model has besides the model."""

_OPEN_DIRECT = frozenset(status.value for status in DirectStatus if status.is_open)


class DocumentGovernance(DocumentWebhooks):
    """`bridge.store.base.GovernanceState` over documents, in the process that owns them; only commits may wait."""

    async def load_open_requests(self) -> list[TransitionRequest]:
        """Return the requests about which something is still to be done, oldest first."""
        return self._requests_where(lambda one: one["status"] in _OPEN)

    async def load_grants(self) -> list[TransitionRequest]:
        """Return the requests of which the approval may still be used up by a transition, oldest first."""
        return self._requests_where(
            lambda one: one["status"] in _GRANTED and not one["event_id"] and not one["is_lapsed"]
        )

    async def load_request(self, request: str) -> TransitionRequest | None:
        """Return a request."""
        return self.request(request)

    async def load_requests_of(self, model: str, version: str) -> list[TransitionRequest]:
        """Return the requests about a version that are still kept, oldest first."""
        return self._requests_where(lambda one: (one["model_name"], one["version"]) == (model, version))

    async def load_direct(self, model: str | None = None) -> list[DirectTransition]:
        """Return the direct transitions of a model, or else all that are open, oldest first."""
        return self._direct_where(
            lambda one: one["status"] in _OPEN_DIRECT if model is None else one["model_name"] == model
        )

    async def load_undoing(self) -> list[DirectTransition]:
        """Return the direct transitions that are being undone."""
        return self._direct_where(lambda one: one["status"] == DirectStatus.REVERTING.value)

    @in_turn
    async def commit_governance(self, commit: GovernanceCommit) -> list[Entry]:
        """Commit changes of requests and direct transitions, with their events and deliveries."""
        head = self.head
        if head is None:
            raise InvalidState("there is no baseline yet: requests can be made once the registry was read")
        entries = new_entries(commit.routed, head.sequence, commit.at)
        gone = removal(commit.refused)
        writes: dict[str, Mapping[str, Document | None]] = {
            REQUESTS: governance_writes(commit.requests),
            DIRECT: governance_writes(commit.direct),
            EVENTS: {event.id: event.to_document() for event in commit.events},
            MODELS: self._changed(commit.models),
            **gone,
            **self._numbered(entries, commit.notes),
            **self._next_revision(len(entries), commit),
            OUTBOX: {**gone[OUTBOX], **outbox_writes([*commit.released, *entries])[OUTBOX]},
        }
        await self._documents.commit({table: rows for table, rows in writes.items() if rows})
        self._discount(commit.refused)
        free = [one for one in commit.released if not one.waits_for]
        self._tell(News(released=free, removed=commit.refused))
        self._add(entries)
        return entries

    def _next_revision(self, entries: int, commit: GovernanceCommit) -> Writes:
        """Return the head with the next revision if models changed: a poll that began before is then refused."""
        head = self.head
        if not commit.models or head is None:
            return {}
        after = numbered_head(head, head, entries, len(commit.notes))
        return {META: {HEAD: replace(after, revision=head.revision + 1).to_document()}}

    def _changed(self, models: Iterable[RegisteredModel]) -> dict[str, Document | None]:
        """Return the documents of known models that the bridge itself changed; their identities stay."""
        stored = ((one, self._documents.get(MODELS, one.name)) for one in models)
        return {
            one.name: {**{key: document[key] for key in _IDENTITY if key in document}, **pack_model(one)}
            for one, document in stored
            if document is not None
        }

    async def load_direct_transition(self, direct: str) -> DirectTransition | None:
        """Return a direct transition."""
        document = self._documents.get(DIRECT, direct)
        return DirectTransition.from_document(document) if document else None

    async def load_waiting(self, direct: DirectTransition) -> list[Entry]:
        """Return the entries that wait for the verdict on a direct transition; no others are decoded."""
        numbers = (number for sink in direct.sinks for number in self._counted().pending_of(sink))
        found = (self._documents.get(OUTBOX, str(number)) for number in numbers)
        return [Entry.from_document(one) for one in found if one and one.get("waits_for") == direct.id]

    def _requests_where(self, is_wanted: Callable[[Document], bool]) -> list[TransitionRequest]:
        """Return the requests of which the document is wanted; no others are decoded."""
        found = (document for _, document in self._documents.items(REQUESTS) if is_wanted(document))
        return [TransitionRequest.from_document(document) for document in found]

    def _direct_where(self, is_wanted: Callable[[Document], bool]) -> list[DirectTransition]:
        found = (document for _, document in self._documents.items(DIRECT) if is_wanted(document))
        return [DirectTransition.from_document(document) for document in found]

    def _ended_governance(self, before: int) -> tuple[list[str], list[str]]:
        """Return the ids of requests and of direct transitions that ended before this time, ms since the epoch."""
        requests = [
            key
            for key, one in self._documents.items(REQUESTS)
            if one["status"] not in _OPEN and one["updated_at"] < before
        ]
        direct = [
            key
            for key, one in self._documents.items(DIRECT)
            if one["status"] not in _OPEN_DIRECT and one["updated_at"] < before
        ]
        return requests, direct
