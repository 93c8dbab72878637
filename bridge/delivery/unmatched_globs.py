"""Finds globs that match no model of a registry, and suggests what was meant. Pure."""

from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches

from bridge.delivery.event_routing import EXCLUDES, matches


def unmatched(globs: Sequence[str], names: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield, for each glob that matches none of ``names``, its index and a sentence about it."""
    for place, written in enumerate(globs):
        glob = written.removeprefix(EXCLUDES)
        if not any(matches(name, glob) for name in names):
            yield (
                place,
                f"{written!r} {_matches_none(len(names))}{_meant(written, glob, names)}",
            )


def _matches_none(number: int) -> str:
    if number == 1:
        return "does not match the registry's only model"
    return f"matches none of the registry's {number} models"


def _meant(written: str, glob: str, names: Collection[str]) -> str:
    """Return a suggestion: brackets that are part of a name, another case, or another spelling."""
    mark = written.removesuffix(glob)
    literal = glob.replace("[", "[[]")
    if literal != glob and any(matches(name, literal) for name in names):
        return f": [ and ] stand for one of the characters between them: did you mean {mark + literal!r}?"
    cased = sorted(name for name in names if matches(name.lower(), glob.lower()))
    if cased:
        return f": capitals count, and there is {cased[0]!r}"
    close = get_close_matches(glob, names, n=1)
    return f": did you mean {mark + close[0]!r}?" if close else ""
