"""Requests installation tokens of a GitHub App, with the App's private key.

GitHub REST API, *Create an installation access token for an app*: ``POST
/app/installations/{id}/access_tokens``; 201 with a ``token`` that lasts an hour. It is requested only for the
one repository and the one permission that are needed.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from bridge.config import reveal
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict, retryable
from bridge.delivery.clock_skew import clock_fault
from bridge.errors import SecretUnavailable
from bridge.sinks.base import Request, Response, Transport
from bridge.sinks.github.app_jwt import app_jwt
from bridge.sinks.github.forbidden_reasons import is_about_the_clock
from bridge.sinks.github.github_settings import GithubApp, GithubSettings, headers, judge
from bridge.sinks.http_answer_reading import answered, unusable
from bridge.sinks.token_cache import Kept

_EARLY_MS = 300_000
"""A token is not used in its last five minutes, so that it outlasts the request."""

_LONGEST_MS = 3_600_000
_ANSWER_BYTES = 262_144
_LEEWAY_MS = 60_000
"""GitHub refuses an App's token if its time is further off than this."""

_CLOCK = (
    "this machine's clock is more than a minute off, so that GitHub refuses the App's tokens: set the clock"
)
_IN_A_DRY_RUN = "installation-token"


class InstallationTokens:
    """Requests the tokens of one installation, which `bridge.sinks.token_cache.Tokens` caches."""

    def __init__(
        self, settings: GithubSettings, app: GithubApp, permission: str, transport: Transport, timeout_ms: int
    ) -> None:
        """Request tokens with write access for ``permission`` (``contents``, for example), as ``app``."""
        self._settings = settings
        self._app = app
        self._permission = permission
        self._transport = transport
        self._timeout_ms = timeout_ms

    async def ask(self, now_ms: int) -> Kept | Outcome:
        """Request a token once; return it, or the outcome of getting none."""
        request = self._request(now_ms)
        if isinstance(request, Outcome):
            return request
        answer = await self._transport.post(request)
        if isinstance(answer, Outcome):
            return Kept(_IN_A_DRY_RUN, now_ms) if answer.verdict is Verdict.DELIVERED else answer
        if 200 <= answer.status < 300:
            return kept_of(answer.body, now_ms) or unusable(
                answer, _ANSWER_BYTES, "no installation token: the answer is not GitHub's", "check api_url"
            )
        return answered(answer, lambda got: self._refusal(got, now_ms))

    def _request(self, now_ms: int) -> Request | Outcome:
        key = f"sinks.{self._settings.name}.app.private_key"
        try:
            private = reveal(key, self._app.private_key)
        except SecretUnavailable as error:
            return retryable(Reason.SECRET, str(error))
        signed = app_jwt(self._app.id, private, now_ms // 1000)
        if signed is None:
            detail = (
                f"{key}: {self._app.private_key}: holds no usable RSA private key in PEM, without a password"
            )
            return retryable(Reason.SECRET, detail)
        asked = {
            "repositories": [self._settings.repository.partition("/")[2]],
            "permissions": {self._permission: "write"},
        }
        return Request(
            url=self._settings.at(f"/app/installations/{self._app.installation}/access_tokens"),
            headers=headers(signed),
            body=json.dumps(asked).encode(),
            timeout_ms=self._timeout_ms,
            secrets=(signed, private),
            is_confidential=True,
            reads=_ANSWER_BYTES,
            needs_body=True,
        )

    def _refusal(self, answer: Response, now_ms: int) -> Outcome:
        """Return the outcome if there is no token. The event is never at fault, so it is never rejected."""
        said = self._mends()
        clock = clock_fault(answer.headers, now_ms, _LEEWAY_MS)
        if answer.status == 401 and (clock or is_about_the_clock(answer)):
            said = {**said, 401: clock or _CLOCK}
        outcome = judge(answer, now_ms, said)
        if outcome.verdict is not Verdict.REJECTED:
            return outcome
        why = said.get(answer.status) or "the GitHub App gets no installation token"
        return retryable(Reason.MISCONFIGURED, f"HTTP {answer.status}: {why}", answer.status)

    def _mends(self) -> Mapping[int, str]:
        app, wanted = self._app, f"{self._permission.capitalize()}: write"
        return {
            401: (
                f"the GitHub App is refused: private_key is not a key of app id {app.id}, or this machine's "
                "clock is minutes off"
            ),
            403: f"the installation {app.installation} is suspended, or may not be used from here",
            404: f"the GitHub App {app.id} has no installation {app.installation}: check app and api_url",
            422: (
                f"the installation {app.installation} has no access to {self._settings.repository}, or was not "
                f"granted {wanted}: an owner has to accept it"
            ),
        }


def kept_of(body: bytes, now_ms: int) -> Kept | None:
    """Return the token in GitHub's answer, or None if there is none.

    However late ``expires_at`` is by this machine's clock, a token is kept for an hour at most.
    """
    try:
        found = json.loads(body)
        token, expires = found["token"], datetime.fromisoformat(found["expires_at"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(token, str) or not token or not all("!" <= char <= "~" for char in token):
        return None
    lasts_ms = int(expires.timestamp() * 1000) - now_ms
    return Kept(token, now_ms + min(lasts_ms, _LONGEST_MS) - _EARLY_MS)
