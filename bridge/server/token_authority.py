"""Who asks the API, and what they may do: by the tokens of the configuration, or by the mode of the Unix socket."""

import asyncio
import hmac
from base64 import b64decode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from bridge.config import PERMISSIONS, Permission, Secret, TokenSettings
from bridge.config.server_tokens import token_fault
from bridge.errors import BridgeError, SecretUnavailable
from bridge.sinks.transport.blocking_calls import SharedCalls


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks: the name that the audit trail gets, and what they may do."""

    name: str
    may: Collection[Permission]

    @property
    def user(self) -> str:
        """The name that requests and events have for them."""
        return self.name.removeprefix("token ")


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
        return Caller(f"token {found[0].name}", found[0].may)

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
        return Caller("control socket", PERMISSIONS)


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
