"""The types of configuration values: durations, rates, secrets, and the base class of settings."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    model_validator,
)

from bridge.config.preloaded_secrets import known_reading
from bridge.config.receiver_urls import BaseUrl, HttpUrl, http_url
from bridge.config.secret_trimming import LONGEST, bare, decoded
from bridge.errors import SecretUnavailable

__all__ = [
    "BaseUrl",
    "Duration",
    "HttpUrl",
    "Model",
    "OneOrMoreSecrets",
    "Rate",
    "Secret",
    "TextOrNumber",
    "TextOrSecret",
    "by_key",
    "http_url",
    "parse_duration",
    "parse_rate",
    "reveal",
]

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?:\d+(?:ms|s|m|h|d))+")
_PART = re.compile(r"(\d+)(ms|s|m|h|d)")
_RATE = re.compile(r"(\d{1,9})\s*/\s*(s|m|h|d)")
_LONGEST_MS = 3_650 * _UNITS["d"]


class Model(BaseModel):
    """The base of every settings class: frozen, and strict about unknown keys.

    Validators are built at their first use: a quick command needs few of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


def parse_duration(value: object) -> int:
    """Return a duration like ``"30s"``, ``"1h30m"`` or ``"250ms"`` in milliseconds.

    Raises:
        ValueError: it is not such a string, is zero, or is longer than ten years.
    """
    if not isinstance(value, str) or not _DURATION.fullmatch(value.strip()):
        msg = 'must be a duration such as "30s", "10m", "1h30m" or "30d"'
        raise ValueError(msg)
    total = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    if not 0 < total <= _LONGEST_MS:
        msg = "must be longer than nothing and at most ten years (3650d)"
        raise ValueError(msg)
    return total


Duration = Annotated[int, BeforeValidator(parse_duration)]
"""A duration in milliseconds, written like ``"30s"``."""


def parse_rate(value: object) -> int:
    """Return the interval between attempts in milliseconds, for a rate like ``"60/m"`` or ``"1/s"``.

    Raises:
        ValueError: it is not such a string, or is less than one a day or more than a thousand a second.
    """
    found = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    number = int(found[1]) if found else 0
    if not found or not 0 < number <= _UNITS[found[2]]:
        msg = 'must be a rate such as "1/s", "60/m" or "500/h": how many attempts, for each s, m, h or d'
        raise ValueError(msg)
    return -(-_UNITS[found[2]] // number)


Rate = Annotated[int, BeforeValidator(parse_rate)]
"""A rate, written like ``"60/m"``; its value is the least interval between two attempts in milliseconds."""


class Secret(Model):
    """A reference to a secret: an environment variable, a file, or a systemd credential.

    The secret itself is never part of the settings: it is read when it is used, so that a
    rotated secret needs no restart.
    """

    env: str | None = None
    """The environment variable that holds the secret."""
    file: str | None = None
    """The file that holds it, relative to the configuration file. A byte order mark, and line breaks at its end, are ignored."""
    credential: str | None = None
    """The systemd credential (`LoadCredential=`) that holds it."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_reference(cls, value: Any) -> Any:
        if isinstance(value, str):
            msg = 'must say where the secret is: { env = "NAME" }, { file = "/path" } or { credential = "name" }'
            raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueError
        places = {"env", "file", "credential"}
        if isinstance(value, dict) and value.keys() <= places and len(value) != 1:
            msg = "must have exactly one of env, file and credential"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if not (self.env or self.file or self.credential):
            msg = "must name a place: it is empty"
            raise ValueError(msg)
        return self

    def read(self) -> str:
        """Return the present value of the secret, without a byte order mark and final line breaks.

        Within a delivery attempt, return the value that was read for it (`bridge.config.preloaded_secrets`).

        Raises:
            SecretUnavailable: it cannot be read, or is empty; the message names the place.
        """
        known = known_reading(self)
        if isinstance(known, SecretUnavailable):
            raise SecretUnavailable(str(known))
        return self.read_anew() if known is None else known

    def read_anew(self) -> str:
        """Read the secret without the cache; raises as `read` does. A file on a mount that hangs blocks the thread."""
        text = self._text()
        try:
            return bare(text)
        except SecretUnavailable as error:
            msg = f"{self}: {error}"
            raise SecretUnavailable(msg) from None

    def _text(self) -> str:
        if self.env is not None:
            value = os.environ.get(self.env)
            if value is None:
                plain = self.env.lstrip("$").strip("{}")
                mend = "set it in the bridge's environment" if plain == self.env else f'its name is "{plain}"'
                msg = f"{self} is not set: {mend}"
                raise SecretUnavailable(msg)
            return value
        try:
            with self._path().open("rb") as stream:
                return decoded(stream.read(LONGEST + 1))
        except (OSError, SecretUnavailable) as error:
            why = error.strerror if isinstance(error, OSError) else error
            msg = f"{self} cannot be read: {why}"
            raise SecretUnavailable(msg) from None

    def _path(self) -> Path:
        if self.file is not None:
            return Path(self.file)
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            msg = (
                f"{self}: there is no $CREDENTIALS_DIRECTORY: a service has it by LoadCredential= in its systemd unit; "
                "a shell has to set it, to the folder that holds the file"
            )
            raise SecretUnavailable(msg)
        return Path(folder) / str(self.credential)

    def __str__(self) -> str:
        """Return the place, for messages."""
        if self.env is not None:
            return f"environment variable {self.env}"
        return f"file {self.file}" if self.file is not None else f"credential {self.credential}"


_SEVERAL = TypeAdapter(
    Annotated[tuple[Secret, ...], Field(min_length=1)], config=ConfigDict(defer_build=True)
)


def _one_or_several(value: object) -> Secret | tuple[Secret, ...]:
    if isinstance(value, list | tuple):
        return _SEVERAL.validate_python(value)
    return value if isinstance(value, Secret) else Secret.model_validate(value)


OneOrMoreSecrets = Annotated[Secret | tuple[Secret, ...], PlainValidator(_one_or_several)]
"""A secret, or a list of secrets that are all valid while one replaces another."""


def by_key(key: str, value: Secret | tuple[Secret, ...] | None) -> dict[str, Secret]:
    """Return one or more secrets by their keys: ``key`` itself, or ``key[0]``, ``key[1]`` and so on."""
    if isinstance(value, tuple):
        return {f"{key}[{index}]": secret for index, secret in enumerate(value)}
    return {} if value is None else {key: value}


def _text_or_secret(value: object) -> str | Secret:
    if isinstance(value, Secret) or (isinstance(value, str) and value):
        return value
    if not isinstance(value, dict):
        msg = 'must be a text, or say where it is: { env = "NAME" }'
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueError
    return Secret.model_validate(value)


TextOrSecret = Annotated[str | Secret, PlainValidator(_text_or_secret)]
"""A value, such as a user name, that may be written in the configuration or kept as a secret."""


def _number_as_text(value: object) -> object:
    return str(value) if type(value) is int else value


TextOrNumber = Annotated[str, BeforeValidator(_number_as_text)]
"""A text that may also be written as a whole number, such as a name or an id."""


def reveal(key: str, value: TextOrSecret | None) -> str:
    """Return a text unchanged, and the present value of a secret; ``key`` is its key in the configuration.

    Raises:
        SecretUnavailable: it cannot be read; the message begins with ``key``.
    """
    if not isinstance(value, Secret):
        return value or ""
    try:
        return value.read()
    except SecretUnavailable as error:
        msg = f"{key}: {error}"
        raise SecretUnavailable(msg) from None
