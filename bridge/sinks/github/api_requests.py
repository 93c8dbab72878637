"""Makes one request to GitHub's API, with the configured token or with a GitHub App's token, renewed once."""

from collections.abc import Callable

from bridge.delivery.attempt_outcome import Outcome
from bridge.events.delivery_signatures import DELIVERY_ID_HEADER
from bridge.sinks.base import Delivery, Request, Response, Transport
from bridge.sinks.github.app_tokens import InstallationTokens
from bridge.sinks.github.github_settings import GithubSettings, headers
from bridge.sinks.http_answer_reading import answered, with_header_secret
from bridge.sinks.token_cache import Send, Tokens, sent_with_token

_ANSWER_BYTES = 16_384

Judge = Callable[[Response, str, int], Outcome]
"""Returns the outcome of an answer, given the answer, the token to mask, and the time (ms since the epoch)."""


class GithubApi:
    """Posts to GitHub with a sink's settings."""

    def __init__(
        self, settings: GithubSettings, permission: str, transport: Transport, timeout_ms: int
    ) -> None:
        """Post through ``transport``; an App requests write access for ``permission`` (``contents``, say)."""
        self._settings = settings
        self._transport = transport
        self._timeout_ms = timeout_ms
        self._tokens: Tokens | None = None
        if settings.app:
            asking = InstallationTokens(settings, settings.app, permission, transport, timeout_ms)
            self._tokens = Tokens(asking.ask, "installation token")

    async def post(self, path: str, body: bytes, delivery: Delivery, judge: Judge) -> Outcome:
        """POST JSON to ``path`` (from ``/`` on) once; requests for tokens are part of the attempt."""

        async def send(token: str) -> Response | Outcome:
            return await self._transport.post(self._request(path, body, delivery, token))

        if self._tokens is not None:
            answer, last = await sent_with_token(self._tokens, delivery.now_ms, self._timeout_ms, send)
        else:
            answer, last = await self._with_own_token(send)
        return answered(answer, lambda got: judge(got, last, delivery.now_ms))

    async def _with_own_token(self, send: Send) -> tuple[Response | Outcome, str]:
        secret = self._settings.token
        token = with_header_secret(f"sinks.{self._settings.name}.token", secret) if secret else ""
        return (token, "") if isinstance(token, Outcome) else (await send(token), token)

    def _request(self, path: str, body: bytes, delivery: Delivery, token: str) -> Request:
        return Request(
            url=self._settings.at(path),
            headers={**headers(token), DELIVERY_ID_HEADER: delivery.event.id},
            body=body,
            timeout_ms=self._timeout_ms,
            secrets=(token,),
            reads=_ANSWER_BYTES,
        )
