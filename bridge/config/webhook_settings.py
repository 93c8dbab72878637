"""The settings of webhooks that are created at run time: ``[webhooks]``."""

from pydantic import Field, StrictInt

from bridge.config.setting_types import Model, OneOrMoreSecrets, Secret, by_key
from bridge.config.tls_settings import AllowedHosts


class WebhookSettings(Model):
    """Where webhooks may point to, and how their secrets are kept."""

    encryption_key: OneOrMoreSecrets | None = None
    """The Fernet key with which the state holds the secrets of webhooks. Of several, the first encrypts, and all decrypt."""
    allowed_hosts: AllowedHosts | None = None
    """Host names (with `*`) and networks that webhooks may point to; `public` means all public addresses. Not set: as in `[delivery]`, or else `["public"]`."""
    max: StrictInt = Field(default=1000, ge=1, le=10_000)
    """How many webhooks there may be."""

    @property
    def keys(self) -> tuple[Secret, ...]:
        """The encryption keys; the first one encrypts."""
        return tuple(self.secrets().values())

    def secrets(self) -> dict[str, Secret]:
        """Return the encryption keys by their keys in the section."""
        return by_key("encryption_key", self.encryption_key)
