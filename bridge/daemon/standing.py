"""How the daemon stands, in one line for ``systemctl status``. Pure."""

from bridge.config import Settings


def standing(settings: Settings, waiting: int, trouble: str, refusal: str) -> str:
    """Return what an operator wants to know first.

    Args:
        settings: those in force.
        waiting: how many entries wait.
        trouble: why the last poll failed, if it did.
        refusal: why the configuration file was refused, if it was.
    """
    sinks = "1 sink" if len(settings.sinks) == 1 else f"{len(settings.sinks)} sinks"
    parts = [
        refusal,
        f"last poll failed: {trouble}" if trouble else "",
        f"polls {settings.registry.uri} for {sinks}",
        f"{waiting} waiting",
    ]
    return "; ".join(part for part in parts if part)
