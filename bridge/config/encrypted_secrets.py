"""Secrets that are kept in the state, encrypted with keys that are not (Fernet: https://github.com/fernet/spec)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from bridge.config.setting_types import Secret
from bridge.errors import SecretUnavailable

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_NO_KEY = (
    "is no Fernet key, which is 32 random bytes in URL-safe base64: make one with "
    "openssl rand -base64 32 | tr '+/' '-_'"
)


class EncryptedSecret(Secret):
    """A secret that is read by decrypting it with the present keys."""

    owner: str
    """What the secret belongs to, for messages."""
    ciphertext: str
    """The secret, encrypted with one of the keys."""
    keys: tuple[Secret, ...]
    """The keys, `webhooks.encryption_key` in the configuration."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:  # instead of the check of `Secret`: it names no place
        return self

    def read_anew(self) -> str:
        """Decrypt the secret.

        Raises:
            SecretUnavailable: a key cannot be read, or none is the one that it was encrypted with.
        """
        return Keys.read(self.keys).decrypted(self.ciphertext, str(self))

    def __str__(self) -> str:
        """Return what the secret belongs to, for messages."""
        return f"the stored secret of {self.owner}"


@dataclass(frozen=True, slots=True)
class Keys:
    """The values of the encryption keys: the first one encrypts, and each decrypts."""

    values: tuple[str, ...] = field(repr=False)

    @classmethod
    def read(cls, keys: Sequence[Secret]) -> Self:
        """Return the present values of ``keys``.

        Raises:
            SecretUnavailable: there is no key, or one cannot be read or used.
        """
        if not keys:
            msg = "webhooks.encryption_key is not set, and secrets are only stored encrypted: set it in the configuration"
            raise SecretUnavailable(msg)
        values = tuple(key.read() for key in keys)
        for key, value in zip(keys, values, strict=True):
            fault = key_fault(value)
            if fault:
                msg = f"webhooks.encryption_key: {key}: {fault}"
                raise SecretUnavailable(msg)
        return cls(values)

    @property
    def first(self) -> bytes:
        """The key that encrypts."""
        return self.values[0].encode()

    def encrypted(self, text: str) -> str:
        """Return ``text`` encrypted."""
        return self._fernet().encrypt(text.encode()).decode()

    def decrypted(self, ciphertext: str, what: str) -> str:
        """Return the text that was encrypted with one of the keys; ``what`` it is, is for messages.

        Raises:
            SecretUnavailable: none is the right one.
        """
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - a slow import

        try:
            return self._fernet().decrypt(ciphertext).decode()
        except InvalidToken:
            msg = f"{what} was encrypted with another key than webhooks.encryption_key: add that key to the list"
            raise SecretUnavailable(msg) from None

    def reencrypted(self, ciphertext: str, what: str) -> str:
        """Return ``ciphertext`` encrypted anew with the first key; raises as `decrypted` does."""
        return self.encrypted(self.decrypted(ciphertext, what))

    def _fernet(self) -> "MultiFernet":
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 - a slow import

        return MultiFernet([Fernet(value) for value in self.values])


def key_fault(value: str) -> str:
    """Return why ``value`` cannot be an encryption key, without showing it; empty if it can."""
    from cryptography.fernet import Fernet  # noqa: PLC0415 - a slow import

    try:
        Fernet(value)
    except ValueError:
        return _NO_KEY
    return ""
