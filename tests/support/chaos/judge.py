"""Whether a storm cost anything: what receivers wrote down, against what the state recorded. Pure."""

import hashlib
import hmac
import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

_READ_LATE_S = 5.0
"""How much later than it was sent a busy receiver may read a request, at most."""


@dataclass(frozen=True)
class Request:
    """What a receiver wrote down of a request; ``taken`` where it meant to answer 2xx."""

    sink: str
    id: str
    raw: str
    at: float
    taken: bool = True
    does: str = "ok"
    signature: str = ""
    timestamp: str = ""
    cookie: str = ""

    @classmethod
    def of(cls, sink: str, line: Mapping[str, Any]) -> Self:
        """Return the request of which ``line`` tells."""
        return cls(sink, **{one.name: line[one.name] for one in fields(cls) if one.name != "sink"})

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)


@dataclass(frozen=True)
class Due:
    """An event that has to come to a sink: the numbers of one lane are the order."""

    sink: str
    id: str
    lane: str
    number: int


@dataclass(frozen=True)
class Noted:
    """That the daemon said, at that time, that a delivery is settled as delivered."""

    sink: str
    id: str
    at: float


def lost(
    requests: Iterable[Request], due: Iterable[Due], wanted: Iterable[tuple[str, str]] = ()
) -> list[str]:
    """Return what was recorded and never taken; ``wanted`` are sinks and ids that the sinks' filters name."""
    taken, routed = _taken(requests), {(one.sink, one.id): one for one in due}
    return [
        *(
            f"{sink}: {event} was recorded, and not routed"
            for sink, event in wanted
            if (sink, event) not in routed
        ),
        *(
            f"{one.sink}: {one.id} (entry {one.number}) was never taken"
            for key, one in routed.items()
            if key not in taken
        ),
    ]


def out_of_order(requests: Iterable[Request], due: Sequence[Due]) -> list[str]:
    """Return the requests that came before an earlier one of their lane was taken."""
    places = {(one.sink, one.id): one for one in due}
    waiting: dict[tuple[str, str], list[Due]] = defaultdict(list)
    for one in sorted(due, key=lambda one: -one.number):
        waiting[one.sink, one.lane].append(one)
    faults, taken = [], set()
    for request in requests:
        place = places.get((request.sink, request.id))
        if place is None:
            continue
        lane = waiting[place.sink, place.lane]
        while lane and (lane[-1].sink, lane[-1].id) in taken:
            lane.pop()
        if lane and lane[-1].number < place.number:
            faults.append(
                f"{place.sink}, lane {place.lane!r}: {place.id} (entry {place.number}) came before "
                f"{lane[-1].id} (entry {lane[-1].number}) was taken"
            )
        if request.taken:
            taken.add((request.sink, request.id))
    return faults


def altered(requests: Iterable[Request], due: Iterable[Due]) -> list[str]:
    """Return ids that nobody recorded, and ids that stand for two bodies."""
    known, bodies, faults = {(one.sink, one.id) for one in due}, {}, []
    for one in requests:
        key = one.sink, one.id
        if key not in known:
            faults.append(f"{one.sink}: {one.id} came, and is not recorded: {one.raw}")
        if bodies.setdefault(key, one.raw) != one.raw:
            faults.append(f"{one.sink}: {one.id} came as {bodies[key]} and as {one.raw}")
    return faults


def forged(requests: Iterable[Request], secret: str) -> list[str]:
    """Return the requests whose signature is not that of their id, time and body."""
    return [
        f"{one.sink}: {one.id} is signed {one.signature!r}"
        for one in requests
        if not hmac.compare_digest(one.signature, signature(one, secret))
    ]


def carried_over(requests: Iterable[Request]) -> list[str]:
    """Return the requests that hold what an answer before them said: a session that nobody asked to keep."""
    return [f"{one.sink}: {one.id} came with the cookie {one.cookie!r}" for one in requests if one.cookie]


def signature(request: Request, secret: str) -> str:
    """Return what the request's signature has to be, as the contract describes it."""
    signed = f"{request.id}.{request.timestamp}.{request.raw}".encode("latin-1")
    return "v1," + b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def forgotten(requests: Iterable[Request], noted: Iterable[Noted]) -> list[str]:
    """Return what was sent again long after it was settled: a commit that was acknowledged is gone."""
    settled = {(one.sink, one.id): one.at for one in noted}
    return [
        f"{one.sink}: {one.id} was settled, and came again {one.at - settled[one.sink, one.id]:.1f} s later"
        for one in requests
        if one.at > settled.get((one.sink, one.id), one.at) + _READ_LATE_S
    ]


def repeats(requests: Iterable[Request]) -> int:
    """Return how many requests were taken that had been taken before."""
    taken = [(one.sink, one.id) for one in requests if one.taken]
    return len(taken) - len(set(taken))


def _taken(requests: Iterable[Request]) -> set[tuple[str, str]]:
    return {(one.sink, one.id) for one in requests if one.taken}


def first_takes(requests: Iterable[Request], sink: str) -> Iterator[Request]:
    """Yield what a sink took, each id once."""
    seen: set[str] = set()
    for one in requests:
        if one.sink == sink and one.taken and one.id not in seen:
            seen.add(one.id)
            yield one
