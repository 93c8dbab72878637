"""Who asks the API, and what they may do: by the tokens of the configuration, or by the mode of the Unix socket."""

import asyncio
import hmac
from base64 import b64decode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol
from urllib.parse import unquote

from bridge.config import PERMISSIONS, Permission, Secret, TokenSettings
from bridge.config.server_tokens import token_fault
from bridge.errors import BridgeError, SecretUnavailable
from bridge.governance.transition_request import ANONYMOUS
from bridge.sinks.transport.blocking_calls import SharedCalls


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks.

    Attributes:
        name: the name that the audit trail has for them.
        may: what they may do.
        acts_for_users: whether they may say on whose behalf they ask.
        on_behalf_of: the user on whose behalf they ask; None: they ask for themselves.
    """

    name: str
    may: Collection[Permission]
    acts_for_users: bool = False
    on_behalf_of: str | None = None

    @property
    def user(self) -> str:
        """The name that requests and events have for them."""
        return self.name.removeprefix("token ") if self.on_behalf_of is None else self.on_behalf_of


class Unauthenticated(BridgeError):
    """A request has no token, or none that is configured."""


class PermissionDenied(BridgeError):
    """The token of a request does not permit it."""


class Authority(Protocol):
    """Tells who asks."""

    async def caller(self, authorization: str | None) -> Caller:
        """Return who sends a request with this ``Authorization`` header.

        Raises:
            Unauthenticated: nobody who is known.
        """
        ...


class Tokens:
    """`Authority` of the TCP address: a bearer token, or Basic authentication with the token as the password."""

    def __init__(self, tokens: Sequence[TokenSettings], *, is_open: bool = False) -> None:
        """Accept ``tokens``; they are read at each request, so that one can be replaced without a restart.

        If there are none, everybody may look, if the address ``is_open`` for that.
        """
        self._tokens = tokens
        self._is_open = is_open
        self._files: SharedCalls[Secret, str] = SharedCalls("token file")

    async def caller(self, authorization: str | None) -> Caller:
        """Return the token's name and permissions."""
        if not self._tokens and self._is_open:
            return NOBODY
        if not self._tokens:
            raise Unauthenticated(_NO_TOKENS)
        given = _token_in(authorization)
        if given is None:
            raise Unauthenticated(_NO_TOKEN)
        present = await asyncio.gather(*map(self._value_of, self._tokens))
        pairs = zip(self._tokens, present, strict=True)  # all are compared: no early end
        found = [one for one, value in pairs if value is not None and _is_equal(given, value)]
        if not found:
            raise Unauthenticated(_UNKNOWN_TOKEN)
        return Caller(f"token {found[0].name}", found[0].may, found[0].acts_for_users)

    async def _value_of(self, one: TokenSettings) -> str | None:
        """Return a token's value; None if it cannot be read now, or used: `check` tells why, and the others work."""
        read = one.token.read
        try:
            async with asyncio.timeout(_FILE_S):
                value = read() if one.token.env else await self._files.result(one.token, read)
        except (SecretUnavailable, TimeoutError):
            return None
        return None if token_fault(value) else value


_FILE_S = 2.0
"""How long a token's file may take to be read."""

_LOOKING: tuple[Permission, ...] = ("read",)
NOBODY = Caller("nobody", _LOOKING)
"""Whoever asks at an address without tokens, which is for looking only."""


class Everybody:
    """`Authority` of the Unix socket: whoever can connect may do everything."""

    async def caller(self, authorization: str | None) -> Caller:  # noqa: ARG002 - the file's mode is the authentication
        """Return somebody who may do everything."""
        return Caller("control socket", PERMISSIONS, acts_for_users=True)


USER_HEADER = "X-MLflow-Bridge-User"
"""The user on whose behalf MLflow's server asks, percent-encoded (RFC 3986, 2.1); empty where it knows none."""

MAY_HEADER = "X-MLflow-Bridge-May"
"""What that user may do, as names of permissions with commas between them: nothing else is permitted."""

_LONGEST_USER = 256


def with_user(caller: Caller, headers: Mapping[str, str]) -> Caller:
    """Return the caller with the user on whose behalf they ask, by the request's headers.

    Raises:
        PermissionDenied: they may not, or it cannot be the name of a user.
    """
    given = headers.get(USER_HEADER)
    if given is None:
        return caller
    if not caller.acts_for_users:
        raise PermissionDenied(f"{caller.name} may not ask on behalf of users: {_ACTS}")
    user = unquote(given, errors="replace")
    if user == ANONYMOUS or len(user) > _LONGEST_USER or not user.isprintable():
        raise PermissionDenied(f"{user[:80]!r} cannot be the name of a user here")
    wanted = headers.get(MAY_HEADER)
    names = {one.strip() for one in wanted.split(",")} if wanted is not None else set(caller.may)
    may = [one for one in caller.may if one in names]
    name = f"{user} ({caller.name})" if user else caller.name
    return replace(caller, name=name, may=may, on_behalf_of=user or ANONYMOUS)


def check_acts_for_users(caller: Caller) -> None:
    """Refuse whoever is not MLflow's server.

    Raises:
        PermissionDenied: they are not.
    """
    if not caller.acts_for_users:
        raise PermissionDenied(f"{caller.name} may not do this: {_ACTS}")


_ACTS = "it needs acts_for_users = true in [[server.tokens]], in the configuration of the bridge, and is for MLflow's server"


def check_permission(caller: Caller, permission: Permission) -> None:
    """Refuse what the caller may not do.

    Raises:
        PermissionDenied: they may not.
        Unauthenticated: nobody may, at this address.
    """
    if caller is NOBODY and permission not in caller.may:
        raise Unauthenticated(_NO_TOKENS)
    if permission not in caller.may:
        msg = f'{caller.name} may not do this: it needs "{permission}" in its may, in the configuration of the bridge'
        raise PermissionDenied(msg)


_NO_TOKENS = (
    "the bridge has no tokens, so that its TCP address is for looking only: add one as [[server.tokens]] to its "
    "configuration, or use the mlflow-bridge command on its host"
)
_NO_TOKEN = "a token is needed: send Authorization: Bearer TOKEN, or Basic with the token as the password"  # noqa: S105
_UNKNOWN_TOKEN = "this is not one of the bridge's tokens ([[server.tokens]] in its configuration)"  # noqa: S105


def _token_in(authorization: str | None) -> str | None:
    """Return the token in an ``Authorization`` header (RFC 6750, 2.1; RFC 7617, 2), or None."""
    scheme, _, value = (authorization or "").strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value or None
    if scheme.lower() != "basic":
        return None
    try:
        _, colon, password = b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return None
    return password if colon else None


def _is_equal(given: str, value: str) -> bool:
    """Compare two tokens in a time that tells nothing of them."""
    return hmac.compare_digest(_digest(given), _digest(value))


def _digest(text: str) -> bytes:
    return sha256(text.encode(errors="replace")).digest()
