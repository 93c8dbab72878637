"""The sessions of people who have signed in to the pages with a token.

They are kept in memory: a restart ends them all, and so does a change of their token.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from bridge.server.token_authority import NOBODY, Authority, Caller, PermissionDenied, Unauthenticated

COOKIE = "mlflow_bridge_session"
LASTS_S = 12 * 3600
"""How long a session lasts, in seconds."""

_MOST = 50
"""How many sessions there are of one token: the oldest one ends for the next."""

_LONGEST_TOKEN = 4_096


@dataclass(frozen=True, slots=True)
class Session:
    """Who has signed in, until when, and the token that their forms carry against forgery.

    The token that they signed in with is asked for again at every request, so that it can be withdrawn.
    """

    authorization: str = field(repr=False)
    until: float
    form_token: str = field(repr=False)


class Sessions:
    """The present sessions."""

    def __init__(self, authority: Authority, now: Callable[[], float]) -> None:
        """Sign people in by ``authority``; ``now`` returns the time in seconds, by a clock that does not jump."""
        self._authority = authority
        self._now = now
        self._sessions: dict[str, Session] = {}

    async def sign_in(self, token: str) -> str:
        """Return the value of the cookie of a new session; the id of a session is never taken from a request.

        Raises:
            Unauthenticated: the token is not one of the bridge's.
            PermissionDenied: it may not look.
        """
        if len(token) > _LONGEST_TOKEN:
            raise Unauthenticated("this is longer than any token")
        authorization = f"Bearer {token.strip()}"
        caller = await self._authority.caller(authorization)
        if caller is NOBODY:
            raise Unauthenticated("the bridge has no tokens: there is nothing to sign in to")
        if "read" not in caller.may:
            raise PermissionDenied(f'{caller.name} may not look: it needs "read" in its may')
        ours = [key for key, one in self._sessions.items() if one.authorization == authorization]
        for key in ours[: 1 - _MOST]:
            del self._sessions[key]
        cookie = secrets.token_urlsafe(32)
        self._sessions[_key(cookie)] = Session(
            authorization, self._now() + LASTS_S, secrets.token_urlsafe(32)
        )
        return cookie

    async def of(self, cookie: str | None) -> tuple[Caller, Session]:
        """Return who has signed in with this cookie.

        Raises:
            Unauthenticated: nobody, or not any more.
        """
        key = _key(cookie or "")
        session = self._sessions.get(key)
        if session is None or session.until < self._now():
            self._sessions.pop(key, None)
            raise Unauthenticated("sign in first")
        try:
            return await self._authority.caller(session.authorization), session
        except Unauthenticated:
            self._sessions.pop(key, None)
            raise

    def sign_out(self, cookie: str | None) -> None:
        """End a session."""
        self._sessions.pop(_key(cookie or ""), None)


def fits(session: Session, form_token: str) -> bool:
    """Whether a form comes from a page of this session."""
    return hmac.compare_digest(session.form_token.encode(), form_token.encode(errors="replace"))


def _key(cookie: str) -> str:
    """Return what a session is found by: nothing can be told about a cookie from how long that takes."""
    return sha256(cookie.encode(errors="replace")).hexdigest()
