"""The settings of tokens for the HTTP API: ``[[server.tokens]]``."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, PlainValidator, StrictBool

from bridge.config.setting_types import Model, Secret
from bridge.config.validation_messages import did_you_mean
from bridge.governance.transition_request import ANONYMOUS

Permission = Literal["read", "operate", "webhooks", "request", "decide"]
"""What a token may do: look; change sinks and entries, and poll; manage webhooks; request transitions; decide on them."""

_SHORTEST = 16

PERMISSIONS: tuple[Permission, ...] = get_args(Permission)


def _permission(value: object) -> Permission:
    for known in PERMISSIONS:
        if value == known:
            return known
    msg = f"{value!r} is no permission{did_you_mean(str(value), PERMISSIONS)}"
    raise ValueError(msg)


def _label(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        msg = 'must be a name such as "ci", for the audit trail'
        raise ValueError(msg)
    if name == ANONYMOUS:  # its requests would not be known as its own, and it could decide on them
        msg = f"{name!r} stands for whoever is not known: give the token another name"
        raise ValueError(msg)
    return name


class TokenSettings(Model):
    """A token that clients of the API send."""

    name: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_label)]
    """The name that the audit trail has for whoever uses the token."""
    token: Secret
    """The token itself: at least 16 characters."""
    may: tuple[Annotated[Permission, PlainValidator(_permission)], ...] = Field(min_length=1)
    """What it may do: `read`, `operate`, `webhooks`, `request`, `decide`."""
    acts_for_users: StrictBool = False
    """Whether it is that of the plug-in in MLflow's server, which says on whose behalf it asks, and sends hints."""


def token_fault(value: str) -> str:
    """Return why ``value`` cannot be a token, without showing it; empty if it can."""
    if not all("!" <= char <= "~" for char in value):
        return "holds a character that no token has: make one of letters and digits (openssl rand -hex 32)"
    if len(value) >= _SHORTEST:
        return ""
    return f"is too short: make one of {_SHORTEST} characters or more (openssl rand -hex 32)"
