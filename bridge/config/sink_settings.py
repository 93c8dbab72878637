"""What every sink has, and how deliveries are made unless it says otherwise."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, StrictInt, model_validator

from bridge.config.setting_types import Duration, Model, Rate, Secret, by_key
from bridge.config.template_validation import Samples, faults, gaps, samples_of
from bridge.config.tls_settings import AllowedHosts, TlsSettings
from bridge.delivery.event_routing import EXCLUDES
from bridge.errors import SecretUnavailable
from bridge.events.event_details import Include
from bridge.events.event_names import DEFAULT_EVENTS, EVENT_NAMES, STAGES
from bridge.events.jmespath_expressions import Expression, compile_expression
from bridge.events.json_templates import ShapeFault

_LIKE_A_PATTERN = re.compile(r"\.[*+]|^!?\^|\$$")

_CONCERNS = {
    "to_stages": ("TRANSITIONED", "transitions"),
    "from_stages": ("TRANSITIONED", "transitions"),
    "aliases": ("ALIAS", "aliases"),
}
"""Which events a filter concerns: a part of their names, and what they are called."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class DeliverySettings(Model):
    """How deliveries are made; a sink can override each."""

    timeout: Duration = 15_000
    """How long one attempt may take, from the connection to the end of the answer."""
    max_age: Duration = 72 * 3_600_000
    """An entry that nobody took for this long, from its first attempt, is dead."""
    first_retry: Duration = 2_000
    """The longest wait before the second attempt; it doubles with each attempt after it."""
    longest_retry: Duration = 600_000
    """The longest wait between two attempts. Each wait is drawn by lot, from nothing up to its ceiling."""
    concurrency: StrictInt = Field(default=16, ge=1, le=1000)
    """How many models are delivered at a time, for each sink."""
    rate: Rate | None = None
    """How many attempts are made at most, evenly apart; not set: no limit."""
    tls: TlsSettings = TlsSettings()
    """Whom deliveries trust, and who the bridge says it is."""
    allowed_hosts: AllowedHosts | None = None
    """Names (with `*`) and networks that deliveries may connect to; not set: anywhere."""


def _known_stage(name: str) -> str:
    if name not in STAGES:
        msg = "is not the name of a stage"
        raise ValueError(msg)
    return name


def _known_event(name: str) -> str:
    if name not in EVENT_NAMES:
        msg = "is not the name of an event"
        raise ValueError(msg)
    return name


def _sink_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        msg = 'must be 1 to 64 letters, digits, dots, dashes or underscores, such as "ci" or "deploy-eu"'
        raise ValueError(msg)
    return name


def _glob(text: str) -> str:
    if not text.removeprefix(EXCLUDES):
        msg = 'must be the name of a model, or a glob such as "fraud-*"; "!" before it leaves models out'
        raise ValueError(msg)
    return text


def _pattern(value: object) -> re.Pattern[str]:
    if not isinstance(value, str):
        msg = "must be a text in quotes"
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueError
    try:
        return re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        place = (
            f"at character {error.pos + 1}: " if isinstance(error, re.error) and error.pos is not None else ""
        )
        what = error.msg if isinstance(error, re.error) else "it is too large"
        raise ValueError(f"{place}is no regular expression: {what}") from None


def _condition(value: object) -> Expression:
    if not isinstance(value, str):
        msg = """must be a JMESPath expression in quotes, such as "user_id == 'ann'\""""
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueError
    condition = compile_expression(value)
    if "details" in condition.members:
        at = value.index("details") + 1
        raise ValueError(
            f"at character {at}: details are fetched for events that go to the sink: they cannot decide which do"
        )
    return condition


Stage = Annotated[str, AfterValidator(_known_stage)]
"""The name of a stage."""

Condition = Annotated[Expression, PlainValidator(_condition)]
"""A JMESPath expression over an event, compiled."""


def _secrets_in(values: Mapping[str, object], within: str) -> Iterator[tuple[str, Secret]]:
    for name, value in values.items():
        key = f"{within}{name}"
        if isinstance(value, Secret):
            yield key, value
        elif isinstance(value, tuple):
            yield from by_key(key, tuple(one for one in value if isinstance(one, Secret))).items()
        elif isinstance(value, Model):
            yield from _secrets_in(dict(value), f"{key}.")
        elif isinstance(value, Mapping):
            yield from _secrets_in(value, f"{key}.")


class SinkSettings(Model):
    """What every sink has; each kind of sink adds its own keys."""

    name: Annotated[str, AfterValidator(_sink_name)]
    """The sink's identity, 1 to 64 letters, digits, dots, dashes and underscores: renaming it makes another sink of it."""
    type: str
    """The kind of sink."""
    events: tuple[Annotated[str, AfterValidator(_known_event)], ...] = Field(
        default=DEFAULT_EVENTS, min_length=1
    )
    """The names of the events that it gets."""
    models: tuple[Annotated[str, AfterValidator(_glob)], ...] = ()
    """Globs of models' names, case-sensitive; `!` before one leaves models out. Empty: all."""
    to_stages: tuple[Stage, ...] = ()
    """Lets transitions into these stages through; concerns nothing else. Empty: all."""
    from_stages: tuple[Stage, ...] = ()
    """Lets transitions out of these stages through; concerns nothing else. Empty: all."""
    aliases: tuple[Annotated[re.Pattern[str], PlainValidator(_pattern)], ...] = ()
    """Regular expressions, one of which has to match the whole alias; concerns events of aliases only. Empty: all."""
    tags: dict[Annotated[str, Field(min_length=1)], str] = Field(default_factory=dict)
    """Keys of tags, with globs of their values, any of which lets an event of a tag through. Empty: all."""
    when: Condition | None = None
    """A JMESPath expression that has to be true for the event."""
    include: tuple[Literal["run", "model", "version"], ...] = ()
    """What goes with each event, as `details`. Empty: nothing."""
    include_policy: Literal["best_effort", "required"] = "best_effort"
    """Whether an event is delivered without details that the registry does not tell, or waits for them."""
    timeout: Duration | None = None
    """As in `[delivery]`, for this sink."""
    max_age: Duration | None = None
    """As in `[delivery]`, for this sink."""
    first_retry: Duration | None = None
    """As in `[delivery]`, for this sink."""
    longest_retry: Duration | None = None
    """As in `[delivery]`, for this sink."""
    concurrency: StrictInt | None = Field(default=None, ge=1, le=1000)
    """As in `[delivery]`, for this sink."""
    rate: Rate | None = None
    """As in `[delivery]`, for this sink."""
    tls: TlsSettings | None = None
    """In place of the whole table in `[delivery]`, for this sink."""
    allowed_hosts: AllowedHosts | None = None
    """In place of the whole list in `[delivery]`, for this sink."""

    def secrets(self) -> dict[str, Secret]:
        """Return the sink's secrets by their key, those in its tables too (``app.private_key``)."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return dict(_secrets_in(values, ""))

    def secret_fault(self, key: str, secret: Secret) -> str:
        """Return why the secret under ``key`` cannot be used as it is now, or nothing where it can."""
        try:
            misfit = self.misfit(key, secret.read())
        except SecretUnavailable as error:
            return str(error)
        return misfit and f"{secret}: {misfit}"

    def misfit(self, _key: str, _value: str) -> str:
        """Return what is wrong with a secret that is there, without showing it, or nothing."""
        return ""

    def remarks(self) -> Iterator[str]:
        """Yield a sentence, key first, for whatever is right but may not be what was meant."""
        yield from gaps(self.shapes(), self.when, self.samples())
        yield from self._idle_filters()

    def _idle_filters(self) -> Iterator[str]:
        for index, glob in enumerate(self.models):
            if _LIKE_A_PATTERN.search(glob):
                yield f"models[{index}]: {glob!r} is read as a glob, not as a regular expression: write 'fraud-*'"
        asked = {EVENT_NAMES[name].name for name in self.events}
        for key, (part, kind) in _CONCERNS.items():
            if getattr(self, key) and not any(part in name.upper() for name in asked):
                yield f"{key}: does nothing: it concerns {kind} alone, and events asks for none"

    @classmethod
    def default_rate_ms(cls) -> int | None:
        """Return how far apart attempts are unless it is configured, in ms; None: as the others."""
        return None

    @classmethod
    def default_concurrency(cls) -> int | None:
        """Return how many models are served at a time unless it is configured; None: as the others."""
        return None

    def shapes(self) -> dict[str, Any]:
        """Return the sink's templates by their key; each is tried out on a sample of every event asked for."""
        return {}

    @property
    def wanted(self) -> Include:
        """What the sink wants to be told besides events."""
        return Include(self.include, self.include_policy == "required")

    def samples(self) -> Samples:
        """Return a sample of every event that the sink asks for."""
        return samples_of(self.name, self.events, self.to_stages, self.include)

    @model_validator(mode="after")
    def _templates_have_values(self) -> Self:
        shapes = self.shapes()
        found = faults(shapes, self.samples()) if shapes else []
        if found:
            raise ShapeFault(found)
        return self

    def origin(self) -> str:
        """Return where the sink delivers to, without anything that may be secret."""
        return ""

    def token_origin(self) -> str:
        """Return where the sink asks for tokens, if that is elsewhere than where it delivers to."""
        return ""

    def origins(self) -> tuple[str, ...]:
        """Return all places that the sink sends to, each once."""
        return tuple(dict.fromkeys(filter(None, (self.origin(), self.token_origin()))))
