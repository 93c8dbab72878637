"""The arguments of requests about transition requests, in the terms of Databricks' API (*Make a transition request* …)."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from bridge.config.validation_messages import did_you_mean
from bridge.errors import InvalidArgument
from bridge.events.event_names import STAGES
from bridge.governance.transition_request import RequestStatus
from bridge.governance.transition_target import Target, canonical_stage
from bridge.operations.bridge_api_arguments import PageArguments
from bridge.operations.webhook_arguments import Arguments

_LONGEST_COMMENT = 65_535
"""Databricks' limit (*Make a transition request*: ``comment``)."""

_LONGEST_IN_QUERY = 1_024
"""No server takes a longer query for sure."""

_LONGEST_NAME = 256


def _stage(name: str) -> str:
    found = canonical_stage(name)
    if found is None:
        if name.startswith("@"):
            msg = f"{name[:80]!r} is an alias, and no stage: give alias instead of stage"
            raise ValueError(msg)
        msg = f"{name[:80]!r} is no stage{did_you_mean(name[:80].capitalize(), STAGES)}"
        raise ValueError(msg)
    return found


def _alias(name: str) -> str:
    found = name.removeprefix("@")
    if not found or not found.isprintable():
        msg = "must be the name of an alias, such as champion"
        raise ValueError(msg)
    return found


def _as_text(value: object) -> object:
    """Take a version that is a number: MLflow's own documents show both."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]
Version = Annotated[str, BeforeValidator(_as_text), Field(min_length=1, max_length=_LONGEST_NAME)]
StageName = Annotated[str, AfterValidator(_stage)]
AliasName = Annotated[str, Field(max_length=_LONGEST_NAME), AfterValidator(_alias)]
Comment = Annotated[str, Field(max_length=_LONGEST_COMMENT)]


class MakeArguments(Arguments):
    """The arguments of *create*; `stage` or `alias` is needed."""

    name: Name
    """The name of the registered model."""
    version: Version
    """The version that is to get the stage."""
    stage: StageName | None = None
    """The stage that is asked for."""
    alias: AliasName | None = None
    """The alias that is asked for, instead of a stage."""
    comment: Comment = ""
    """Why."""
    archive_existing_versions: bool = False
    """Whether versions that are in the stage are to be archived."""


class OpenArguments(Arguments):
    """The arguments of *list*."""

    name: Name
    """The name of the registered model."""
    version: Version
    """The version that the requests are about."""


class WhichArguments(Arguments):
    """Which request: `transition_request_id`, or `name`, `version` and `stage` (or `alias`)."""

    transition_request_id: str = ""
    """The id of the request."""
    name: str = ""
    """The name of the registered model."""
    version: Annotated[str, BeforeValidator(_as_text)] = ""
    """The version that the request is about."""
    stage: StageName | None = None
    """The stage that is asked for."""
    alias: AliasName | None = None
    """The alias that is asked for, instead of a stage."""
    comment: Comment = ""
    """Why it is decided so."""

    @property
    def is_by_id(self) -> bool:
        """Whether the request is named by its id."""
        return bool(self.transition_request_id)


class ApproveArguments(WhichArguments):
    """The arguments of *approve*."""

    archive_existing_versions: bool | None = None
    """Whether versions that are in the stage are to be archived; left out: as the request says."""


class CancelArguments(WhichArguments):
    """The arguments of *delete*."""

    comment: Annotated[str, Field(max_length=_LONGEST_IN_QUERY)] = ""
    """Why it is taken back."""
    creator: str = ""
    """Who made the request; needed if it is not named by its id."""


class RequestsArguments(PageArguments):
    """Which requests to list."""

    model: str = ""
    """Only those about this registered model."""
    status: RequestStatus | None = None
    """Only those with this status."""


class RequestArguments(Arguments):
    """Which request."""

    request_id: str
    """The id of the request."""


def target_of(stage: str | None, alias: str | None) -> Target:
    """Return what is asked for.

    Raises:
        InvalidArgument: it is neither a stage nor an alias, or both.
    """
    if (stage is None) == (alias is None):
        what = "is missing" if stage is None else "goes without alias"
        raise InvalidArgument(f"stage: {what}: give a stage such as Production, or an alias such as champion")
    return Target(stage, alias)


def check_named(arguments: WhichArguments, needed: Iterable[str] = ("name", "version")) -> None:
    """Refuse arguments that name no request.

    Raises:
        InvalidArgument: something is missing.
    """
    missing = [name for name in needed if not getattr(arguments, name)]
    if missing and not arguments.is_by_id:
        rest = ", ".join(needed)
        msg = f"{missing[0]}: is missing: give transition_request_id, or {rest} and stage (or alias)"
        raise InvalidArgument(msg)
