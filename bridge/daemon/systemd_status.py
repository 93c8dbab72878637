"""How the daemon stands, in one line for ``systemctl status``. Pure."""

from collections.abc import Iterable

from bridge.config import Settings
from bridge.delivery.attempt_outcome import Reason
from bridge.events.display_text import count
from bridge.store.state_values import SinkSummary


def standing(
    settings: Settings,
    waiting: int,
    trouble: str,
    refusal: str,
    *,
    is_held: bool = False,
    summaries: Iterable[SinkSummary] = (),
) -> str:
    """Return what an operator wants to know first.

    Args:
        settings: those in force.
        waiting: how many entries wait.
        trouble: why the last poll failed, if it did.
        refusal: why the configuration file was refused, if it was.
        is_held: whether changes wait for an operator.
        summaries: what waits for each sink, and how its last attempt ended.
    """
    sinks = count(len(settings.sinks), "sink")
    parts = [
        refusal,
        f"last poll failed: {trouble}" if trouble else "",
        "changes are held: see mlflow-bridge diff" if is_held else "",
        _failing(settings, summaries),
        f"polls {settings.registry.uri} for {sinks}",
        f"{waiting} waiting",
    ]
    return "; ".join(part for part in parts if part)


def _failing(settings: Settings, summaries: Iterable[SinkSummary]) -> str:
    """Return which sinks do not take what waits for them, with the reason of the last attempt."""
    configured = {sink.name for sink in settings.sinks}
    failing = [
        f"{one.sink} ({one.last_reason})"
        for one in summaries
        if one.sink in configured and one.pending and one.last_reason not in {"", Reason.OK}
    ]
    return f"deliveries fail: {', '.join(failing)}" if failing else ""
