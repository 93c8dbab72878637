"""Values as readable text, for terminals and the status page. Pure."""

from datetime import UTC, datetime
from typing import Any

from bridge.events.event import Event
from bridge.events.event_types import GovernanceKind


def visible(text: str) -> str:
    """Return ``text`` with every unprintable character replaced (cursor movements, hidden or reversed text).

    What a registry holds is hostile input. Lone surrogates, which no encoding has, are replaced as well.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def printable(value: Any) -> str:
    """Return ``value`` for a terminal; a dash where there is no value."""
    return "-" if value is None or value == "" else visible(str(value))


def changed(event: Event) -> str:
    """Return in a few words what changed."""
    facts = event.changed
    if event.type is GovernanceKind.TRANSITION_REVERTED:
        asked = f"@{facts['alias']}" if "alias" in facts else facts["to_stage"]
        return f"{asked} refused: {facts['reasons']}"
    if "to_stage" in facts and "from_stage" in facts:
        return f"{facts['from_stage']} → {facts['to_stage']}"
    return ", ".join(f"{key}={str(value)[:40]}" for key, value in facts.items() if value)


def count(number: int, noun: str, separator: str = "") -> str:
    """Return ``number`` with its noun: *1 entry*, *2 entries*. ``separator`` groups digits by thousands."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + ("es" if noun.endswith("s") else "s")
    return f"{number:{separator}} {noun if number == 1 else plural}"


def instant(milliseconds: int | None) -> str | None:
    """Return an instant as readable text: UTC, to the second."""
    if milliseconds is None:
        return None
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # timestamps of a registry are hostile input as well
        return f"{milliseconds} ms"
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


def span(milliseconds: int) -> str:
    """Return a duration as readable text."""
    seconds = max(0, milliseconds) // 1000
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
