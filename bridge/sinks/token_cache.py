"""Caches tokens while they are valid, and renews a token once if a receiver refuses it.

``asyncio`` is imported at the first request: every command reads the settings of sinks, and few send anything.
"""

# ruff: noqa: PLC0415
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.sinks.base import Response

if TYPE_CHECKING:
    from asyncio import Future

_UNAUTHORIZED = 401
_ANSWER = "complete answer"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """A token, and until when it may be used (ms since the epoch)."""

    token: str = field(repr=False)
    until: int


Ask = Callable[[int], Awaitable[Kept | Outcome]]
"""Requests a token at a time (ms since the epoch), or returns the outcome of getting none."""

Send = Callable[[str], Awaitable[Response | Outcome]]
"""Makes a request with a token."""


class Tokens:
    """The current token of one sink. Deliveries that need a new token at the same time share one request."""

    def __init__(self, ask: Ask, name: str) -> None:
        """Start without a token; call ``ask`` when one is needed. Messages use ``name`` for the token."""
        self._ask = ask
        self.name = name
        self._kept: Kept | None = None
        self._asking: Future[Kept | Outcome] | None = None

    async def token(self, now_ms: int, refused: str = "") -> str | Outcome:
        """Return a token other than the ``refused`` one, or the outcome of getting none."""
        kept = self._kept
        if kept is not None and kept.token != refused and now_ms < kept.until:
            return kept.token
        import asyncio

        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._renew(now_ms))
        found = await asyncio.shield(self._asking)  # one cancelled attempt must not end it for others
        return found if isinstance(found, Outcome) else found.token

    async def _renew(self, now_ms: int) -> Kept | Outcome:
        found = await self._ask(now_ms)
        if isinstance(found, Kept):
            self._kept = found
        return found


async def sent_with_token(
    tokens: Tokens, now_ms: int, timeout_ms: int, send: Send
) -> tuple[Response | Outcome, str]:
    """Send with a token; if it is refused (401) because it was revoked early, send once more with another.

    Requests for tokens are part of the one attempt, and of its timeout.

    Returns:
        The answer or outcome, and the token that was used last (empty if there was none).
    """
    time = _Time(timeout_ms)
    token = await time.bound(tokens.token(now_ms), tokens.name)
    if isinstance(token, Outcome):
        return token, ""
    answer = await time.bound(send(token), _ANSWER)
    if isinstance(answer, Outcome) or answer.status != _UNAUTHORIZED:
        return answer, token
    renewed = await time.bound(tokens.token(now_ms, token), tokens.name)
    if isinstance(renewed, Outcome):
        return renewed, token
    return await time.bound(send(renewed), _ANSWER), renewed


class _Time:
    """The time limit of one attempt, over everything that it waits for."""

    def __init__(self, timeout_ms: int) -> None:
        import asyncio

        self._seconds = timeout_ms / 1000
        self._end = asyncio.get_running_loop().time() + self._seconds

    async def bound(self, awaited: Awaitable[T | Outcome], what: str) -> T | Outcome:
        """Return the awaited result, or the outcome of getting no ``what`` in time."""
        import asyncio

        try:
            async with asyncio.timeout_at(self._end):
                return await awaited
        except TimeoutError:
            return retryable(Reason.TIMEOUT, f"no {what} within {self._seconds:g} s")
