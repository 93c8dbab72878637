"""The settings of the state: a folder with a journal, or a database that several bridges share."""

import re
import warnings
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import ValidationInfo, field_validator

from bridge.config.setting_types import Duration, Model, Secret

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_LEAST_LEASE_MS = 2_000
_LONGEST_LEASE_MS = 300_000
_OF_DATABASES = ("postgresql:", "postgres:")

with warnings.catch_warnings():  # BaseModel.schema is of pydantic 1; the key is named as operators expect it
    warnings.simplefilter("ignore", UserWarning)

    class StateSettings(Model):
        """Where the state is stored, and how long its history is kept."""

        url: str = "tinydb:./state"
        """`tinydb:` and the state folder, relative to the configuration file. Or `postgresql://user@host/database`, as libpq takes it (several hosts, a service file), for several bridges of which one works and the others stand by."""
        password: Secret | None = None
        """The password for PostgreSQL, read at each connection. Without it, libpq looks in `PGPASSFILE`."""
        sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
        """How the connection to PostgreSQL is protected. Over a network, only `verify-full` knows whom it talks to."""
        schema: str = "mlflow_bridge"  # type: ignore[assignment]
        """The PostgreSQL schema of the state. Each registry has one of its own."""
        lease: Duration = 10_000
        """How long PostgreSQL waits for a sign of life of the bridge that works, before another takes over: from 2 s to 5 min."""
        history: Duration = 30 * 86_400_000
        """How long events and delivered entries are kept."""
        dead_history: Duration = 90 * 86_400_000
        """How long dead entries are kept."""

        @field_validator("url")
        @classmethod
        def _is_a_place(cls, value: str) -> str:
            if value.startswith(_OF_DATABASES):
                return _database_url(value)
            kind, _, path = value.partition(":")
            if kind != "tinydb" or not path or not path.isprintable():
                msg = (
                    'must be "tinydb:" followed by a folder, such as "tinydb:/var/lib/mlflow-bridge", or an address of '
                    'PostgreSQL, such as "postgresql://bridge@db.example.com/bridge"'
                )
                raise ValueError(msg)
            return value

        @field_validator("schema")
        @classmethod
        def _is_a_name(cls, value: str) -> str:
            if not _SCHEMA.fullmatch(value) or value.startswith("pg_"):
                msg = "must be a name of lower case letters, digits and underscores, such as mlflow_bridge, not beginning with pg_"
                raise ValueError(msg)
            return value

        @field_validator("lease")
        @classmethod
        def _is_workable(cls, value: int) -> int:
            if not _LEAST_LEASE_MS <= value <= _LONGEST_LEASE_MS:
                msg = "must be from 2s to 5m"
                raise ValueError(msg)
            return value

        @field_validator("password", "sslmode")
        @classmethod
        def _belongs_to_a_database(cls, value: object, info: ValidationInfo) -> object:
            url = info.data.get("url")
            if value is not None and isinstance(url, str) and not url.startswith(_OF_DATABASES):
                msg = "is for a state in PostgreSQL, and state.url names a folder: leave it out"
                raise ValueError(msg)
            return value

        @property
        def is_database(self) -> bool:
            """Whether the state is in PostgreSQL."""
            return self.url.startswith(_OF_DATABASES)

        @property
        def folder(self) -> str:
            """The path of the state folder; empty for a state in a database."""
            return "" if self.is_database else self.url.partition(":")[2]

        @property
        def is_exposed(self) -> bool:
            """Whether the state travels over a network to a server that proves nothing; unknown hosts do not count."""
            if not self.is_database:
                return False
            hosts, options = _hosts_and_options(self.url)
            mode = self.sslmode or options.get("sslmode")
            return mode != "verify-full" and any(not _is_local(host) for host in hosts)

        @property
        def place(self) -> str:
            """Where the state is, for people: the folder, or the database with the schema."""
            return f"{self.url} (schema {self.schema})" if self.is_database else self.folder


def _hosts_and_options(url: str) -> tuple[list[str], dict[str, str]]:
    address = urlsplit(url)
    options = dict(parse_qsl(address.query, keep_blank_values=True))
    named = address.netloc.rpartition("@")[2] or ",".join(
        options.get(key, "") for key in ("host", "hostaddr")
    )
    return [one for one in named.split(",") if one], options


def _is_local(host: str) -> bool:
    """Whether a host, with or without a port, is this machine: a socket's folder, or loopback."""
    return unquote(host).startswith(("/", "127.", "localhost", "[::1]", "::1", "@"))


def _database_url(value: str) -> str:
    """Return ``value``, an address of PostgreSQL without a password.

    Raises:
        ValueError: it has one, or is no address.
    """
    if not value.startswith(tuple(f"{scheme}//" for scheme in _OF_DATABASES)) or not value.isprintable():
        msg = 'must be an address such as "postgresql://bridge@db.example.com/bridge"'
        raise ValueError(msg)
    address = urlsplit(value)
    login, at, _ = address.netloc.rpartition("@")
    options = {name.lower() for name, _ in parse_qsl(address.query, keep_blank_values=True)}
    if (at and ":" in login) or options & {"password", "sslpassword"}:
        msg = (
            "holds a password, which every list of settings would show: take it out, and say where it is: "
            'password = { file = "/path" }, { env = "NAME" } or { credential = "name" }'
        )
        raise ValueError(msg)
    return value
