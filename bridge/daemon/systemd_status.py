"""The status text of the daemon for ``systemctl status``, as one line. Pure."""

from collections.abc import Iterable

from bridge.config import Settings
from bridge.delivery.attempt_outcome import Reason
from bridge.events.display_text import count
from bridge.store.state_metadata import SinkSummary


def status_text(
    settings: Settings,
    waiting: int,
    trouble: str,
    refusal: str,
    *,
    is_held: bool = False,
    summaries: Iterable[SinkSummary] = (),
) -> str:
    """Return the status text, with the most important facts first.

    Args:
        settings: the settings in force.
        waiting: the number of waiting entries.
        trouble: why the last poll failed; empty if it succeeded.
        refusal: why the last reload was refused; empty if it was not.
        is_held: whether a hold waits for an operator.
        summaries: the backlog of each sink, and the result of its last attempt.
    """
    sinks = count(len(settings.sinks), "sink")
    parts = [
        refusal,
        f"last poll failed: {trouble}" if trouble else "",
        "changes are held: see mlflow-bridge diff" if is_held else "",
        _failing(settings, summaries),
        f"polls {settings.registry.shown_uri} for {sinks}",
        f"{waiting} waiting",
    ]
    return "; ".join(part for part in parts if part)


def _failing(settings: Settings, summaries: Iterable[SinkSummary]) -> str:
    """Return the sinks with waiting entries whose last attempt failed, with its reason."""
    configured = {sink.name for sink in settings.sinks}
    failing = [
        f"{one.sink} ({one.last_reason})"
        for one in summaries
        if one.sink in configured and one.pending and one.last_reason not in {"", Reason.OK}
    ]
    return f"deliveries fail: {', '.join(failing)}" if failing else ""
