"""List the sinks with what they ask for and what waits for them, as JSON documents."""

from collections.abc import Iterator
from typing import Any

from bridge.config import Settings, SinkSettings
from bridge.delivery.sink_state import RUNNING
from bridge.operations.status_report import condition_word
from bridge.sinks.http.webhook_sink import with_webhooks
from bridge.sinks.sink_type_table import Kinds
from bridge.store.state_metadata import SinkSummary
from bridge.store.state_reader import StateReader


def sink_documents(settings: Settings, state: StateReader) -> Iterator[dict[str, Any]]:
    """Yield a document for each configured sink, then for each removed sink that still has entries."""
    summaries, conditions = state.summaries(), state.conditions()
    configured = {sink.name: sink for sink in with_webhooks(settings, state.webhooks()).sinks}
    kinds = Kinds()
    for name in [*configured, *sorted(summaries.keys() - configured.keys())]:
        sink = configured.get(name)
        yield {
            "name": name,
            "type": sink.type if sink else None,
            "package": kinds.package(sink.type) if sink else None,
            "to": sink.origin() if sink else None,
            "condition": condition_word(sink, conditions.get(name, RUNNING)),
            "events": list(sink.events) if sink else [],
            "models": list(sink.models) if sink else [],
            "to_stages": list(sink.to_stages) if sink else [],
            **_further(sink),
            "backlog": _backlog(summaries.get(name) or SinkSummary(name)),
        }


def _further(sink: SinkSettings | None) -> dict[str, Any]:
    """Return the filters that few sinks use."""
    return {
        "from_stages": list(sink.from_stages) if sink else [],
        "aliases": [pattern.pattern for pattern in sink.aliases] if sink else [],
        "tags": dict(sink.tags) if sink else {},
        "when": sink.when.text if sink and sink.when else None,
    }


def _backlog(summary: SinkSummary) -> dict[str, int]:
    return {"pending": summary.pending, "dead": summary.dead}
