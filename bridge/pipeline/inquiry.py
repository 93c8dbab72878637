"""Ask what a listing leaves in doubt, and again, until the answers fit together.

Requests show one moment each, and models are renamed, deleted and replaced between them. So an
answer can put in doubt what was seen before it, and a model that is gone from its name is
looked for under another before it counts as deleted.
"""

from collections.abc import Collection, Iterator
from itertools import islice

from bridge.diff.doubts import Absence, Answer, Answers, Doubt, Listing, departed, doubts, reopened
from bridge.diff.known import KnownModels
from bridge.diff.snapshot import RegisteredModel
from bridge.errors import RegistryLacks
from bridge.registry.base import Deadline, Registry

_ROUNDS = 4
"""How often to ask; what moves all the time is left for the next poll."""

_PAGES = 2
"""How far to look among the models updated last: a rename is an update, and was a moment ago."""


def inquire(
    registry: Registry, known: KnownModels, listing: Listing, settled: Answers, deadline: Deadline
) -> dict[str, Answer]:
    """Return the answers to everything that ``listing`` leaves in doubt, beside those ``settled``.

    Raises:
        RegistryError: an answer did not come.
    """
    answers = dict(settled)
    asked = [doubt for doubt in doubts(known, listing) if doubt.name not in settled]
    for _ in range(_ROUNDS):
        names = [doubt.name for doubt in asked]
        found = registry.ask(asked, deadline) if asked else {}
        answers = {**{name: one for name, one in answers.items() if name not in found}, **found}
        asked = reopened(known, listing, answers, names)
        asked = asked or _sighted(registry, known, departed(known, listing, answers), deadline)
        if not asked:
            return answers
    moving = departed(known, listing, answers)
    unknown = (
        name for name in {*listing.models, *answers} if name in known and known[name].created in moving
    )
    return {**answers, **dict.fromkeys(unknown, Absence.UNKNOWN)}


def _sighted(
    registry: Registry, known: KnownModels, instants: Collection[int], deadline: Deadline
) -> list[Doubt]:
    """Return the names under which models of these creations show among those updated last."""
    rows = _latest(registry, deadline) if instants else ()
    names = {row.name for row in rows if row.created in instants}
    return [Doubt(name, known.get(name)) for name in sorted(names)]


def _latest(registry: Registry, deadline: Deadline) -> Iterator[RegisteredModel]:
    try:
        for pages in registry.latest(deadline):
            for page in islice(pages, _PAGES):
                yield from page
    except RegistryLacks:  # without that order, the next scan shows it
        return
