"""What a state records of the past, and how far back its records go."""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.events.stages_at_time import Late, Recorded
from bridge.store.state_metadata import Note
from bridge.store.state_reader import StateReader


@dataclass(frozen=True, slots=True)
class Reach:
    """The time from which all observations are recorded (ms since the epoch), and why not earlier.

    ``until`` is when the registry was last read.
    """

    since: int
    why: str
    until: int


@dataclass(frozen=True, slots=True)
class Held:
    """A time during which changes were held, ms since the epoch; ``until`` is None while they still are."""

    since: int
    until: int | None


def reach_of(state: StateReader) -> Reach | None:
    """Return how far back the records of ``state`` go, or None before the baseline."""
    head, last = state.head, state.last_poll
    if head is None:
        return None
    limits = [
        (head.baseline_at, "the baseline was taken then"),
        (state.kept_since, "older events are no longer kept (state.history)"),
        *(
            (note.at, "the registry was recorded anew then (state rebaseline)")
            for note in state.notes()
            if note.kind == "rebaselined"
        ),
    ]
    since, why = max(limits)
    return Reach(since, why, (last.succeeded_at if last else None) or head.baseline_at)


def recorded_in(state: StateReader, reach: Reach) -> Recorded:
    """Return the records of ``state`` within its reach."""
    late = [
        Late(note.at, note.model, note.version)
        for note in state.notes()
        if note.kind in {"appeared", "surfaced"} and note.at >= reach.since
    ]
    return Recorded(state.known(), state.identities().by_name, list(state.events()), reach.since, late)


def holds_in(notes: Iterable[Note]) -> list[Held]:
    """Return the times during which changes were held, oldest first."""
    found: list[Held] = []
    since: int | None = None
    for note in notes:
        if note.kind == "held" and since is None:
            since = note.at
        elif note.kind in {"accepted", "lifted"} and since is not None:
            found.append(Held(since, note.at))
            since = None
    return [*found, Held(since, None)] if since is not None else found
