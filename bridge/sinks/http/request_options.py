"""The request options of an ``http`` sink: method, headers, query and credentials."""

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Literal
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from bridge.config import HttpUrl, Model, Secret, SinkSettings, TextOrSecret
from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.sinks.base import Request, Transport
from bridge.sinks.http.oauth2_tokens import AccessTokens, OAuth2
from bridge.sinks.http_answer_reading import basic, origin, with_header_secret, with_secret
from bridge.sinks.token_cache import Tokens

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The form of a header's name (RFC 9110, 5.6.2)."""

_VALUE = re.compile(r"""[=:]\s*["']?([^"',;\s]+)""")
"""The value of a parameter, or what follows a colon, in a credential."""

_RESERVED = re.compile(
    r"host|connection|content-(type|length|encoding)|transfer-encoding|te|trailer|upgrade|expect|accept-encoding"
    r"|proxy-.*|x-mlflow-.*|x-databricks-signature|x-hub-signature(-256)?|webhook-(id|timestamp|signature)|ce-.*",
    re.IGNORECASE,
)
"""Headers that the bridge sets itself: they describe the request, its sender or its event."""


def _addressable(headers: dict[str, TextOrSecret]) -> dict[str, TextOrSecret]:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            msg = f"{name!r} cannot be the name of a header"
            raise ValueError(msg)
        if _RESERVED.fullmatch(name):
            msg = f"{name} is the bridge's own to set"
            raise ValueError(msg)
        if isinstance(value, str) and not _is_header_value(value):
            msg = f"{name} holds a character that no header takes, or begins or ends with a blank"
            raise ValueError(msg)
    if len({name.lower() for name in headers}) < len(headers):
        msg = "one is given twice: their names are the same in capitals and small letters"
        raise ValueError(msg)
    return headers


def _is_header_value(text: str) -> bool:
    return text.strip() == text and all(" " <= char <= "~" for char in text)


def _without_colon(value: TextOrSecret) -> TextOrSecret:
    if isinstance(value, str) and ":" in value:
        msg = "must have no colon: basic authentication could not tell where it ends"
        raise ValueError(msg)
    return value


class BasicAuth(Model):
    """A user name and a password (RFC 7617)."""

    username: Annotated[TextOrSecret, AfterValidator(_without_colon)]
    """The user's name, without a colon."""
    password: Secret
    """The user's password."""


Credential = BasicAuth | Secret | OAuth2 | None
"""What the ``Authorization`` header is made from."""


class AddressedSettings(SinkSettings):
    """Where requests go, and what goes with them besides the event."""

    url: HttpUrl
    """Where events are sent to; without user name and password."""
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    """The method of the request."""
    headers: Annotated[dict[str, TextOrSecret], AfterValidator(_addressable)] = Field(default_factory=dict)
    """Headers to add, as texts or secrets; those that the bridge sets itself are refused."""
    query: dict[str, TextOrSecret] = Field(default_factory=dict)
    """Parameters to add to the URL, as texts or secrets."""
    basic_auth: BasicAuth | None = None
    """A user name and a password to sign in with."""
    bearer: Secret | None = None
    """A token to sign in with; in place of `basic_auth`."""
    oauth2: OAuth2 | None = None
    """A client that asks for access tokens in its own name (client credentials); in place of `basic_auth` and `bearer`."""

    @field_validator("basic_auth", "bearer", "oauth2")
    @classmethod
    def _one_credential(cls, value: Credential, info: ValidationInfo) -> Credential:
        others = [
            f"headers.{name}" for name in info.data.get("headers", ()) if name.lower() == "authorization"
        ]
        others += [key for key in ("basic_auth", "bearer") if info.data.get(key) is not None]
        if value is not None and others:
            msg = f"cannot go with {others[0]}: a request has one Authorization"
            raise ValueError(msg)
        return value

    def token_origin(self) -> str:
        """Return scheme, host and port of the token endpoint."""
        return origin(self.oauth2.token_url) if self.oauth2 else ""


def access_tokens(settings: AddressedSettings, transport: Transport, timeout_ms: int) -> Tokens | None:
    """Return the access tokens for a sink's requests, or None if it needs none."""
    if settings.oauth2 is None:
        return None
    asking = AccessTokens(settings.name, settings.oauth2, transport, timeout_ms)
    return Tokens(asking.ask, asking.name)


def addressed(settings: AddressedSettings, request: Request) -> Request | Outcome:
    """Return ``request`` with the method, headers, query and credentials of ``settings``, or an outcome.

    Headers that the request already has (its signature, its id) are never replaced.
    """
    headers = _revealed(settings, "headers", settings.headers)
    if isinstance(headers, Outcome):
        return headers
    query = _revealed(settings, "query", settings.query)
    if isinstance(query, Outcome):
        return query
    credential = _credential(settings)
    if isinstance(credential, Outcome):
        return credential
    authorization, secrets = credential
    own = {**headers, **({"Authorization": authorization} if authorization else {})}
    for name, value in headers.items():
        if not _is_header_value(value):
            key = f"sinks.{settings.name}.headers.{name}"
            detail = f"{key}: holds a character that no header takes, or begins or ends with a blank"
            return retryable(Reason.SECRET, detail)
    taken = {name.lower() for name in request.headers}
    return replace(
        request,
        method=settings.method,
        url=_with_query(request.url, query),
        headers={**request.headers, **{n: value for n, value in own.items() if n.lower() not in taken}},
        secrets=(
            *request.secrets,
            *secrets,
            *_parts_of(_secret(settings.headers, headers)),
            *_secret(settings.query, query),
        ),
    )


def _revealed(
    settings: AddressedSettings, key: str, values: Mapping[str, TextOrSecret]
) -> dict[str, str] | Outcome:
    found: dict[str, str] = {}
    for name, value in values.items():
        text = with_secret(f"sinks.{settings.name}.{key}.{name}", value)
        if isinstance(text, Outcome):
            return text
        found[name] = text
    return found


def _credential(settings: AddressedSettings) -> tuple[str, tuple[str, ...]] | Outcome:
    """Return the value of ``Authorization`` (perhaps empty), and the secrets in it."""
    where = f"sinks.{settings.name}"
    if settings.bearer is not None:
        token = with_header_secret(f"{where}.bearer", settings.bearer)
        return token if isinstance(token, Outcome) else (f"Bearer {token}", (token,))
    if settings.basic_auth is None:
        return "", ()
    username = with_secret(f"{where}.basic_auth.username", settings.basic_auth.username)
    if isinstance(username, Outcome):
        return username
    password = with_secret(f"{where}.basic_auth.password", settings.basic_auth.password)
    if isinstance(password, Outcome):
        return password
    signed = basic(username, password)
    known = () if isinstance(settings.basic_auth.username, str) else (username,)
    return signed, (password, signed.partition(" ")[2], *known)


def _secret(configured: Mapping[str, TextOrSecret], values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(values[name] for name, value in configured.items() if isinstance(value, Secret))


def _parts_of(values: Iterable[str]) -> Iterator[str]:
    """Yield header values, and the credential after a scheme (``Bearer …``): a receiver may show that alone."""
    for value in values:
        yield value
        scheme, _, credential = value.partition(" ")
        if credential.strip():
            yield credential.strip()
            yield from _inside(scheme, credential.strip())


def _inside(scheme: str, credential: str) -> Iterator[str]:
    """Yield the password of Basic authentication (RFC 7617), and the values of parameters (RFC 9110, 11.4)."""
    if scheme.lower() == "basic":
        with suppress(ValueError):
            login = b64decode(credential, validate=True).decode()
            yield login
            yield login.partition(":")[2]
    yield from _VALUE.findall(credential)


def _with_query(url: str, query: Mapping[str, str]) -> str:
    if not query:
        return url
    parts = urlsplit(url)
    added = urlencode(query, quote_via=quote, safe="", errors="replace")
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))
