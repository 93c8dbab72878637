"""What a storm does, drawn from a seed: the same seed draws the same lives, faults and outages.

How they meet what the daemon happens to do at that instant is the machine's.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any

from support.chaos.wire import WAYS

POINTS = (
    *(("pwrite", how) for how in ("before", "half", "zeros", "after")),
    *((call, how) for call in ("fdatasync", "fsync", "rename", "ftruncate") for how in ("before", "after")),
)
"""Where a commit can be killed: every call that makes one, before, amid and after."""

WEBHOOKS = '"webhooks":{'
"""What the commit of a change of a webhook holds, and no other."""

REQUESTS, DIRECT = '"requests":{', '"direct_transitions":{'
"""What the commit of a step of a transition request holds, and that of a direct transition."""

POLL = '"events":{'
"""What the commit of a poll holds, and no other."""

_AIMS = (POLL, WEBHOOKS, REQUESTS, REQUESTS, DIRECT, DIRECT)
"""Steps of governance come less often than the other commits: more of the kills wait for one."""

RANDOM, COMMIT, DISK, STOP = "at random", "at a commit point", "with a full disk", "stopped"
KINDS = {RANDOM: 35, COMMIT: 45, DISK: 12, STOP: 8}
"""How lives end, and how often: the last is no kill, but a SIGTERM."""

_LONGEST_S = {COMMIT: 5.0, DISK: 7.0}
"""A commit point has to be reached, and a full disk to be found full."""

REGISTRY, SERVER, PROXY = "registry", "server", "proxy"
"""What can fail beside the sinks: the wire to the registry, the registry itself, and the proxy before one sink."""

PROXY_WAYS = ("down", "forbids", "wants a password")
"""How the proxy fails."""


@dataclass(frozen=True)
class Outage:
    """``what`` (a sink, or the registry) fails so long after the life's start, for so long; in seconds."""

    what: str
    after: float
    lasts: float
    way: str = ""


@dataclass(frozen=True)
class Life:
    """One life of the daemon: how it ends, so long after its start, or after its first poll."""

    number: int
    kind: str
    lasts: float
    is_up: bool = False
    faults: Mapping[str, Any] = field(default_factory=dict)
    outages: Sequence[Outage] = ()


def lives(seed: int, sinks: Sequence[str], *, restarts: bool = False) -> Iterator[Life]:
    """Yield lives without end; with ``restarts``, the registry's server is ended now and then, too."""
    chance = random.Random(seed)  # noqa: S311
    points = list(POINTS)
    chance.shuffle(points)
    turns = cycle(points)
    for number in count(1):
        [kind] = chance.choices(list(KINDS), list(KINDS.values()))
        is_up = kind in {COMMIT, DISK, STOP} or chance.random() < 0.5
        yield Life(
            number,
            kind,
            chance.uniform(0.0, _LONGEST_S.get(kind, 2.0)),
            is_up,
            {**_faults(kind, chance, turns), **_silent_names(chance)},
            [*_outages(chance, sinks, restarts=restarts)],
        )


def _faults(kind: str, chance: random.Random, turns: Iterator[tuple[str, str]]) -> dict[str, Any]:
    if kind == DISK:
        return _full_disk(chance)
    if kind != COMMIT:
        return {"tight": True} if chance.random() < 0.2 else {}
    call, how = next(turns)
    early = 1 + int(30 * chance.random() ** 2)
    if call in {"pwrite", "fdatasync"}:
        if chance.random() < 0.5:
            return {"kill": [call, how, chance.randint(1, 2)], "holding": chance.choice(_AIMS)}
        return {"kill": [call, how, early]}
    if call == "ftruncate":  # what could not be written, or flushed, is cut off
        return {"kill": [call, how, 1], **_failed_write(chance, early)}
    rewritten = {"tight": True} if chance.random() < 0.5 else {"flush_fails": early}
    return {"kill": [call, how, chance.choice((1, 1, 2))], **rewritten}


def _failed_write(chance: random.Random, number: int) -> dict[str, Any]:
    return {"no_space": [number, number]} if chance.random() < 0.5 else {"flush_fails": number}


def _full_disk(chance: random.Random) -> dict[str, Any]:
    """Return a disk that is full for a while, and is not always full for as long as the life lasts."""
    since = chance.uniform(0.5, 3.0)
    tight = {"tight": True} if chance.random() < 0.3 else {}
    return {"full": [since, since + chance.uniform(0.5, 4.0), chance.choice((0, 1, 100, 2_000))], **tight}


def _silent_names(chance: random.Random) -> dict[str, Any]:
    """Return when look-ups of names hang, if they do."""
    since = chance.uniform(0.0, 2.0)
    return {"names": [since, since + chance.uniform(0.5, 4.0)]} if chance.random() < 0.3 else {}


def _outages(chance: random.Random, sinks: Sequence[str], *, restarts: bool) -> Iterator[Outage]:
    if chance.random() < 0.4:
        yield Outage(chance.choice(sinks), chance.uniform(0.0, 3.0), chance.uniform(0.2, 3.0))
    if chance.random() < 0.2:
        lasts = chance.uniform(0.3, 2.5)
        yield Outage(REGISTRY, chance.uniform(0.0, 4.0), lasts, chance.choice(WAYS))
    if chance.random() < 0.3:
        lasts = chance.uniform(0.3, 3.0)
        yield Outage(PROXY, chance.uniform(0.0, 3.0), lasts, chance.choice(PROXY_WAYS))
    if restarts and chance.random() < 0.03:
        yield Outage(SERVER, chance.uniform(0.0, 2.0), chance.uniform(0.2, 1.0))
