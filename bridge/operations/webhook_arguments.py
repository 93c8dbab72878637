"""The arguments of requests about webhooks, in the terms of Databricks' API (*Create a webhook* and so on)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from bridge.config import HttpUrl
from bridge.config.validation_messages import did_you_mean
from bridge.delivery.webhook import WebhookStatus
from bridge.errors import InvalidArgument
from bridge.events.event_names import EVENT_NAMES

M = TypeVar("M", bound="Arguments")

MOST_RESULTS = 1_000
"""How many webhooks a page of the list has at most, and unless it is asked for less."""

_MOST_TOLD = 10
_LONGEST_TEXT = 1_024
_LONGEST_URL = 2_048
_LONGEST_NAME = 256

UNOBSERVED = ("COMMENT_CREATED",)
"""Databricks' event that nothing gives rise to: open-source MLflow has no comments."""

_KNOWN = (*EVENT_NAMES, *UNOBSERVED)


def at_most(number: int) -> BeforeValidator:
    """Return a validator that refuses a longer list before its items are looked at."""

    def short(value: object) -> object:
        if isinstance(value, list | tuple) and len(value) > number:
            msg = f"must have at most {number} items"
            raise ValueError(msg)
        return value

    return BeforeValidator(short)


def event_among(known: Sequence[str] | Mapping[str, Any]) -> AfterValidator:
    """Return a validator of the names of events that are ``known``."""

    def event(name: str) -> str:
        if name not in known:
            msg = f"{name[:80]!r} is not the name of an event{did_you_mean(name[:80], known)}"
            raise ValueError(msg)
        return name

    return AfterValidator(event)


def _status(value: object) -> WebhookStatus:
    for status in WebhookStatus:
        if value == status.value:
            return status
    names = [status.value for status in WebhookStatus]
    msg = f"{value!r:.80} is no status{did_you_mean(str(value)[:80], names)}"
    raise ValueError(msg)


def _without_repetition(events: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(events))


def _one_line(text: str) -> str:
    if not text.isprintable():
        msg = "must be one line of printable characters"
        raise ValueError(msg)
    return text


def _header_value(text: str) -> str:
    if text.strip() != text or not all(" " <= char <= "~" for char in text):
        msg = "holds a character that no header takes, or begins or ends with a blank"
        raise ValueError(msg)
    return text


def one_of(names: Iterable[str]) -> dict[str, Any]:
    """Return the JSON schema of a text that is one of ``names``."""
    return {"type": "string", "enum": list(names)}


Event = Annotated[str, event_among(_KNOWN), WithJsonSchema(one_of(_KNOWN))]
_MOST_EVENTS = 100
Events = Annotated[
    tuple[Event, ...],
    Field(min_length=1),
    AfterValidator(_without_repetition),
    at_most(_MOST_EVENTS),
]
Status = Annotated[WebhookStatus, BeforeValidator(_status)]
Text = Annotated[str, Field(max_length=_LONGEST_TEXT)]


class Arguments(BaseModel):
    """Arguments of a request; members with the value null are as if they were left out."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True
    )


class HttpUrlSpec(Arguments):
    """Where a webhook sends its requests, and how."""

    url: Annotated[HttpUrl, Field(max_length=_LONGEST_URL)]
    """Where events are sent to; without user name and password."""
    enable_ssl_verification: bool = True
    """Whether TLS is verified. It always is; False is accepted for http:// alone, where it means nothing."""
    secret: Annotated[Text, AfterValidator(_one_line)] = ""
    """What requests are signed with; empty: they are not signed."""
    authorization: Annotated[Text, AfterValidator(_header_value)] = ""
    """The value of the `Authorization` header; empty: none is sent."""


class CreateArguments(Arguments):
    """The arguments of *create*."""

    events: Events
    """The names of the events that the webhook gets."""
    http_url_spec: HttpUrlSpec
    """Where the webhook sends its requests."""
    model_name: Annotated[str, Field(max_length=_LONGEST_NAME)] = ""
    """The registered model whose events it gets; left out: those of all models."""
    description: Text = ""
    """A description, for people."""
    status: Status = WebhookStatus.ACTIVE
    """`ACTIVE`, `DISABLED`, or `TEST_MODE`."""


class UpdateArguments(Arguments):
    """The arguments of *update*: each that is given replaces the present value as a whole."""

    id: str
    """The id of the webhook."""
    events: Events | None = None
    """As in *create*."""
    http_url_spec: HttpUrlSpec | None = None
    """As in *create*; a secret or an authorization that is left out is removed."""
    description: Text | None = None
    """As in *create*."""
    status: Status | None = None
    """As in *create*."""


class IdArguments(Arguments):
    """Which webhook."""

    id: str
    """The id of the webhook."""


class TestArguments(IdArguments):
    """The arguments of *test*."""

    __test__ = False

    event: Event | None = None
    """The event to send; left out: the first one of the webhook."""


class ListArguments(Arguments):
    """The arguments of *list*."""

    model_name: str = ""
    """Only the webhooks of this registered model."""
    events: Annotated[tuple[Event, ...], at_most(_MOST_EVENTS)] = ()
    """Only the webhooks that get one of these events."""
    max_results: Annotated[int, Field(ge=1)] = MOST_RESULTS
    """How many webhooks are returned at most."""
    page_token: str = ""
    """Where to go on: `next_page_token` of the page before."""


def parse_strictly(model: type[M], given: Mapping[str, Any]) -> M:
    """Return the arguments of a request that may have no member that is not known.

    Raises:
        InvalidArgument: as in `parse_arguments`, or a member is not known.
    """
    nulls = [
        name for name, value in given.items() if value is None and model.model_fields.get(name) is not None
    ]
    faults = [f"{name}: must not be null: leave it out" for name in nulls if not _takes_null(model, name)]
    if faults:
        raise InvalidArgument("; ".join(faults))
    found, _ = parse_arguments(model, given)
    unknown = [name for name in given if name not in model.model_fields]
    if unknown:
        raise InvalidArgument(_unknown(unknown[0]))
    return found


def _unknown(name: str) -> str:
    return f"{name:.80}: is no member of this request"


def _takes_null(model: type[BaseModel], name: str) -> bool:
    return model.model_fields[name].default is None


def parse_arguments(model: type[M], given: Mapping[str, Any]) -> tuple[M, list[str]]:
    """Return the arguments of a request, and a warning for each member that is not known.

    Members with the value null are as if they were left out.

    Raises:
        InvalidArgument: an argument is missing, or cannot be used; the message names each, and what to give.
    """
    present = _without_nulls(given)
    faults = [*_jobs(present), *_misspelt(model, present, "")]
    try:
        found = model.model_validate(present)
    except ValidationError as error:
        found_at = error.errors(include_url=False, include_input=False)
        inner = {fault["loc"][:-1] for fault in found_at}  # a list is empty if its only item is wrong
        faults += [_line(fault) for fault in found_at if fault["loc"] not in inner]
    if faults:
        told = list(dict.fromkeys(faults))
        more = f"; and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
        raise InvalidArgument("; ".join(told[:_MOST_TOLD]) + more)
    faults += _unverified(found)
    if faults:
        raise InvalidArgument(faults[0])
    known = {*model.model_fields, "job_spec"}
    return found, [f"{_unknown(name)}, and was ignored" for name in present if name not in known]


def _without_nulls(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_nulls(value) if isinstance(value, Mapping) else value
        for name, value in given.items()
        if value is not None
    }


def _jobs(given: Mapping[str, Any]) -> Iterator[str]:
    if given.get("job_spec"):
        yield "job_spec: the bridge starts no jobs of Databricks: give http_url_spec with the URL of a receiver"


def _misspelt(model: type[BaseModel], given: Mapping[str, Any], within: str) -> Iterator[str]:
    """Yield a fault for each member that is probably meant to be another: ignored, it would widen the webhook."""
    for name, value in given.items():
        close = [] if name in model.model_fields else get_close_matches(name, model.model_fields, n=1)
        if close:
            yield f"{within}{name:.80}: is no member of this request (did you mean {close[0]!r}?)"
        if name == "http_url_spec" and isinstance(value, Mapping):
            yield from _misspelt(HttpUrlSpec, value, "http_url_spec.")


def _unverified(found: Arguments) -> Iterator[str]:
    spec = getattr(found, "http_url_spec", None)
    if isinstance(spec, HttpUrlSpec) and spec.url.startswith("https:") and not spec.enable_ssl_verification:
        yield (
            "http_url_spec.enable_ssl_verification: must be true for https: the bridge always verifies certificates; "
            "a CA of your own goes into delivery.tls.ca_file"
        )


_TYPES: Mapping[str, str] = {
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "tuple_type": "must be a list of texts",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "missing": "is missing",
}
"""Messages for pydantic's errors, in the terms of JSON."""

_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "literal_error": ("one of", "expected"),
}
"""How a limit is told, and where pydantic's errors hold it."""

_EXAMPLES: Mapping[str, str] = {
    "events": ': a list such as ["MODEL_VERSION_TRANSITIONED_STAGE"]',
    "http_url_spec": ': an object such as {"url": "https://ci.example.com/hooks/mlflow"}',
    "url": ', as in "https://ci.example.com/hooks/mlflow"',
    "id": ": create and list tell it",
}


def _line(fault: Any) -> str:
    path: Sequence[int | str] = fault["loc"]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return f"{key}: {_told(fault, str(path[-1]) if path else '')}"


def _told(fault: Any, name: str) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in _TYPES:
        return _TYPES[kind] + _EXAMPLES.get(name, "")
    if kind == "too_short":
        return "must not be empty" + _EXAMPLES.get(name, "")
    if kind in {"string_too_long", "too_long"}:
        unit = "characters" if kind == "string_too_long" else "items"
        return f"must have at most {context['max_length']} {unit}"
    if kind in _BOUNDS:
        word, limit = _BOUNDS[kind]
        return f"must be {word} {context[limit]}"
    return str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
