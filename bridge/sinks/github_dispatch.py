"""The ``github_dispatch`` sink: a ``repository_dispatch`` event that starts GitHub workflows.

GitHub REST API, *Create a repository dispatch event*: ``POST
/repos/{owner}/{repo}/dispatches``; ``event_type`` of 1 to 100 characters, ``client_payload``
with at most 10 top-level members and less than 65,535 characters; 204 on success. Secondary
limits (GitHub, *Rate limits for the REST API*) come as 403 or 429.
"""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bridge import __version__
from bridge.config import HttpUrl, Secret, SinkSettings
from bridge.delivery.answers import interpret, retry_after_ms
from bridge.delivery.outcome import Outcome, Reason, rejected, retryable
from bridge.events.formats import default_payload, encode
from bridge.events.shapes import compile_shape
from bridge.events.signatures import DELIVERY_ID_HEADER
from bridge.sinks.base import Delivery, Request, Response, Transport
from bridge.sinks.shared import answered, origin, with_header_secret
from bridge.sinks.templates import TemplateTable, rendered

MAX_PAYLOAD_KEYS = 10
MAX_PAYLOAD_CHARACTERS = 65_534
_SECONDARY_WAIT_MS = 60_000
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_MENDS = {
    401: "the token is refused: it is wrong, expired or revoked",
    403: "the token lacks a permission: a fine-grained token needs Contents: write",
    404: "no such repository, or the token cannot see it: check repository, api_url and the token's access",
}


def _repository(name: str) -> str:
    if not _REPOSITORY.fullmatch(name) or name.endswith(("/.", "/..")):
        msg = 'must be an owner and a repository, such as "acme/deploy"'
        raise ValueError(msg)
    return name


def _within_limits(payload: dict[str, Any]) -> dict[str, Any]:
    broken = broken_limit(payload)
    if broken:
        raise ValueError(broken.removeprefix("client_payload "))
    return payload


class GithubDispatchSettings(SinkSettings):
    """``type = "github_dispatch"``."""

    type: Literal["github_dispatch"]
    repository: Annotated[str, AfterValidator(_repository)]
    event_type: Annotated[str, Field(min_length=1, max_length=100)]
    client_payload: Annotated[TemplateTable, AfterValidator(_within_limits)] | None = None
    token: Secret
    api_url: HttpUrl = "https://api.github.com"

    def shapes(self) -> dict[str, Any]:
        """Return the template of the payload, where there is one."""
        return {} if self.client_payload is None else {"client_payload": self.client_payload}

    @property
    def url(self) -> str:
        """Where dispatches go."""
        return f"{self.api_url.rstrip('/')}/repos/{self.repository}/dispatches"

    def origin(self) -> str:
        """Return the API's origin and the repository."""
        return f"{origin(self.api_url)} {self.repository}"


class GithubDispatchSink:
    """`bridge.sinks.base.Sink` for `GithubDispatchSettings`."""

    def __init__(self, settings: GithubDispatchSettings, transport: Transport, timeout_ms: int) -> None:
        """Wire the sink."""
        self._settings = settings
        self._transport = transport
        self._timeout_ms = timeout_ms
        self._shape = None if settings.client_payload is None else compile_shape(settings.client_payload)

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Dispatch the event once, if it keeps GitHub's limits."""
        payload = self._payload(delivery)
        if isinstance(payload, Outcome):
            return payload
        broken = broken_limit(payload)
        if broken:
            return rejected(Reason.LIMIT, broken)
        token = with_header_secret(f"sinks.{self._settings.name}.token", self._settings.token)
        if isinstance(token, Outcome):
            return token
        body = encode({"event_type": self._settings.event_type, "client_payload": payload})
        answer = await self._transport.post(self._request(delivery, body, token))
        return answered(answer, lambda got: judge(got, delivery.now_ms))

    def _payload(self, delivery: Delivery) -> dict[str, Any] | Outcome:
        if self._shape is None:
            return default_payload(delivery.event, delivery.event_name, ("delivery_id", delivery.event.id))
        payload: dict[str, Any] | Outcome = rendered(
            "client_payload", self._shape, delivery, self._settings.name
        )
        return payload

    def _request(self, delivery: Delivery, body: bytes, token: str) -> Request:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": f"mlflow-bridge/{__version__}",
            "X-GitHub-Api-Version": "2022-11-28",
            DELIVERY_ID_HEADER: delivery.event.id,
        }
        return Request(self._settings.url, headers, body, self._timeout_ms, (token,))


def broken_limit(payload: dict[str, Any]) -> str:
    """Return which of GitHub's limits ``payload`` breaks, or nothing."""
    if len(payload) > MAX_PAYLOAD_KEYS:
        return f"client_payload has {len(payload)} top-level keys, GitHub takes {MAX_PAYLOAD_KEYS}"
    size = len(json.dumps(payload))
    if size > MAX_PAYLOAD_CHARACTERS:
        return f"client_payload has {size} characters, GitHub takes {MAX_PAYLOAD_CHARACTERS}"
    return ""


def judge(answer: Response, now_ms: int) -> Outcome:
    """Return what GitHub's answer means; its rate limits come as 403 as well as 429."""
    if answer.status in {403, 429}:
        wait = rate_limit_ms(answer, now_ms)
        if wait is not None:
            detail = f"HTTP {answer.status}: GitHub's rate limit"
            return retryable(Reason.RATE_LIMITED, detail, answer.status, wait)
    outcome = interpret(answer.status, answer.headers, now_ms)
    mend = _MENDS.get(answer.status)
    if mend:
        return retryable(Reason.MISCONFIGURED, f"HTTP {answer.status}: {mend}", answer.status)
    return outcome


def rate_limit_ms(answer: Response, now_ms: int) -> int | None:
    """Return how long GitHub asks to wait, in ms, or None where no rate limit is the reason."""
    wait = retry_after_ms(answer.headers, now_ms)
    if wait is not None:
        return wait
    if answer.headers.get("x-ratelimit-remaining") == "0":
        reset = answer.headers.get("x-ratelimit-reset", "")
        if reset.isascii() and reset.isdigit():
            return min(max(int(reset[:12]) * 1000 - now_ms, 1_000), 3_600_000)
        return _SECONDARY_WAIT_MS
    limited = answer.status == 429 or "secondary rate limit" in answer.excerpt.lower()
    return _SECONDARY_WAIT_MS if limited else None
