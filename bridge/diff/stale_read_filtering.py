"""Filters stale reads: answers of a registry that are older than the known snapshot. Pure.

Replicas lag behind, caches answer, and backups are restored. Every row of a model or version carries the time
of its last change; a row whose time went back is not accepted. Tags and aliases carry no time, and neither
does a deletion. These are not accepted if something in the same read is certainly old. From a registry that
has given stale reads before, they are not accepted either if the value was replaced a short while ago.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.diff.held_changes import aliases_within
from bridge.diff.previously_hidden_models import UNLIMITED, Horizon
from bridge.diff.recently_replaced_values import RecentlyReplacedValues, Superseded, former_versions
from bridge.diff.rename_detection import Pair, pair_models
from bridge.diff.snapshot import ModelVersion, Pairs, RegisteredModel, Snapshot
from bridge.diff.timestamp_regressions import Caution, TimestampRegression, find_regressions


@dataclass(frozen=True, slots=True)
class FilteredRead:
    """Which parts of a read are accepted.

    Attributes:
        after: the models as they are to be recorded.
        signs: the parts that read as older than they are known.
        withheld: the known names of the models of which not every part was accepted.
        doubtful: names to read again: a part reads as older than it is known, or changed twice in a short while.
    """

    after: Mapping[str, RegisteredModel]
    signs: tuple[TimestampRegression, ...] = ()
    withheld: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()

    @property
    def certain(self) -> tuple[TimestampRegression, ...]:
        """The regressions that an operator has to judge if they stay."""
        return tuple(sign for sign in self.signs if sign.is_certain)


def filter_stale_reads(
    before: Snapshot,
    after: Snapshot,
    memory: RecentlyReplacedValues,
    now_ms: int,
    caution: Caution = Caution.TRUSTING,
    horizon: Horizon = UNLIMITED,
) -> FilteredRead:
    """Return which parts of ``after`` are accepted, where it differs from ``before``.

    Args:
        before: the known state of the models that were read.
        after: the models as they were read.
        memory: the values that recent polls replaced.
        now_ms: the bridge's time, ms since the epoch.
        caution: how far the registry is trusted, whatever this read shows.
        horizon: tells what was created since the last scan from what may have been deleted long ago.
    """
    pairs = pair_models(before, after)
    found = [(pair, tuple(find_regressions(pair, memory, now_ms))) for pair in pairs]
    signs = tuple(sign for _, of_pair in found for sign in of_pair)
    if any(sign.is_certain for sign in signs):
        caution = Caution.SUSPECTING
    judge = _Judge(memory, now_ms, caution, signs, horizon)
    believed = _without_collisions([(pair, judge.believed(pair)) for pair in pairs])
    paired = {pair.after.name for pair in pairs if pair.after is not None}
    unchanged = {name: model for name, model in after.items() if name not in paired}
    return FilteredRead(
        after={**unchanged, **{model.name: model for _, model in believed if model is not None}},
        signs=signs,
        withheld=frozenset(_name(pair) for pair, model in believed if model != pair.after),
        doubtful=frozenset(
            model.name
            for pair, of_pair in found
            if of_pair or judge.is_unsure(pair)
            for model in (pair.before, pair.after)
            if model is not None
        ),
    )


def _name(pair: Pair) -> str:
    return pair.before.name if pair.before is not None else pair.after.name if pair.after is not None else ""


class _Judge:
    """Accepts the parts of a read, or keeps the known state in their place."""

    def __init__(
        self,
        memory: RecentlyReplacedValues,
        now_ms: int,
        caution: Caution,
        signs: Iterable[TimestampRegression],
        horizon: Horizon,
    ) -> None:
        self._memory = memory
        self._horizon = horizon
        self._caution = caution
        self._now_ms = now_ms
        self._standing: dict[str, set[str]] = {}
        for sign in signs:
            if sign.stands(caution, now_ms):
                self._standing.setdefault(sign.model, set()).add(sign.version)

    def believed(self, pair: Pair) -> RegisteredModel | None:
        """Return the model to be recorded, or None if there is none."""
        old, new = pair.before, self._with_its_own(pair.after) if pair.after is not None else None
        if old is None:
            return None if new is None or self._leaves_out(pair, new) else new
        if new is None:
            return old if self._keeps_model(old) else None
        return self._joined(old, new)

    def _with_its_own(self, new: RegisteredModel) -> RegisteredModel:
        """Leave out versions of another model that had this name until recently: versions are read by name."""
        others = self._memory.of_others(new)
        own = {
            number: version
            for number, version in new.versions.items()
            if all(one.created != version.created for one in former_versions(others, number))
        }
        return new if len(own) == len(new.versions) else replace(new, versions=own)

    def _leaves_out(self, pair: Pair, new: RegisteredModel) -> bool:
        """Whether a model that is not known may be deleted: the read may show the time before its deletion."""
        return new.name in self._standing or (
            self._caution is Caution.SUSPECTING and self._horizon.hides(pair)
        )

    def _keeps_model(self, old: RegisteredModel) -> bool:
        """Whether a missing model may still exist: the read may show the time before it had its name."""
        is_new = _is_new_under_its_name(old, self._lately(old.created))
        return self._caution is Caution.SUSPECTING or (self._caution is Caution.WARY and is_new)

    def _joined(self, old: RegisteredModel, new: RegisteredModel) -> RegisteredModel:
        standing = self._standing.get(old.name, set())
        is_behind = "" in standing
        is_moved = new.updated != old.updated and not is_behind
        versions = dict(self._versions(old, new, standing, is_moved=is_moved))
        row = old if is_behind else new
        if not is_moved:
            past = self._lately(old.created)
            tags = self._untimed(old.tags, row.tags, _tags(past))
            aliases = self._untimed(old.aliases, row.aliases, _aliases(past))
            row = replace(row, tags=tags, aliases=aliases)
        nowhere = {number for _, number in row.aliases} - new.versions.keys()  # not in the read at all
        aliases = aliases_within(row.aliases, old.aliases, versions.keys() | nowhere)
        return replace(row, versions=versions, aliases=aliases)

    def _versions(
        self, old: RegisteredModel, new: RegisteredModel, standing: set[str], *, is_moved: bool
    ) -> Iterator[tuple[str, ModelVersion]]:
        past = self._lately(old.created)
        for number in {**old.versions, **new.versions}:
            known, read = old.versions.get(number), new.versions.get(number)
            if number in standing or (read is None and self._keeps_version(number, past, is_moved=is_moved)):
                if known is not None:
                    yield number, known
            elif read is not None and (
                known is not None or self._caution is not Caution.SUSPECTING or is_moved
            ):
                yield number, self._version(known, read, past)

    def _keeps_version(self, number: str, past: Iterable[Superseded], *, is_moved: bool) -> bool:
        if self._caution is Caution.SUSPECTING and not is_moved:
            return True
        return self._caution is not Caution.TRUSTING and any(number in one.new_versions for one in past)

    def _version(
        self, known: ModelVersion | None, read: ModelVersion, past: Iterable[Superseded]
    ) -> ModelVersion:
        if known is None or (known.created, known.updated) != (read.created, read.updated):
            return read
        former = [one.tags for one in former_versions(past, read.version)]
        return replace(read, tags=self._untimed(known.tags, read.tags, former))

    def _untimed(self, known: Pairs, read: Pairs, former: Sequence[Pairs]) -> Pairs:
        """Return tags or aliases, which carry no time, as far as they are accepted."""
        if self._caution is Caution.TRUSTING:
            return read
        if self._caution is Caution.SUSPECTING:
            return known
        unsure = _changed_twice(known, read, former)
        kept = [(key, value) for key, value in known if key in unsure]
        return tuple(sorted([*kept, *((key, value) for key, value in read if key not in unsure)]))

    def _lately(self, created: int) -> list[Superseded]:
        return self._memory.lately(created, self._now_ms)

    def is_unsure(self, pair: Pair) -> bool:
        """Whether a value without a time changed twice in a short while: the second change may be a stale read."""
        old, new = pair.before, pair.after
        past = self._lately(old.created) if old is not None else []
        if old is None or new is None:
            return old is not None and _is_new_under_its_name(old, past)
        if _changed_twice(old.aliases, new.aliases, _aliases(past)) or _changed_twice(
            old.tags, new.tags, _tags(past)
        ):
            return True
        return any(
            _changed_twice(
                known.tags, new.versions[number].tags, [one.tags for one in former_versions(past, number)]
            )
            for number, known in old.versions.items()
            if number in new.versions
        )


def _is_new_under_its_name(model: RegisteredModel, past: Iterable[Superseded]) -> bool:
    return any(one.was is None or one.was.name != model.name for one in past)


def _aliases(past: Iterable[Superseded]) -> list[Pairs]:
    return [one.was.aliases if one.was else () for one in past]


def _tags(past: Iterable[Superseded]) -> list[Pairs]:
    return [one.was.tags if one.was else () for one in past]


def _changed_twice(known: Pairs, read: Pairs, former: Sequence[Pairs]) -> set[str]:
    """Return the keys that differ from their known value, where that value itself replaced another one recently.

    The value read need not equal the former one: between two polls it can have changed more than once.
    """
    before, now = dict(known), dict(read)
    earlier = [dict(one) for one in former]
    return {
        key
        for key in before.keys() | now.keys()
        if before.get(key) != now.get(key) and any(one.get(key) != before.get(key) for one in earlier)
    }


def _without_collisions(
    believed: Sequence[tuple[Pair, RegisteredModel | None]],
) -> list[tuple[Pair, RegisteredModel | None]]:
    """Keep the known state of models that took the name of a model whose loss of it is not accepted."""
    result = list(believed)
    while True:
        names = {model.name for pair, model in result if model is not None and _is_kept(pair, model)}
        clashing = [
            at
            for at, (pair, model) in enumerate(result)
            if model is not None and not _is_kept(pair, model) and model.name in names
        ]
        if not clashing:
            return result
        for at in clashing:
            result[at] = (result[at][0], result[at][0].before)


def _is_kept(pair: Pair, model: RegisteredModel) -> bool:
    """Whether a model still has the name under which it was known."""
    return pair.before is not None and model.name == pair.before.name
