"""A webhook: a sink that was created at run time, through the API, the page or a command. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum, unique
from typing import Any, Self


@unique
class WebhookStatus(StrEnum):
    """What a webhook does (Databricks, *Create a webhook*: ``status``)."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"
    """No event is routed to it, and nothing is sent."""
    TEST_MODE = "TEST_MODE"
    """As `DISABLED`; it is meant to be tested before it is activated."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as the state holds it. All times are ms since the epoch.

    Attributes:
        id: 32 hex digits; it is the name of the sink as well.
        events: the names of the events that it gets, as they were asked for.
        url: where the events are sent to.
        model_name: the model whose events it gets; None for those of all models.
        description: a text for people.
        status: whether it is active.
        verifies_tls: what the client asked for. TLS is always verified, so it is False for ``http:`` alone.
        secret: the secret that requests are signed with, encrypted; empty if there is none.
        authorization: the value of the ``Authorization`` header, encrypted; empty if there is none.
        created_at, updated_at: when it was created, and last changed.
        request: a digest of the request that created it, to recognise its repetition.
    """

    id: str
    events: tuple[str, ...]
    url: str
    model_name: str | None = None
    description: str = ""
    status: WebhookStatus = WebhookStatus.ACTIVE
    verifies_tls: bool = True
    secret: str = ""
    authorization: str = ""
    created_at: int = 0
    updated_at: int = 0
    request: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it gets events."""
        return self.status is WebhookStatus.ACTIVE

    def to_document(self) -> dict[str, Any]:
        """Return the webhook as plain JSON values, for the store."""
        return {**asdict(self), "events": list(self.events), "status": self.status.value}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the webhook that `to_document` wrote; members of later versions are ignored."""
        values = {field.name: document[field.name] for field in fields(cls) if field.name in document}
        return cls(**{**values, "events": tuple(values["events"]), "status": WebhookStatus(values["status"])})
