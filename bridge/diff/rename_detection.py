"""Pairs each model of one snapshot with the same model of the next.

A name is not an identity: models are renamed, and a name can be given to another model after a deletion. The
creation timestamp survives a rename (MLflow moves the rows), so it tells a rename from a deletion followed by
a creation. Where several models share a creation timestamp, the creation timestamps of their versions decide.
What stays undecided is flagged as ambiguous.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bridge.diff.snapshot import RegisteredModel, Snapshot

Fits = Callable[[RegisteredModel, RegisteredModel], bool]


@dataclass(frozen=True, slots=True)
class Pair:
    """A model before and after; one side is ``None`` for a deletion or a creation."""

    before: RegisteredModel | None
    after: RegisteredModel | None
    ambiguous: bool = False


def pair_models(before: Snapshot, after: Snapshot) -> list[Pair]:
    """Pair the models that differ. Order: deletions, then changed models by their old name, then new models."""
    changed: list[Pair] = []
    gone: list[RegisteredModel] = []
    new = {name for name in after if name not in before}
    for name, old in before.items():
        now = after.get(name)
        if now is None or now.created != old.created:
            gone.append(old)
            new |= {name} if now else set()
        elif now != old:
            changed.append(Pair(old, now))
    return sorted(changed + _pair_renames(gone, [after[name] for name in new]), key=_order)


def _order(pair: Pair) -> tuple[int, str]:
    if pair.after is None:
        return (0, pair.before.name if pair.before else "")
    return (1, pair.before.name) if pair.before else (2, pair.after.name)


def _pair_renames(gone: Iterable[RegisteredModel], new: Iterable[RegisteredModel]) -> list[Pair]:
    olds, news = _by_creation(gone), _by_creation(new)
    result: list[Pair] = []
    for created in olds.keys() | news.keys():
        result += _pair_group(olds.get(created, []), news.get(created, []))
    return result


def _by_creation(models: Iterable[RegisteredModel]) -> dict[int, list[RegisteredModel]]:
    groups: dict[int, list[RegisteredModel]] = defaultdict(list)
    for model in models:
        groups[model.created].append(model)
    return groups


def _pair_group(olds: Sequence[RegisteredModel], news: Sequence[RegisteredModel]) -> list[Pair]:
    """Pair models that were all created in the same millisecond."""
    remaining_old, remaining_new = list(olds), list(news)
    pairs: list[Pair] = []
    for fits in (_shares_version, is_compatible):
        for old, new in _mutual(remaining_old, remaining_new, fits):
            remaining_old.remove(old)
            remaining_new.remove(new)
            pairs.append(Pair(old, new))
    pairs += [Pair(o, None, any(is_compatible(o, n) for n in remaining_new)) for o in remaining_old]
    pairs += [Pair(None, n, any(is_compatible(o, n) for o in remaining_old)) for n in remaining_new]
    return pairs


def _mutual(
    olds: Sequence[RegisteredModel], news: Sequence[RegisteredModel], fits: Fits
) -> list[tuple[RegisteredModel, RegisteredModel]]:
    """Return the pairs in which each model fits the other and no third one."""
    matches = [(old, new) for old in olds for new in news if fits(old, new)]
    of_old = Counter(old.name for old, _ in matches)
    of_new = Counter(new.name for _, new in matches)
    return [(old, new) for old, new in matches if of_old[old.name] == of_new[new.name] == 1]


def _shares_version(old: RegisteredModel, new: RegisteredModel) -> bool:
    return is_compatible(old, new) and any(number in new.versions for number in old.versions)


def is_compatible(old: RegisteredModel, new: RegisteredModel) -> bool:
    """Whether no version number that both have belongs to two different versions."""
    return all(
        new.versions[number].created == version.created
        for number, version in old.versions.items()
        if number in new.versions
    )
