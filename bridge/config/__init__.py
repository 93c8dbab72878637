"""The configuration: TOML into frozen settings, and the secrets that it points to."""

from bridge.config.load import SEARCHED, SinkKinds, build, find, load
from bridge.config.settings import (
    PollSettings,
    RegistrySettings,
    ServerSettings,
    Settings,
    StateSettings,
    is_database,
)
from bridge.config.sinks import DeliverySettings, SinkSettings
from bridge.config.tls import Access, TlsSettings, access_of
from bridge.config.uris import folder_of, is_databricks, is_unity_catalog, web_address, without_login
from bridge.config.values import (
    BaseUrl,
    Duration,
    HttpUrl,
    Model,
    OneOrMoreSecrets,
    Secret,
    TextOrNumber,
    TextOrSecret,
    by_key,
    parse_duration,
    reveal,
)

__all__ = [
    "SEARCHED",
    "Access",
    "BaseUrl",
    "DeliverySettings",
    "Duration",
    "HttpUrl",
    "Model",
    "OneOrMoreSecrets",
    "PollSettings",
    "RegistrySettings",
    "Secret",
    "ServerSettings",
    "Settings",
    "SinkKinds",
    "SinkSettings",
    "StateSettings",
    "TextOrNumber",
    "TextOrSecret",
    "TlsSettings",
    "access_of",
    "build",
    "by_key",
    "find",
    "folder_of",
    "is_database",
    "is_databricks",
    "is_unity_catalog",
    "load",
    "parse_duration",
    "reveal",
    "web_address",
    "without_login",
]
