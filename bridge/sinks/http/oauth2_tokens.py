"""Requests access tokens with OAuth 2.0 client credentials.

RFC 6749: 4.4 (the grant), 2.3.1 (how the client authenticates), 5.1 and 5.2 (the answers); RFC 6750 (how the
token is sent).
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal
from urllib.parse import quote_plus

from pydantic import AfterValidator, Field

from bridge.config import HttpUrl, Model, Secret, TextOrSecret
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict, retryable
from bridge.delivery.http_status_outcome import interpret, retry_after_ms
from bridge.delivery.secret_masking import mask
from bridge.sinks.base import Request, Response, Transport
from bridge.sinks.http_answer_reading import answered, basic, form, origin, text_in, unusable, with_secret
from bridge.sinks.token_cache import Kept

_LASTS_MS = 300_000
"""How long a token is assumed to last if ``expires_in`` is missing: RFC 6749, 5.1 allows that."""

_LONGEST_MS = 24 * 3_600_000
_EARLY_MS = 60_000
_EARLY_SHARE = 5
_ANSWER_BYTES = 65_536
_IN_A_DRY_RUN = "access-token"
_CODE = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_SCOPE = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*")
_MENDS: Mapping[str, str] = {
    "invalid_client": "the client is refused: check client_id, client_secret and auth (basic or post)",
    "invalid_request": "the request is refused: perhaps scope or audience is needed, or the other auth (basic or post)",
    "invalid_scope": "scope is not one that this client may ask for",
    "invalid_target": "audience is not one that this client may ask for",
    "unauthorized_client": "the client may not ask for tokens by client credentials: allow it that grant",
    "unsupported_grant_type": "there are no tokens for client credentials here: check token_url",
    "access_denied": "the client may not have a token for this audience or scope: grant it access",
}
"""Advice by the ``error`` of RFC 6749, 5.2 (and of RFC 8707 and others that servers send)."""

_STATUSES: Mapping[int, str] = {
    401: _MENDS["invalid_client"],
    403: _MENDS["access_denied"],
    404: "nothing is there: check token_url",
    407: "a proxy asks for authentication: check the proxy settings of the environment",
}
_MOVED = "redirects are not followed: set token_url to where it moved"
_ELSE = "the token endpoint refuses: check token_url"


def _without_fragment(url: str) -> str:
    if "#" in url:
        msg = "must have no fragment (#...): RFC 6749, 3.2"
        raise ValueError(msg)
    return url


def _scopes(text: str) -> str:
    if not _SCOPE.fullmatch(text):
        msg = 'must be one or more scopes with one blank between them, such as "hooks.write deploy"'
        raise ValueError(msg)
    return text


class OAuth2(Model):
    """A client that asks for access tokens in its own name."""

    token_url: Annotated[HttpUrl, AfterValidator(_without_fragment)]
    """Where tokens are asked for."""
    client_id: TextOrSecret
    """Who the client is."""
    client_secret: Secret
    """Its secret."""
    scope: Annotated[str, AfterValidator(_scopes)] | None = None
    """What the token is to be good for: one or more scopes, with blanks in between."""
    audience: str | None = Field(default=None, min_length=1)
    """Whom the token is for: no part of RFC 6749, but many providers ask for it."""
    auth: Literal["basic", "post"] = "basic"
    """Whether the client says who it is by basic authentication (`basic`), or in the body (`post`)."""


class AccessTokens:
    """Requests the access tokens of one client, which `bridge.sinks.token_cache.Tokens` caches."""

    def __init__(self, sink: str, client: OAuth2, transport: Transport, timeout_ms: int) -> None:
        """Request through ``transport`` as ``client``, which ``sink`` has under ``oauth2``."""
        self._key = f"sinks.{sink}.oauth2"
        self.name = f"access token from {origin(client.token_url)}"
        self._client = client
        self._transport = transport
        self._timeout_ms = timeout_ms

    async def ask(self, now_ms: int) -> Kept | Outcome:
        """Request a token once, with the present secret; return it, or the outcome of getting none."""
        request = self._request()
        if isinstance(request, Outcome):
            return request
        answer = await self._transport.post(request)
        if isinstance(answer, Outcome):
            return Kept(_IN_A_DRY_RUN, now_ms) if answer.verdict is Verdict.DELIVERED else self._said(answer)
        return self._judge(answer, now_ms, request.secrets)

    def _request(self) -> Request | Outcome:
        client = self._client
        name = with_secret(f"{self._key}.client_id", client.client_id)
        if isinstance(name, Outcome):
            return name
        secret = with_secret(f"{self._key}.client_secret", client.client_secret)
        if isinstance(secret, Outcome):
            return secret
        headers, fields, known = _identified(client.auth, name, secret)
        asked = {"grant_type": "client_credentials", "scope": client.scope, "audience": client.audience}
        return Request(
            url=client.token_url,
            headers={
                "Accept": "application/json",
                "Content-Type": "application/x-www-form-urlencoded",
                **headers,
            },
            body=form({**{key: value for key, value in asked.items() if value}, **fields}),
            timeout_ms=self._timeout_ms,
            secrets=(*known, *(() if isinstance(client.client_id, str) else (name,))),
            is_confidential=True,
            reads=_ANSWER_BYTES,
            needs_body=True,
        )

    def _judge(self, answer: Response, now_ms: int, secrets: tuple[str, ...]) -> Kept | Outcome:
        if not 200 <= answer.status < 300:
            return self._said(answered(answer, lambda got: _refusal(got, now_ms, secrets)))
        found = kept_of(answer.body, now_ms)
        if isinstance(found, Kept):
            return found
        return self._said(unusable(answer, _ANSWER_BYTES, mask(found, secrets), "check token_url"))

    def _said(self, outcome: Outcome) -> Outcome:
        """Add to an outcome that it concerns the token endpoint, because it is shown for a delivery to another server."""
        return replace(outcome, detail=f"{self._key}: no {self.name}: {outcome.detail}")


def _identified(auth: str, name: str, secret: str) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    """Return the headers and the form fields with which a client authenticates, and the secrets in them.

    RFC 6749, 2.3.1: for basic authentication, name and secret are form-encoded first.
    """
    if auth == "post":
        return {}, {"client_id": name, "client_secret": secret}, (secret,)
    encoded = quote_plus(secret, errors="replace")
    signed = basic(quote_plus(name, errors="replace"), encoded)
    return {"Authorization": signed}, {}, (secret, encoded, signed.partition(" ")[2])


def kept_of(body: bytes, now_ms: int) -> Kept | str:
    """Return the token in a server's answer (RFC 6749, 5.1), or a few words on why there is no usable one.

    A token is not used in its last minute, nor in the last fifth of a short lifetime, so that it outlasts the
    request. A missing ``token_type`` is treated as ``Bearer``, which is what servers that omit it mean.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return "the answer is no JSON"
    token = found.get("access_token") if isinstance(found, dict) else None
    if not isinstance(token, str) or not token:
        return "the answer has no access_token"
    if not all("!" <= char <= "~" for char in token):
        return "the access_token holds a character that no header takes"
    kind = found.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return f"token_type is {_shown(kind)}, and only Bearer can be sent"
    lasts_ms = _lasts_ms(found.get("expires_in"))
    return Kept(token, now_ms + lasts_ms - min(_EARLY_MS, lasts_ms // _EARLY_SHARE))


def _lasts_ms(expires_in: object) -> int:
    """Return how long a token lasts: seconds as a number, or as a text, which some servers send."""
    try:
        seconds = float(expires_in) if isinstance(expires_in, str | int | float) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    return int(min(seconds * 1000, _LONGEST_MS)) if seconds >= 0 else _LASTS_MS


def _shown(value: object) -> str:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else "something else"


def _refusal(answer: Response, now_ms: int, secrets: tuple[str, ...]) -> Outcome:
    """Return the outcome if there is no token. The event is never at fault, so it is never rejected."""
    outcome = interpret(answer.status, answer.headers, now_ms)
    if outcome.reason in {Reason.RATE_LIMITED, Reason.SERVER_ERROR}:
        return outcome
    code = text_in(answer.body, "error")
    known = f"{mask(code, secrets)}: " if _CODE.fullmatch(code) else ""
    why = _MOVED if 300 <= answer.status < 400 else _MENDS.get(code) or _STATUSES.get(answer.status) or _ELSE
    detail = f"HTTP {answer.status}: {known}{why}"
    return retryable(Reason.MISCONFIGURED, detail, answer.status, retry_after_ms(answer.headers, now_ms))


def with_bearer(request: Request, token: str) -> Request:
    """Return ``request`` with an access token (RFC 6750, 2.1), which is never shown."""
    headers = {**request.headers, "Authorization": f"Bearer {token}"}
    return replace(request, headers=headers, secrets=(*request.secrets, token))
