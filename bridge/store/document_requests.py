"""The transition requests in documents."""

from collections.abc import Callable

from bridge.delivery.outbox_entry import Entry
from bridge.errors import InvalidState
from bridge.governance.transition_request import RequestStatus, TransitionRequest
from bridge.store.base import RequestCommit
from bridge.store.document_store import Document
from bridge.store.document_webhooks import DocumentWebhooks
from bridge.store.poll_commit import EVENTS, REQUESTS, new_entries, request_writes

_OPEN = frozenset(status.value for status in RequestStatus if status.is_open)
_GRANTED = frozenset({RequestStatus.APPROVED.value, RequestStatus.APPLIED.value})


class DocumentRequests(DocumentWebhooks):
    """`bridge.store.base.RequestState` over documents, in the process that owns them; nothing waits."""

    async def load_open_requests(self) -> list[TransitionRequest]:
        """Return the requests about which something is still to be done, oldest first."""
        return self._requests_where(lambda one: one["status"] in _OPEN)

    async def load_grants(self) -> list[TransitionRequest]:
        """Return the requests of which the approval may still be used up by a transition, oldest first."""
        return self._requests_where(lambda one: one["status"] in _GRANTED and not one["event_id"])

    async def load_request(self, request: str) -> TransitionRequest | None:
        """Return a request."""
        return self.request(request)

    async def load_requests_of(self, model: str, version: str) -> list[TransitionRequest]:
        """Return the requests about a version that are still kept, oldest first."""
        return self._requests_where(lambda one: (one["model_name"], one["version"]) == (model, version))

    async def commit_requests(self, commit: RequestCommit) -> list[Entry]:
        """Commit changes of requests, with their events and deliveries."""
        head = self.head
        if head is None:
            raise InvalidState("there is no baseline yet: requests can be made once the registry was read")
        entries = new_entries(commit.routed, head.sequence, commit.at)
        self._documents.commit(
            {
                REQUESTS: request_writes(commit.requests),
                EVENTS: {event.id: event.to_document() for event in commit.events},
                **self._numbered(entries, commit.notes),
            }
        )
        self._add(entries)
        return entries

    def _requests_where(self, is_wanted: Callable[[Document], bool]) -> list[TransitionRequest]:
        """Return the requests of which the document is wanted; no others are decoded."""
        found = (document for _, document in self._documents.items(REQUESTS) if is_wanted(document))
        return [TransitionRequest.from_document(document) for document in found]

    def _old_requests(self, ended_before: int) -> list[str]:
        """Return the ids of requests that ended before this time, ms since the epoch."""
        return [
            key
            for key, document in self._documents.items(REQUESTS)
            if document["status"] not in _OPEN and document["updated_at"] < ended_before
        ]
