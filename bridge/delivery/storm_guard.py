"""The storm guard: holds differences that are too large to act on without an operator's consent. Pure."""

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bridge.delivery.event_routing import Routed
from bridge.diff.registry_changes import ChangeKind
from bridge.diff.timestamp_regressions import TimestampRegression

_FEW = 5
"""Up to this many models may vanish at once, whatever their share: small registries may change completely."""

_NAMED = 3
_CONSEQUENCE = "accepting it tells receivers that these models were deleted"


@dataclass(frozen=True, slots=True)
class Hold:
    """Which part of a poll is held, and why. ``digest`` identifies exactly this difference, and accepts it.

    ``kinds`` are the kinds of changes that are held. If it is empty, vanished models are held, or, if
    ``is_older``, models that read as older than they are known.
    """

    message: str
    digest: str
    kinds: frozenset[ChangeKind] = frozenset()
    is_older: bool = False


def hold_older(signs: Sequence[TimestampRegression]) -> Hold | None:
    """Hold models that read as older than they are known, and still do after a second read."""
    if not signs:
        return None
    names = sorted({sign.model for sign in signs})
    message = (
        f"{len(names)} {'model reads' if len(names) == 1 else 'models read'} as older than known "
        f"({_some(names)}): if the registry was restored from a backup, or its clock set back, accept it; if a "
        "replica or a cache before it lags, it passes by itself"
    )
    facts = sorted(repr((sign.model, sign.version, sign.known, sign.read)) for sign in signs)
    return Hold(message, _digest("older", facts), is_older=True)


def hold_vanished(known: int, vanished: Sequence[str], share: float) -> Hold | None:
    """Hold a poll in which more than ``share`` of the known models (and more than 5) are gone."""
    if len(vanished) <= max(_FEW, known * share):
        return None
    message = (
        f"{len(vanished)} of {known} known models are gone from the registry's listing "
        f"({_some(vanished)}), more than poll.max_vanished allows: {_CONSEQUENCE}"
    )
    return Hold(message, _digest("vanished", vanished))


def hold_replacement(vanished: Sequence[str], older: Sequence[str]) -> Hold:
    """Hold a poll in which all known models are gone, and the new models are ``older`` than the last full scan."""
    number = len(vanished)
    gone = "the only known model is gone" if number == 1 else f"all {number} known models are gone"
    message = (
        f"{gone} ({_some(vanished)}), and others are there that are older than the "
        f"last full scan ({_some(sorted(older))}), as in another registry: {_CONSEQUENCE}"
    )
    return Hold(message, _digest("replaced", [*vanished, *sorted(older)]))


def hold_storm(routed: Sequence[Routed], limit: int) -> Hold | None:
    """Hold the most frequent kinds of events if a sink would get more than ``limit`` events."""
    loads = Counter(one.sink for one in routed)
    over = {sink: load for sink, load in loads.items() if load > limit}
    if not over:
        return None
    kinds = frozenset(kind for sink in over for kind in _too_many(routed, sink, limit))
    listed = ", ".join(f"{load} for {sink}" for sink, load in sorted(over.items()))
    message = (
        f"the poll would send more events than poll.max_events = {limit} allows: {listed}; "
        f"held are those of {', '.join(sorted(kinds))}"
    )
    return Hold(
        message, _digest("storm", sorted(_facts(one) for one in routed if one.event.type in kinds)), kinds
    )


def _too_many(routed: Sequence[Routed], sink: str, limit: int) -> list[ChangeKind]:
    """Return the most frequent kinds, as few as are needed to leave at most ``limit`` events."""
    types = (one.event.type for one in routed if one.sink == sink)
    counts = Counter(one for one in types if isinstance(one, ChangeKind))  # a poll observes no others
    left, held = counts.total(), []
    for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0].value)):
        if left <= limit:
            break
        held.append(kind)
        left -= count
    return held


def _facts(routed: Routed) -> str:
    """Return what an event says, without its id: before the baseline, ids differ from poll to poll."""
    event = routed.event
    changed = sorted(event.changed.items(), key=str)
    return repr((routed.sink, event.type.value, event.model_name, event.model_version, changed))


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(map(repr, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")


def _digest(kind: str, facts: Collection[str]) -> str:
    text = "\n".join([kind, *facts])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
