"""The settings classes of the configuration's sections, with their keys and defaults."""

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    StrictBool,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bridge.config.governance_settings import Gates, GovernanceSettings
from bridge.config.registry_kinds import bare_uri, folder_of, is_databricks, is_unity_catalog, without_login
from bridge.config.server_tokens import TokenSettings
from bridge.config.setting_types import Duration, Model, Secret, TextOrSecret, http_url
from bridge.config.sink_settings import DeliverySettings, SinkSettings
from bridge.config.state_settings import StateSettings
from bridge.config.webhook_settings import WebhookSettings

_PORTS = 65_536
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql", "oracle")


_HOST_AND_PORT = re.compile(r"([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?(/.*)?")


def _tracking_scheme(uri: str) -> str:
    return uri.partition(":")[0].partition("+")[0].lower() if ":" in uri else ""


def is_database(uri: str) -> bool:
    """Whether MLflow would open ``uri`` as a database, which migrates the database's schema."""
    return _tracking_scheme(uri) in _DATABASES


class RegistrySettings(Model):
    """Which registry, and how to reach it."""

    allow_database_uri: StrictBool = False  # first, because the URIs' validation needs it
    """Allow a database URI (`sqlite://`, `postgresql://` …). Opening the database migrates its schema."""
    tracking_uri: str = Field(min_length=1)
    """The MLflow server, the absolute path of a file store, or `databricks`. Default: `$MLFLOW_TRACKING_URI`."""
    registry_uri: str | None = None
    """The registry, if it is not at the tracking server. Default: `$MLFLOW_REGISTRY_URI`."""
    workspace: str | None = None
    """The MLflow workspace. Default: `$MLFLOW_WORKSPACE`. Each workspace is a registry of its own."""
    username: TextOrSecret | None = None
    """The user name for a server with basic authentication. READ permission is enough."""
    password: Secret | None = None
    """The password of `username`."""
    token: Secret | None = None
    """A bearer token, instead of `username` and `password`."""
    ca_file: str | None = None
    """A PEM file with the CA certificates that the server's certificate is verified with, relative to the configuration file."""
    timeout: Duration = 10_000
    """The time limit of one request."""
    include_prompts: StrictBool = False
    """Whether changes of MLflow's prompts, which it stores like models, are events as well."""

    @property
    def uri(self) -> str:
        """The URI of the registry itself."""
        return self.registry_uri or self.tracking_uri

    @property
    def shown_uri(self) -> str:
        """The URI of the registry as it may be shown and stored: a database's holds its password."""
        return without_login(self.uri)

    @field_validator("tracking_uri", "registry_uri")
    @classmethod
    def _is_bare(cls, value: str | None) -> str | None:
        return bare_uri(value) if value else value

    @field_validator("tracking_uri", "registry_uri")
    @classmethod
    def _no_database(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and is_database(value) and not info.data.get("allow_database_uri"):
            msg = (
                "is a database: opening one migrates its schema, which can break the server that uses "
                "it; give the URL of the MLflow server, or set allow_database_uri = true"
            )
            raise ValueError(msg)
        return value

    @field_validator("tracking_uri", "registry_uri")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        if value and _tracking_scheme(value) in {"http", "https"}:
            scheme, _, rest = http_url(value).partition(":")
            if "?" in rest or "#" in rest:
                msg = "must end with its path: no ? and no #"
                raise ValueError(msg)
            return f"{scheme.lower()}:{rest.rstrip('/')}"
        if value and value.startswith((".", "~")):
            msg = "must be the whole path of the folder, from / on"
            raise ValueError(msg)
        named = value and (is_databricks(value) or folder_of(value) is not None)
        if value and "://" not in value and _HOST_AND_PORT.fullmatch(value) and not named:
            msg = f'must begin with http:// or https:// (did you mean "http://{value}"?)'
            raise ValueError(msg)
        return value

    @field_validator("tracking_uri")
    @classmethod
    def _is_more_than_a_catalog(cls, value: str) -> str:
        """Refuse a Unity Catalog as the tracking server: MLflow's client cannot be created with it."""
        if is_unity_catalog(value):
            beside = "databricks" if is_databricks(value) else "http://your-mlflow-server:5000"
            msg = (
                "is a Unity Catalog, which has no tracking server: "
                f'write registry_uri = "{value}" and tracking_uri = "{beside}"'
            )
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _credentials_fit(self) -> "RegistrySettings":
        if (self.username is None) != (self.password is None):
            msg = "username and password go together: give both or neither"
            raise ValueError(msg)
        if self.token is not None and self.username is not None:
            msg = "give token, or username and password, not both: MLflow would ignore the token"
            raise ValueError(msg)
        return self


class PollSettings(Model):
    """When to poll, and how large a difference is held for an operator."""

    interval: Duration = 30_000
    """How often the registry is polled."""
    cron: str | None = None
    """When the registry is polled, as the five fields of a crontab line; instead of `interval`."""
    reconcile_interval: Duration = 600_000
    """How often a full scan is made. It finds deleted models, and aliases and tags of models that no sink names."""
    reconcile_share: float = Field(default=0.05, gt=0, le=1, strict=True)
    """The largest share of the time that scans may take. Slow full scans are made less often, with scans of models in between."""
    deadline: Duration = 120_000
    """The time limit of one poll. A full scan that does not finish in time continues with the next poll."""
    first_run: Literal["baseline", "emit"] = "baseline"
    """What the first poll does with the existing content of the registry: record it (`baseline`), or emit events for it (`emit`)."""
    max_events: StrictInt = Field(default=1000, ge=1)
    """A poll with more events than this for one sink is held for an operator."""
    max_vanished: float = Field(default=0.5, gt=0, le=1, strict=True)
    """A poll in which more than this share of the known models (and more than 5) is gone is held for an operator."""

    @field_validator("cron")
    @classmethod
    def _is_crontab(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\s*(\S+\s+){4}\S+\s*", value):
            msg = 'must have five fields as in a crontab, such as "*/5 * * * *"'
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _one_schedule(self) -> "PollSettings":
        if {"interval", "cron"} <= self.model_fields_set:
            msg = "give interval or cron, not both"
            raise ValueError(msg)
        return self


_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")


def _host_name(value: str) -> str:
    if not _HOST_NAME.fullmatch(value):
        msg = 'must be a name without a scheme and a port, such as "bridge.example.com"'
        raise ValueError(msg)
    return value.lower()


class ServerSettings(Model):
    """The HTTP server with health probes, metrics, the status page and the API."""

    listen: str
    """The address and port of `/livez`, `/readyz`, `/metrics`, the status page and the API. Without `tokens`, whoever reaches it may look: use a loopback address, or one that only the cluster can reach."""
    page: StrictBool = True
    """Whether there are pages for people, the status page at `/` first. Without `tokens`, they have no authentication."""
    hosts: tuple[Annotated[str, AfterValidator(_host_name)], ...] = ()
    """Host names for which the page answers, such as that of a proxy before it. IP addresses and names without a dot are always accepted."""
    tokens: tuple[TokenSettings, ...] = ()
    """The tokens of the API. Without one, this address is for looking only."""
    mlflow_webhook_secret: Secret | None = None
    """The secret of webhooks in MLflow that tell the bridge of changes, at `/api/v1/mlflow-webhooks`. Without it, they are refused."""

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not (host and colon and port.isascii() and port.isdigit() and int(port) < _PORTS):
            msg = 'must be an address and a port, such as "127.0.0.1:9464"'
            raise ValueError(msg)
        return value

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        host, _ = self.address
        return host in {"localhost", "::1"} or host.startswith("127.")

    @field_validator("tokens")
    @classmethod
    def _names_differ(cls, tokens: tuple[TokenSettings, ...]) -> tuple[TokenSettings, ...]:
        names = [token.name for token in tokens]
        for name in names:
            if names.count(name) > 1:
                msg = f"the name {name!r} is given twice: the audit trail tells by it who did what"
                raise ValueError(msg)
        return tokens

    def secrets(self) -> dict[str, Secret]:
        """Return the tokens by their keys in the section."""
        tokens = {f"tokens[{index}].token": one.token for index, one in enumerate(self.tokens)}
        of_mlflow = self.mlflow_webhook_secret
        return tokens if of_mlflow is None else {**tokens, "mlflow_webhook_secret": of_mlflow}


class Settings(Model):
    """The whole configuration."""

    _from_environment: frozenset[str] = PrivateAttr(default=frozenset())

    registry: RegistrySettings
    """The registry, and how it is reached."""
    poll: PollSettings = PollSettings()
    """When the registry is polled, and how large a difference is held for an operator."""
    state: StateSettings = StateSettings()
    """Where the state is stored, and how long its history is kept."""
    delivery: DeliverySettings = DeliverySettings()
    """How deliveries are made. A sink can override each key."""
    server: ServerSettings | None = None
    """The HTTP server with health probes, metrics, the status page and the API. Without this section, there is none."""
    webhooks: WebhookSettings | None = None
    """Webhooks that are created at run time. Without this section, they are switched off."""
    governance: GovernanceSettings = GovernanceSettings()
    """How long transition requests stay open, and who may decide on them."""
    gates: Gates = ()
    """What has to hold before a version gets a stage or an alias."""
    sinks: tuple[SinkSettings, ...] = ()
    """The receivers, and which events each of them gets."""

    @property
    def from_environment(self) -> frozenset[str]:
        """The keys of ``registry`` whose values come from the environment."""
        return self._from_environment
