"""The arguments of the bridge's own API, ``/api/v1/``: one class for each kind of request. Times are ms since the epoch."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema

from bridge.events.change_hints import Hint
from bridge.events.event_names import EVENT_NAMES
from bridge.operations.webhook_arguments import Arguments, at_most, event_among, one_of

MOST = 500
"""How many items a page has at most."""

_USUAL = 50
_MOST_ALTERNATIVES = 100
_MOST_NUMBERS = 5_000
_MOST_HINTS = 1_000
_MOST_MEMBERS = 20
_LONGEST_NAME = 256


def _number(value: object) -> object:
    if isinstance(value, bool | str):
        msg = "must be a whole number"
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueError
    return value


EventType = Annotated[str, event_among(EVENT_NAMES), WithJsonSchema(one_of(EVENT_NAMES))]
Number = Annotated[int, BeforeValidator(_number), Field(ge=1)]
Numbers = Annotated[tuple[Number, ...], Field(min_length=1, max_length=_MOST_NUMBERS)]
Sinks = Annotated[tuple[str, ...], Field(max_length=MOST)]


class NoArguments(Arguments):
    """No arguments."""


class PageArguments(Arguments):
    """A page of a list, newest first."""

    limit: Annotated[int, Field(ge=1, le=MOST)] = _USUAL
    """How many items are returned at most."""
    cursor: str = ""
    """Where to go on: `next_cursor` of the page before."""


class EventsArguments(PageArguments):
    """Which events to list."""

    model: Annotated[tuple[str, ...], at_most(_MOST_ALTERNATIVES)] = ()
    """Globs of model names; several are alternatives, and `!` before one excludes models."""
    type: Annotated[tuple[EventType, ...], at_most(_MOST_ALTERNATIVES)] = ()
    """Names of events; several are alternatives."""
    since: Annotated[int, Field(ge=0)] | None = None
    """Only those that were observed at this time or later."""
    until: Annotated[int, Field(ge=0)] | None = None
    """Only those that were observed at this time or earlier."""


class EventArguments(Arguments):
    """Which event."""

    event_id: str
    """The id of the event, which receivers get as `X-MLflow-Delivery-Id`."""


class ReplayArguments(Arguments):
    """What to send again."""

    events: Annotated[tuple[str, ...], Field(min_length=1, max_length=_MOST_NUMBERS)]
    """The ids of events."""
    sinks: Sinks = ()
    """To which sinks; left out: to all that ask for the events now."""
    new_ids: StrictBool = False
    """Whether receivers get new ids, so that they do not take them for repetitions."""


class EntriesArguments(PageArguments):
    """Which entries of the outbox to list."""

    sink: tuple[str, ...] = ()
    """Names of sinks; several are alternatives."""
    status: tuple[Literal["pending", "delivered", "dead"], ...] = ()
    """States of entries; several are alternatives."""


class EntryArguments(Arguments):
    """Which entry."""

    number: Annotated[int, Field(ge=1)]
    """The number of the entry."""


class NumbersArguments(Arguments):
    """Which entries."""

    entries: Numbers
    """The numbers of entries."""


class SinkArguments(Arguments):
    """Which sink."""

    name: str
    """The name of the sink; that of a webhook is its id."""


class SinkTestArguments(SinkArguments):
    """Which sink to test, and how."""

    event: EventType | None = None
    """The event to send; left out: the first that the sink asks for."""
    dry_run: StrictBool = False
    """Whether the request is only built and shown, not sent."""


class HintArguments(Arguments):
    """What MLflow's server answered with success."""

    model: Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]
    """The model that was changed, by its name before."""
    operation: Annotated[str, Field(max_length=_LONGEST_NAME)] = ""
    """The end of the path in MLflow's REST API, such as `model-versions/transition-stage`."""
    arguments: dict[str, str] = Field(default_factory=dict, max_length=_MOST_MEMBERS)
    """The members of the request, as text."""
    user: Annotated[str, Field(max_length=_LONGEST_NAME)] | None = None
    """Who changed it; left out: that is not known."""

    def hint(self) -> Hint:
        """Return the hint."""
        return Hint(self.model, self.operation, self.arguments, self.user)


class HintsArguments(Arguments):
    """What MLflow's server answered with success, in that order."""

    hints: Annotated[tuple[HintArguments, ...], at_most(_MOST_HINTS)] = ()
    """The hints."""
    workspace: str | None = None
    """MLflow's workspace; left out: there are none."""


class PollArguments(Arguments):
    """How to poll."""

    full: StrictBool = False
    """Whether the whole registry is scanned."""
    accept_held: StrictBool = False
    """Whether the hold that stands is accepted."""
