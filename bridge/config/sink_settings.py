"""The settings that every sink has, and the defaults of deliveries in ``[delivery]``."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, StrictInt, model_validator

from bridge.config.setting_types import Duration, Model, Rate, Secret, by_key
from bridge.config.template_validation import Samples, faults, gaps, samples_of
from bridge.config.tls_settings import AllowedHosts, TlsSettings
from bridge.delivery.allowed_destinations import Targets
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
"""The events that a filter applies to: a part of their names, and their plural in messages."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class DeliverySettings(Model):
    """How deliveries are made. A sink can override each key."""

    timeout: Duration = 15_000
    """The time limit of one attempt, from the connection to the end of the answer."""
    max_age: Duration = 72 * 3_600_000
    """How long after its first attempt an entry that is not delivered becomes dead."""
    first_retry: Duration = 2_000
    """The longest wait before the second attempt. It doubles with each further attempt."""
    longest_retry: Duration = 600_000
    """The limit of the wait between two attempts. Each wait is random, between zero and its longest value."""
    concurrency: StrictInt = Field(default=16, ge=1, le=1000)
    """How many models each sink delivers at the same time."""
    rate: Rate | None = None
    """The largest number of attempts per time unit, evenly spaced. Not set: no limit."""
    tls: TlsSettings = TlsSettings()
    """The CA certificates that deliveries trust, and the bridge's client certificate."""
    allowed_hosts: AllowedHosts | None = None
    """Host names (with `*`) and networks that deliveries may connect to. Not set: all."""


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

Glob = Annotated[str, AfterValidator(_glob)]
"""A glob of model names; one after ``!`` excludes."""

Pattern = Annotated[re.Pattern[str], PlainValidator(_pattern)]
"""A regular expression, compiled."""

SinkName = Annotated[str, AfterValidator(_sink_name)]
"""A name of letters, digits, dots, dashes and underscores."""

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
    """The settings that every sink has; each sink type adds its own keys."""

    name: SinkName
    """The sink's identity: 1 to 64 letters, digits, dots, dashes and underscores. A sink with another name is another sink."""
    type: str
    """The type of the sink."""
    events: tuple[Annotated[str, AfterValidator(_known_event)], ...] = Field(
        default=DEFAULT_EVENTS, min_length=1
    )
    """The names of the events that the sink gets."""
    models: tuple[Glob, ...] = ()
    """Globs of model names, case-sensitive. A glob after `!` excludes models. Empty: all."""
    to_stages: tuple[Stage, ...] = ()
    """Only transitions into these stages are delivered. Applies to transitions only. Empty: all."""
    from_stages: tuple[Stage, ...] = ()
    """Only transitions out of these stages are delivered. Applies to transitions only. Empty: all."""
    aliases: tuple[Pattern, ...] = ()
    """Regular expressions, one of which must match the whole alias. Applies to alias events only. Empty: all."""
    tags: dict[Annotated[str, Field(min_length=1)], str] = Field(default_factory=dict)
    """Tag keys with globs of their values, one of which must match. Applies to tag events only. Empty: all."""
    when: Condition | None = None
    """A JMESPath expression that must be true for the event."""
    include: tuple[Literal["run", "model", "version"], ...] = ()
    """What is added to each event as `details`. Empty: nothing."""
    include_policy: Literal["best_effort", "required"] = "best_effort"
    """Whether an event is delivered without details that cannot be fetched (`best_effort`), or waits for them (`required`)."""
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
    """Replaces the whole table in `[delivery]`, for this sink."""
    allowed_hosts: AllowedHosts | None = None
    """Replaces the whole list in `[delivery]`, for this sink."""

    @property
    def gets_events(self) -> bool:
        """Whether the sink gets events; a webhook may be switched off."""
        return True

    @property
    def requests_as_transitions(self) -> bool:
        """Whether requests for transitions are told to it as transitions are: only webhooks are."""
        return False

    def secrets(self) -> dict[str, Secret]:
        """Return the sink's secrets by key, including those in its tables (``app.private_key``)."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return dict(_secrets_in(values, ""))

    def secret_fault(self, key: str, secret: Secret) -> str:
        """Return why the secret under ``key`` cannot be used now; empty if it can."""
        try:
            misfit = self.misfit(key, secret.read())
        except SecretUnavailable as error:
            return str(error)
        return misfit and f"{secret}: {misfit}"

    def misfit(self, _key: str, _value: str) -> str:
        """Return what is wrong with a secret's value, without showing the value; empty if nothing is."""
        return ""

    def remarks(self) -> Iterator[str]:
        """Yield a warning, beginning with its key, for each setting that is valid but possibly a mistake."""
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
        """Return the default interval between attempts of this sink type in milliseconds; None for the common default."""
        return None

    @classmethod
    def default_concurrency(cls) -> int | None:
        """Return the default concurrency of this sink type; None for the common default."""
        return None

    def shapes(self) -> dict[str, Any]:
        """Return the sink's templates by key; each is validated with a sample of every event that the sink asks for."""
        return {}

    @property
    def wanted(self) -> Include:
        """The details that the sink asks for, and whether it requires them."""
        return Include(self.include, self.include_policy == "required")

    def targets(self, delivery: DeliverySettings) -> tuple[Targets | None, str]:
        """Return the hosts that the sink may connect to (None: all), and the key of the list that says so."""
        hosts = self.allowed_hosts or delivery.allowed_hosts
        key = f"sinks.{self.name}" if self.allowed_hosts else "delivery"
        return Targets.of(hosts) if hosts else None, f"{key}.allowed_hosts"

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
        """Return the origin of the sink's receiver, without parts that may be secret."""
        return ""

    def token_origin(self) -> str:
        """Return the origin where the sink fetches tokens, if it is not that of the receiver."""
        return ""

    def origins(self) -> tuple[str, ...]:
        """Return all origins that the sink sends requests to, each once."""
        return tuple(dict.fromkeys(filter(None, (self.origin(), self.token_origin()))))
