"""Types of option values: instants, entry numbers and event names."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
from click.shell_completion import CompletionItem

from bridge.cli.shell_completion import starting_with
from bridge.config import parse_duration
from bridge.config.validation_messages import did_you_mean
from bridge.events.event_names import EVENT_NAMES, STAGES
from bridge.governance.transition_target import Target, canonical_stage

NOTE_KINDS = (
    *(
        "appeared",
        "surfaced",
        "missed",
        "doubted",
        "left_aside",
        "readable",
        "undecided",
        "held",
        "accepted",
        "lifted",
        "rebaselined",
        "restored",
    ),
    *("redriven", "dropped", "replayed", "paused", "resumed"),
    *("webhook_created", "webhook_updated", "webhook_deleted", "webhooks_rekeyed"),
    *(
        "request_created",
        "request_refused",
        "request_seconded",
        "request_approved",
        "request_rejected",
        "request_cancelled",
    ),
    *("request_expired", "request_applied", "request_failed"),
    *("transition_refused", "transition_reverted", "transition_overtaken", "transition_kept"),
)
"""The kinds of notes in the audit trail (see `bridge.store.state_metadata.Note`)."""


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant in ms since the epoch; ``zone`` is the time zone that was assumed if none was given."""

    at: int
    zone: str = ""


def parse_instant(text: str, now_ms: int) -> Instant:
    """Parse an instant: ISO 8601, a date (its beginning), or a duration before now, such as ``2h``.

    Raises:
        ValueError: ``text`` has none of these forms.
    """
    try:
        return Instant(now_ms - parse_duration(text))
    except ValueError:
        pass
    try:
        given = datetime.fromisoformat(text.strip())
        moment = given.astimezone()
        at = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        msg = (
            f"{text!r} is no instant: write 2026-11-01T12:00 (local time), 2026-11-01T12:00Z, "
            "2026-11-01, or so long ago: 2h, 7d"
        )
        raise ValueError(msg) from None
    return Instant(at, f"{moment.tzname()}, {moment:%z}" if given.tzinfo is None else "")


class InstantParam(click.ParamType[Instant]):
    """The type of an option that takes an instant."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Instant:
        """Return the instant; anything else is a usage error."""
        try:
            return parse_instant(value, time.time_ns() // 1_000_000)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class EntryParam(click.ParamType[int]):
    """The type of an option that takes the number of an outbox entry."""

    name = "entry"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; anything else is a usage error."""
        text = str(value)
        if not (text.isascii() and text.isdigit() and int(text)):
            self.fail(f"{text!r} is no entry's number: mlflow-bridge outbox list shows them", param, ctx)
        return int(text)


class EventNameParam(click.ParamType[str]):
    """The type of an option that takes an event name of the configuration, or a note kind of the audit trail."""

    name = "name"

    def __init__(self, *more: str) -> None:
        """Accept ``more`` names beside the event names."""
        self._known = (*EVENT_NAMES, *more)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name; an unknown one is a usage error that suggests a name."""
        if value not in self._known:
            self.fail(f"{value!r} is not the name of an event{did_you_mean(value, self._known)}", param, ctx)
        return value

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that begin with the incomplete word."""
        return starting_with(incomplete, self._known)


class TargetParam(click.ParamType[Target]):
    """The type of an argument that takes a stage in any case, or an alias after ``@``."""

    name = "target"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Target:
        """Return the target; an unknown stage is a usage error that suggests one."""
        text = str(value)
        if text.startswith("@") and len(text) > 1 and text.isprintable():
            return Target(alias=text[1:])
        stage = canonical_stage(text)
        if stage is None:
            meant = did_you_mean(text.capitalize(), STAGES)
            self.fail(
                f"{text!r} is no stage{meant}; an alias is written @{text.removeprefix('@') or 'champion'}",
                param,
                ctx,
            )
        return Target(stage=stage)

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the stages that begin with the incomplete word."""
        return starting_with(incomplete, STAGES)


def print_assumed_zone(*instants: Instant | None) -> None:
    """Print on stderr the time zone that was assumed for instants without one."""
    zones = {instant.zone: None for instant in instants if instant and instant.zone}
    if zones:
        click.echo(f"mlflow-bridge: times without a zone are local: {'; '.join(zones)}", err=True)
