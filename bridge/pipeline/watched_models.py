"""Selects the models that every poll reads by name, because a sink asks for changes that move no timestamp.

Changes of aliases, tags, descriptions and version states do not update the model's timestamp, by which a
registry lists recent changes. (MLflow updates it for transitions, versions and renames.)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.delivery.event_routing import Route, matches, split_globs
from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.event_names import EVENT_NAMES

MOST_ROWS = 1_000
"""How many models are watched at most; reading that many by name takes about a second."""

MOST_UNNAMED = 100
"""If the registry has at most this many models, they are watched also for a sink that names none."""

MOST_VERSIONS = 50
"""For how many models the versions are watched at most: each takes a request of its own."""

_ALL = "*"

Named = tuple[str, tuple[str, ...]]
"""A glob that selects models, and the globs beside it that exclude some."""

_IN_ROWS = frozenset({K.ALIAS_SET, K.ALIAS_DELETED, K.MODEL_TAG_SET, K.MODEL_TAG_DELETED})
_IN_VERSIONS = frozenset({K.VERSION_TAG_SET, K.VERSION_TAG_DELETED, K.VERSION_UPDATED, K.STATUS_CHANGED})


@dataclass(frozen=True, slots=True)
class Watch:
    """The models to read by name at every poll: the rows of all of them, the versions of some.

    ``is_cut`` says that sinks name more models than these limits allow: full scans find the changes of the
    others.
    """

    rows: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    is_cut: bool = False


def watch_of(routes: Sequence[Route], names: Iterable[str], *, has_names: bool = True) -> Watch:
    """Return the models to watch for ``routes``, out of those with these ``names``.

    If the registry cannot be asked for several names at once, fewer models are watched. A sink that names no
    models, in a registry with many, is served by the full scans.
    """
    for_rows, for_versions = _globs(routes, _IN_ROWS), _globs(routes, _IN_VERSIONS)
    globs = for_rows | for_versions
    if not globs:
        return Watch()
    known = list(names) if any(_is_glob(glob) for glob, _ in globs) else []
    most_rows = MOST_ROWS if has_names else MOST_VERSIONS
    of_all = {named for named in globs if named[0] == _ALL}
    is_cut = bool(of_all) and len(known) > min(MOST_UNNAMED, most_rows)
    if is_cut:
        for_rows, for_versions = for_rows - of_all, for_versions - of_all
    versions = _named(for_versions, known)
    rows = _named(for_rows, known) | versions
    return Watch(
        frozenset(rows if len(rows) <= most_rows else ()),
        frozenset(versions if len(versions) <= MOST_VERSIONS else ()),
        is_cut=is_cut or len(rows) > most_rows or len(versions) > MOST_VERSIONS,
    )


def _globs(routes: Sequence[Route], kinds: frozenset[K]) -> set[Named]:
    return {
        (glob, split_globs(route.models)[1])
        for route in routes
        if any(EVENT_NAMES[name].kind in kinds for name in route.events)
        for glob in split_globs(route.models)[0] or (_ALL,)
    }


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _named(globs: set[Named], known: Sequence[str]) -> set[str]:
    named = {glob for glob, excluding in globs if not _is_glob(glob) and not _is_in(glob, excluding)}
    return named | {
        name
        for name in known
        for glob, excluding in globs
        if matches(name, glob) and not _is_in(name, excluding)
    }


def _is_in(name: str, globs: Sequence[str]) -> bool:
    return any(matches(name, glob) for glob in globs)
