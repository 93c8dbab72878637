"""One attempt at GitHub's API: with the token, or with one of the App's, renewed once."""

import asyncio
from collections.abc import Callable

from bridge.delivery.outcome import Outcome, Reason, retryable
from bridge.events.signatures import DELIVERY_ID_HEADER
from bridge.sinks.base import Delivery, Request, Response, Transport
from bridge.sinks.github import GithubSettings, headers
from bridge.sinks.github_app import InstallationTokens
from bridge.sinks.shared import answered, with_header_secret

_ANSWER_BYTES = 16_384
_UNAUTHORIZED = 401

Judge = Callable[[Response, str, int], Outcome]
"""Says what an answer means, from it, the token that must not show, and the time (ms since the epoch)."""


class GithubApi:
    """Posts to GitHub as a sink's settings say."""

    def __init__(
        self, settings: GithubSettings, permission: str, transport: Transport, timeout_ms: int
    ) -> None:
        """Post through ``transport``; an App asks for ``permission`` (``contents``, say) to write."""
        self._settings = settings
        self._transport = transport
        self._timeout_ms = timeout_ms
        self._tokens = (
            InstallationTokens(settings, settings.app, permission, transport, timeout_ms)
            if settings.app
            else None
        )

    async def post(self, path: str, body: bytes, delivery: Delivery, judge: Judge) -> Outcome:
        """POST JSON to ``path`` (from ``/`` on) once; an App's requests for tokens are part of the attempt."""
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                return await self._attempt(path, body, delivery, judge)
        except TimeoutError:
            return retryable(Reason.TIMEOUT, f"no complete answer within {self._timeout_ms / 1000:g} s")

    async def _attempt(self, path: str, body: bytes, delivery: Delivery, judge: Judge) -> Outcome:
        refused = ""
        while True:
            token = await self._token(delivery.now_ms, refused)
            if isinstance(token, Outcome):
                return token
            answer = await self._transport.post(self._request(path, body, delivery, token))
            revoked = isinstance(answer, Response) and answer.status == _UNAUTHORIZED
            if not revoked or self._tokens is None or refused:
                break
            refused = token  # before its time: the next one is the last
        last = token
        return answered(answer, lambda got: judge(got, last, delivery.now_ms))

    async def _token(self, now_ms: int, refused: str) -> str | Outcome:
        if self._tokens is not None:
            return await self._tokens.token(now_ms, refused)
        secret = self._settings.token
        return with_header_secret(f"sinks.{self._settings.name}.token", secret) if secret else ""

    def _request(self, path: str, body: bytes, delivery: Delivery, token: str) -> Request:
        return Request(
            url=self._settings.at(path),
            headers={**headers(token), DELIVERY_ID_HEADER: delivery.event.id},
            body=body,
            timeout_ms=self._timeout_ms,
            secrets=(token,),
            reads=_ANSWER_BYTES,
        )
