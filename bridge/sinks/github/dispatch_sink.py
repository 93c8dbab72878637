"""The ``github_dispatch`` sink: sends a ``repository_dispatch`` event that starts GitHub workflows.

GitHub REST API, *Create a repository dispatch event*: ``POST /repos/{owner}/{repo}/dispatches``;
``event_type`` of 1 to 100 characters, ``client_payload`` with at most 10 top-level members and less than
65,535 characters; 204 on success.
"""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict, rejected
from bridge.events.event_details import too_large
from bridge.events.formats import default_payload, encode
from bridge.events.json_templates import ShapeFault, compile_shape
from bridge.sinks.base import Delivery, Response, Transport
from bridge.sinks.github.api_requests import GithubApi
from bridge.sinks.github.github_settings import GithubSettings, judge, mends
from bridge.sinks.http_answer_reading import answered_elsewhere
from bridge.sinks.sink_templates import TemplateTable, rendered
from bridge.sinks.sink_type_definition import Kind

MAX_PAYLOAD_KEYS = 10
MAX_PAYLOAD_CHARACTERS = 65_534
_ONLY_IN_TEMPLATES = ("webhook_id", "sink")
"""Members that templates see in addition to those of the default payload."""
_UNPROCESSABLE = "GitHub does not take this event_type or client_payload; mend the sink, then run 'mlflow-bridge outbox redrive'"


def _within_limits(payload: dict[str, Any]) -> dict[str, Any]:
    broken = broken_limit(payload)
    if broken:
        raise ValueError(broken.removeprefix("client_payload "))
    return payload


class GithubDispatchSettings(GithubSettings):
    """``type = "github_dispatch"``."""

    type: Literal["github_dispatch"]
    """`github_dispatch`: starts the workflows that are `on: repository_dispatch`. Needs *Contents: write*."""
    event_type: Annotated[str, Field(min_length=1, max_length=100)]
    """What workflows name in `types`, 1 to 100 characters."""
    client_payload: Annotated[TemplateTable, AfterValidator(_within_limits)] | None = None
    """What workflows get, with `${…}` in its texts, 10 keys at most; left out: the default body, with `delivery_id` for `webhook_id`."""

    @model_validator(mode="after")
    def _details_have_a_place(self) -> Self:
        if self.client_payload is not None or not self.include:
            return self
        full = [
            name
            for name, sample in self.samples().sparse.items()
            if len(sample) - len(_ONLY_IN_TEMPLATES) > MAX_PAYLOAD_KEYS
        ]
        if full:
            msg = (
                f"the payload of {', '.join(full)} has {MAX_PAYLOAD_KEYS} top-level keys already, "
                "which is all that GitHub takes: choose them with client_payload"
            )
            raise ShapeFault([(("include",), msg)])
        return self

    def shapes(self) -> dict[str, Any]:
        """Return the template of the payload, if there is one."""
        return {} if self.client_payload is None else {"client_payload": self.client_payload}


class GithubDispatchSink:
    """`bridge.sinks.base.Sink` for `GithubDispatchSettings`."""

    def __init__(self, settings: GithubDispatchSettings, transport: Transport, timeout_ms: int) -> None:
        """Compose the sink."""
        self._settings = settings
        self._api = GithubApi(settings, "contents", transport, timeout_ms)
        said = mends("Contents: write", "no such repository", by_app=settings.app is not None)
        self._mends = {**said, 422: _UNPROCESSABLE}
        self._shape = None if settings.client_payload is None else compile_shape(settings.client_payload)

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Dispatch the event once, if it is within GitHub's limits."""
        payload = self._payload(delivery)
        if isinstance(payload, Outcome):
            return payload
        payload = _fitting(payload)
        broken = broken_limit(payload)
        if broken:
            return rejected(Reason.LIMIT, broken)
        body = encode({"event_type": self._settings.event_type, "client_payload": payload})
        path = f"/repos/{self._settings.repository}/dispatches"
        return await self._api.post(path, body, delivery, self._judge)

    def _payload(self, delivery: Delivery) -> dict[str, Any] | Outcome:
        if self._shape is None:
            return default_payload(delivery.event, delivery.event_name, ("delivery_id", delivery.event.id))
        payload: dict[str, Any] | Outcome = rendered(
            "client_payload", self._shape, delivery, self._settings.name
        )
        return payload

    def _judge(self, answer: Response, _token: str, now_ms: int) -> Outcome:
        outcome = judge(answer, now_ms, self._mends)
        if outcome.verdict is Verdict.DELIVERED and answer.status != 204:
            return answered_elsewhere(answer, now_ms, "GitHub", "204", "api_url")
        return outcome


def _fitting(payload: dict[str, Any]) -> dict[str, Any]:
    """Return ``payload``, with shorter or no details if only they exceed a limit: the event is more important."""
    details = payload.get("details")
    if not broken_limit(payload) or not isinstance(details, dict):
        return payload
    without = {key: value for key, value in payload.items() if key != "details"}
    brief = {**without, "details": too_large(details)}
    return without if broken_limit(brief) else brief


def broken_limit(payload: dict[str, Any]) -> str:
    """Return a sentence on the limit of GitHub that ``payload`` exceeds, or nothing."""
    if len(payload) > MAX_PAYLOAD_KEYS:
        return f"client_payload has {len(payload)} top-level keys, GitHub takes {MAX_PAYLOAD_KEYS}"
    size = len(json.dumps(payload))
    if size > MAX_PAYLOAD_CHARACTERS:
        return f"client_payload has {size} characters, GitHub takes {MAX_PAYLOAD_CHARACTERS}"
    return ""


KIND = Kind(GithubDispatchSettings, GithubDispatchSink, is_http=True)
