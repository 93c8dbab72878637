"""A poll of a real registry in this process, with every kind of event asked for."""

from bridge.config import PollSettings, RegistrySettings
from bridge.delivery.event_routing import Route
from bridge.diff.registry_changes import ChangeKind
from bridge.pipeline.clocks import SystemClock
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.metrics_observer import NullObserver
from bridge.pipeline.poll import Poll
from bridge.registry.mlflow_reader import MlflowRegistry
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.state_metadata import Binding


class Observed:
    """Looks when it is told to; the first look is the baseline."""

    def __init__(self, url: str) -> None:
        self.state = DocumentState(MemoryDocuments())
        self.registry = MlflowRegistry(RegistrySettings(tracking_uri=url, timeout="20s"))
        every = Route("all", tuple(kind.value for kind in ChangeKind))
        self.poll = Poll(
            self.registry, self.state, [every], PollSettings(), Binding(url), SystemClock(), NullObserver()
        )

    async def look(self, read: Read = Read.FULL) -> list[str]:
        """Poll; return the events, in order."""
        polled = await self.poll.run(read)
        events = [self.state.event(entry.event_id) for entry in polled.entries]
        return [
            f"{event.model_name} {event.type.name} {event.model_version or ''}".strip() for event in events
        ]

    @property
    def aside(self) -> list[tuple[str, str]]:
        """The rows that are left aside: model and version."""
        return [row.place for row in self.state.last_poll.odd_rows]

    @property
    def notes(self) -> list[tuple[str, str, str]]:
        """The notes of the audit trail: kind, model and version."""
        return [(note.kind, note.model, note.version) for note in self.state.notes()]
