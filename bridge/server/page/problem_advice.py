"""Find problems in the page's values, with advice for each. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum, unique

from bridge.delivery.attempt_outcome import Reason
from bridge.events.display_text import count, instant, span
from bridge.server.page.status_page_data import Facts, View

_LATE_S = 600
"""The age in seconds from which a backlog needs action."""

_NAMED = 3

_TO_MEND = frozenset({Reason.MISCONFIGURED, Reason.UNSUCCESSFUL, Reason.SECRET, Reason.TLS})
"""Reasons for failures that need a correction by an operator."""


@unique
class Level(StrEnum):
    """How urgent a finding is."""

    ACT = "act"
    """An operator has to act."""
    NOTE = "note"
    """For information: it may end by itself, or be intended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, its reason and advice; ``commands`` can be copied to a shell."""

    level: Level
    what: str
    why: str = ""
    advice: str = ""
    commands: tuple[str, ...] = ()


def findings(view: View) -> list[Finding]:
    """Return all findings; those that need action come first."""
    found = [
        *_of_state(view),
        *_of_configuration(view),
        *_of_polls(view),
        *_of_hold(view),
        *_of_doubt(view),
        *_of_odd_rows(view),
        *_of_sinks(view.sinks),
    ]
    return sorted(found, key=lambda one: one.level is Level.NOTE)


def _of_state(view: View) -> Iterator[Finding]:
    if view.pulse.is_relay_stuck:
        yield Finding(
            Level.ACT,
            "The state cannot be written: nothing is delivered",
            "",
            "Free space on its disk, or mend its permissions. It goes on by itself, and nothing is lost.",
        )


def _of_configuration(view: View) -> Iterator[Finding]:
    if view.refusal:
        yield Finding(
            Level.ACT,
            "The configuration was changed, and refused",
            view.refusal,
            "It goes on with the one before, and would not start with this one. Mend the file, then:",
            ("mlflow-bridge check", "mlflow-bridge reload"),
        )


def _of_polls(view: View) -> Iterator[Finding]:
    poll, pulse = view.poll, view.pulse
    if pulse.is_polling_stuck:
        yield Finding(
            Level.ACT,
            f"A poll has been under way for {span(pulse.polling_for or 0)}, far beyond its deadline",
            "",
            "Restart the bridge: the state is durable, and the next poll begins afresh.",
        )
    if poll is None:
        yield Finding(Level.NOTE, "No poll has ended yet", "", "The first one takes the baseline.")
    elif poll.outcome == "failed":
        last = (
            f"last read at {instant(poll.succeeded_at)}" if poll.succeeded_at else "no poll has gone well yet"
        )
        yield Finding(
            Level.ACT,
            f"The registry cannot be read; {last}",
            poll.error,
            "What changes meanwhile is found by the next poll that goes well. To see what is wrong:",
            ("mlflow-bridge check --connect",),
        )


def _of_hold(view: View) -> Iterator[Finding]:
    if view.held:
        yield Finding(
            Level.ACT,
            "Changes are held, and wait for you",
            view.held["why"],
            "Everything else goes on. Look at them first; if they are meant, let them through. A registry "
            "that is whole again lifts the hold by itself.",
            ("mlflow-bridge diff", "mlflow-bridge once --accept-held"),
        )


def _of_odd_rows(view: View) -> Iterator[Finding]:
    rows = view.poll.odd_rows if view.poll else ()
    if rows:
        some = ", ".join(f"{row.model or 'one without a name'}: {row.why}" for row in rows[:_NAMED])
        yield Finding(
            Level.NOTE,
            f"Left aside: {len(rows)} of the registry's rows",
            some,
            "What was known of them stands, and everything else goes on. Mend them in MLflow's database.",
            ("mlflow-bridge status",),
        )


def _of_doubt(view: View) -> Iterator[Finding]:
    if view.poll is not None and view.poll.doubted and not view.held:
        yield Finding(
            Level.NOTE,
            "Models read as older than they are known",
            ", ".join(view.poll.doubted),
            "What was read of them waits for another look. A replica or a cache before the registry may lag.",
            ("mlflow-bridge events list",),
        )


def _of_sinks(sinks: Iterable[Facts]) -> Iterator[Finding]:
    none = True
    for sink in sinks:
        none = False
        yield from _of_dead(sink)
        standing = _STANDINGS.get(sink["condition"])
        if standing is not None:
            yield from standing(sink)
        elif sink["pending"]:
            yield from _of_backlog(sink)
    if none:
        yield Finding(
            Level.NOTE, "There are no sinks", "", "Events are recorded, and delivered nowhere: add [[sinks]]."
        )


def _of_dead(sink: Facts) -> Iterator[Finding]:
    name, dead = sink["name"], sink["dead"]
    if not dead:
        return
    what = f"{name}: {count(dead, 'dead letter', ',')}, not delivered and not tried again"
    if sink["condition"] == "orphaned":
        advice, todo = "The sink left the configuration. To forget them:", f"outbox drop --sink {name}"
    else:
        advice, todo = (
            "Below is what they were refused for. Mend it, then send them again:",
            f"outbox redrive --sink {name}",
        )
    listed = f"mlflow-bridge outbox list --status dead --sink {name}"
    yield Finding(Level.ACT, what, "", advice, (listed, f"mlflow-bridge {todo}"))


def _stopped(sink: Facts) -> Iterator[Finding]:
    yield Finding(
        Level.ACT,
        f"{sink['name']} is stopped since {instant(sink['condition_since'])}: its receiver says it is gone (410)",
        sink["condition_why"] or "",
        f"{_waiting(sink)}. When the receiver is back, or its URL is mended:",
        (f"mlflow-bridge sinks resume {sink['name']}",),
    )


def _paused(sink: Facts) -> Iterator[Finding]:
    yield Finding(
        Level.NOTE,
        f"{sink['name']} is paused since {instant(sink['condition_since'])}",
        "",
        f"{_waiting(sink)}. Resumed, it gets all of it, in order:",
        (f"mlflow-bridge sinks resume {sink['name']}",),
    )


def _orphaned(sink: Facts) -> Iterator[Finding]:
    if sink["pending"]:
        yield Finding(
            Level.NOTE,
            f"{sink['name']} is not in the configuration, and {_waiting(sink)}",
            "",
            "Add it again under this name, or forget what waits:",
            (f"mlflow-bridge outbox drop --sink {sink['name']} --status pending",),
        )


def _of_backlog(sink: Facts) -> Iterator[Finding]:
    """Yield a finding if a running sink's last attempt failed, or its backlog is old."""
    fails = sink["last_outcome"] not in {None, Reason.OK.value}
    is_late = (sink["oldest_age_seconds"] or 0) >= _LATE_S
    if not fails and not is_late:
        return
    must = is_late or sink["last_outcome"] in _TO_MEND
    how = "takes nothing" if sink["condition"] == "failing" else "fails" if fails else "lags behind"
    yield Finding(
        Level.ACT if must else Level.NOTE,
        f"{sink['name']} {how}: {_waiting(sink)}",
        _last_words(sink) if fails else "",
        f"{_next_try(sink)}. To try it out:",
        (f"mlflow-bridge sinks test {sink['name']}", f"mlflow-bridge outbox list --sink {sink['name']}"),
    )


_STANDINGS = {"stopped": _stopped, "paused": _paused, "orphaned": _orphaned}


def _next_try(sink: Facts) -> str:
    left = sink["next_attempt_seconds"]
    return (
        f"It is tried again in {span(left * 1000)}, and nothing is lost"
        if left
        else "It is being tried, and nothing is lost"
    )


def _last_words(sink: Facts) -> str:
    detail: str = sink["last_detail"] or sink["last_outcome"]
    return detail


def _waiting(sink: Facts) -> str:
    if not sink["pending"]:
        return "Nothing waits for it"
    age = span((sink["oldest_age_seconds"] or 0) * 1000)
    verb = "waits" if sink["pending"] == 1 else "wait"
    return f"{count(sink['pending'], 'entry', ',')} {verb}, the oldest for {age}"
