"""Show the stages and aliases of models at an instant, as recorded in the state."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from bridge.cli.common_options import complain, print_json
from bridge.cli.text_tables import print_table
from bridge.delivery.event_routing import matches
from bridge.errors import NotFound
from bridge.events.display_text import instant
from bridge.events.stages_at_time import ModelAtTime, VersionAtTime, models_at
from bridge.store.recorded_history import Reach, holds_in, reach_of, recorded_in
from bridge.store.state_reader import StateReader


@dataclass(frozen=True, slots=True)
class Question:
    """The models (globs; none means all), the instant (ms since the epoch), and the largest number of rows."""

    at: int
    models: tuple[str, ...]
    limit: int | None

    def selects(self, name: str) -> bool:
        """Whether the model of this name is selected."""
        return not self.models or any(matches(name, glob) for glob in self.models)


def print_models_at(state: StateReader, question: Question, *, is_json: bool) -> None:
    """Print the selected models as they were at the instant.

    Raises:
        NotFound: there is no state yet, or the instant lies before the earliest record.
    """
    reach = reach_of(state)
    if reach is None:
        raise NotFound("not known: there is no state yet; the first poll takes the baseline")
    if question.at < reach.since:
        raise NotFound(f"not known before {instant(reach.since)}: {reach.why}")
    found = models_at(recorded_in(state, reach), question.at, question.selects)
    cautions = [*_cautions(state, reach, question.at), *_limits(found)]
    if is_json:
        print_json(_document(question, reach, found, cautions))
    else:
        _print(question, found, cautions)


def _cautions(state: StateReader, reach: Reach, at: int) -> Iterator[str]:
    if at > reach.until:
        yield f"the registry was last read at {instant(reach.until)}: what happened since is not known yet"
    for hold in holds_in(state.notes()):
        if hold.until is None and hold.since <= at:
            yield f"changes are held since {instant(hold.since)}: they are not in this answer (see status)"
        elif hold.until is not None and hold.since <= at < hold.until:
            yield (
                f"changes were held until {instant(hold.until)}: those whose time the registry does not "
                "record count from then on"
            )


def _limits(found: Sequence[ModelAtTime]) -> Iterator[str]:
    for model in found:
        if model.hidden_until is not None:
            yield f"{model.name} came into view at {instant(model.hidden_until)}: it is not known before"
        elif not model.is_complete:
            yield f"{model.name} was deleted since: it may have had versions that no event tells of"


def _document(
    question: Question, reach: Reach, found: Sequence[ModelAtTime], cautions: Sequence[str]
) -> dict[str, Any]:
    return {
        "at": question.at,
        "known_since": reach.since,
        "last_read_at": reach.until,
        "cautions": cautions,
        "models": [asdict(model) for model in found],
    }


def _print(question: Question, found: Sequence[ModelAtTime], cautions: Sequence[str]) -> None:
    rows = [_row(model, version) for model in found for version in model.versions or (None,)]
    click.echo(f"as of {instant(question.at)}")
    if not rows:
        click.echo("no model was there that fits")
    print_table(rows[: question.limit])
    if question.limit and len(rows) > question.limit:
        click.echo(f"({len(rows) - question.limit} more: --limit {len(rows)} shows all)")
    for caution in cautions:
        complain(caution)


def _row(model: ModelAtTime, version: VersionAtTime | None) -> dict[str, Any]:
    return {
        "MODEL": model.name + _now(model),
        "VERSION": version.version if version else None,
        "STAGE": (version.stage or "not known") if version else None,
        "ALIASES": ", ".join(version.aliases) if version else None,
        "SINCE": instant(version.since) if version else None,
    }


def _now(model: ModelAtTime) -> str:
    if model.now == model.name:
        return ""
    return f" (now {model.now})" if model.now else " (deleted since)"
