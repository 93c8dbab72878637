"""The configuration: settings read from TOML, and references to secrets."""

from bridge.config.bridge_secret_validation import own_secret_faults
from bridge.config.file_loading import SEARCHED, SinkKinds, build, find, load
from bridge.config.governance_settings import GateSettings, GovernanceSettings
from bridge.config.mlflow_process_environment import workspace_of
from bridge.config.registry_kinds import (
    folder_of,
    is_databricks,
    is_unity_catalog,
    web_address,
    without_login,
)
from bridge.config.server_tokens import PERMISSIONS, Permission, TokenSettings
from bridge.config.setting_types import (
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
from bridge.config.settings import (
    PollSettings,
    RegistrySettings,
    ServerSettings,
    Settings,
    is_database,
)
from bridge.config.sink_connection_settings import Access, access_of
from bridge.config.sink_routes import routes_of, watched_by_gates
from bridge.config.sink_settings import DeliverySettings, SinkSettings
from bridge.config.state_settings import StateSettings
from bridge.config.tls_settings import TlsSettings
from bridge.config.webhook_settings import WebhookSettings

__all__ = [
    "PERMISSIONS",
    "SEARCHED",
    "Access",
    "BaseUrl",
    "DeliverySettings",
    "Duration",
    "GateSettings",
    "GovernanceSettings",
    "HttpUrl",
    "Model",
    "OneOrMoreSecrets",
    "Permission",
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
    "TokenSettings",
    "WebhookSettings",
    "access_of",
    "build",
    "by_key",
    "find",
    "folder_of",
    "is_database",
    "is_databricks",
    "is_unity_catalog",
    "load",
    "own_secret_faults",
    "parse_duration",
    "reveal",
    "routes_of",
    "watched_by_gates",
    "web_address",
    "without_login",
    "workspace_of",
]
