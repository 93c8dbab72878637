"""Verifies a listing by point reads, repeated until the answers are consistent.

Each request shows one moment, and models are renamed, deleted and replaced between requests. So an answer can
put earlier ones in doubt. A model that is missing under its name is searched under other names before it
counts as deleted.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from bridge.diff.absence_verification import (
    Absence,
    Answer,
    Answers,
    Doubt,
    Listing,
    doubts,
    last_seen,
    may_be_another,
    missing_creations,
    models_to_reread,
)
from bridge.diff.known_snapshot import KnownModels
from bridge.diff.recently_replaced_values import RecentlyReplacedValues
from bridge.diff.rename_detection import Pair
from bridge.diff.snapshot import RegisteredModel
from bridge.diff.stale_read_filtering import FilteredRead
from bridge.diff.timestamp_regressions import TimestampRegression, find_regressions
from bridge.errors import RegistryLacks
from bridge.pipeline.registry_clock import Reading
from bridge.registry.base import Deadline, Registry

_ROUNDS = 8
"""How many rounds of point reads to make; models that still change are left for the next poll."""

_MOST_ASKED_AGAIN = 20
"""How many models that read as older than they are known are read again at most."""


@dataclass(frozen=True, slots=True)
class ListingVerification:
    """The point reads of one poll.

    Attributes:
        registry: the registry to ask.
        known: the known snapshot of it.
        since: the registry's time before which nothing new can be, ms.
        turn: a number that differs each time, so that another model is asked for first: the time may not
            suffice for all of them.
        deadline: when to stop.
    """

    registry: Registry
    known: KnownModels
    since: int
    turn: int
    deadline: Deadline

    def verify(self, listing: Listing, settled: Answers) -> dict[str, Answer]:
        """Return the point reads of all models that ``listing`` leaves in doubt, and the ``settled`` answers.

        Raises:
            RegistryError: the registry gave no answer.
        """
        doubted = {doubt.name for doubt in doubts(self.known, listing)}
        replaced = _replaced(self.registry, self.known, listing, self.deadline)
        return self._read_until_consistent(listing, settled, (doubted | replaced) - settled.keys())

    def read_again(self, reading: Reading, seen: FilteredRead) -> Reading:
        """Read models again that read as older than they are known; return the reading with the answers.

        Of many such models, only a few are read: they show whether the reading is stale. A model that has moved
        since it was read first is searched under other names.

        Raises:
            RegistryError: the registry gave no answer.
        """
        names = set(sorted(seen.doubtful)[:_MOST_ASKED_AGAIN])
        answers = self._read_until_consistent(reading.listing, reading.answers, names)
        read_again = {name: answers[name] for name in names}
        contradicted = _contradicted(self.known, seen.signs, read_again)
        return replace(reading, answers=answers, contradicted=(*reading.contradicted, *contradicted))

    def _read_until_consistent(
        self, listing: Listing, earlier: Answers, names: set[str]
    ) -> dict[str, Answer]:
        """Read ``names``, and whatever the answers put in doubt; return them with the ``earlier`` answers."""
        known, answers, reasked = self.known, dict(earlier), set[tuple[str, int]]()
        for _ in range(_ROUNDS):
            found = self._point_reads(names)
            answers = {**{name: one for name, one in answers.items() if name not in found}, **found}
            # Still found after it was seen under another name: there are two models of one millisecond.
            again = models_to_reread(known, listing, answers, names).items() - reasked
            reasked |= again
            names = {name for name, _ in again}
            missing = set() if names else missing_creations(known, listing, answers)
            rows = _sighted(self.registry, missing, self.since, self.deadline)
            names |= {row.name for row in rows if last_seen(known, listing, answers, row.name) != row.created}
            if not names:
                return answers
        moving = missing_creations(known, listing, answers)
        seen = {*listing.models, *answers}
        names |= {name for name in seen if name in known and known[name].created in moving}
        return {**answers, **dict.fromkeys(names, Absence.UNKNOWN)}

    def _point_reads(self, names: set[str]) -> Mapping[str, Answer]:
        asked = [Doubt(name, self.known.get(name)) for name in sorted(names)]
        start = self.turn % max(1, len(asked))
        return self.registry.ask(asked[start:] + asked[:start], self.deadline) if asked else {}


def _replaced(registry: Registry, known: KnownModels, listing: Listing, deadline: Deadline) -> set[str]:
    """Return the models whose versions may have been read while another model had their name.

    A model is listed before its versions. If it is still there afterwards, the versions are its own.
    """
    created = {
        name: model.created
        for name, model in (listing.models.items() if known else ())
        if may_be_another(model, known.get(name))
    }
    rows = {row.name: row.created for row in registry.rows(sorted(created), deadline)} if created else {}
    return {name for name in created if rows.get(name) != created[name]}


def _sighted(
    registry: Registry, instants: Collection[int], since: int, deadline: Deadline
) -> list[RegisteredModel]:
    """Return the rows of models with these creation timestamps among those updated since."""
    rows = _latest(registry, since, deadline) if instants else ()
    return [row for row in rows if row.created in instants]


def _latest(registry: Registry, since: int, deadline: Deadline) -> Iterator[RegisteredModel]:
    try:
        for pages in registry.latest(deadline):
            for page in pages:
                yield from page
                if not page or page[-1].updated < since:
                    break
    except RegistryLacks:  # the registry has no such order: the next scan shows them
        return


def contradictions(
    known: KnownModels, listing: Listing, answers: Answers, memory: RecentlyReplacedValues, now_ms: int
) -> tuple[TimestampRegression, ...]:
    """Return the parts that a listing showed as older than known, but a point read showed as known.

    Args:
        known: the known snapshot of the registry.
        listing: the result of the read.
        answers: the point reads of models in doubt.
        memory: the values that recent polls replaced.
        now_ms: the bridge's time, ms since the epoch.
    """
    listed = [
        (known[name], listing.models[name]) for name in answers if name in known and name in listing.models
    ]
    pairs = [Pair(old, new) for old, new in listed if old.created == new.created]
    signs = (sign for pair in pairs for sign in find_regressions(pair, memory, now_ms))
    return _contradicted(known, signs, answers)


def _contradicted(
    known: KnownModels, signs: Iterable[TimestampRegression], answers: Answers
) -> tuple[TimestampRegression, ...]:
    return tuple(sign for sign in signs if _is_as_known(known.get(sign.model), answers.get(sign.model), sign))


def _is_as_known(known: RegisteredModel | None, answer: Answer | None, sign: TimestampRegression) -> bool:
    """Whether a part that read as older now reads as known: then the earlier reading was stale."""
    if known is None or not isinstance(answer, RegisteredModel) or sign.read == sign.known:
        return False
    if not sign.version:
        return answer.updated == known.updated
    version = known.versions.get(sign.version)
    return version is not None and answer.versions.get(sign.version) == version
