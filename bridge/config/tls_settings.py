"""The settings of TLS (trusted CA certificates, client certificate), and the type of ``allowed_hosts``."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from bridge.config.setting_types import Model
from bridge.delivery.allowed_destinations import target


class TlsSettings(Model):
    """A ``tls`` table: PEM files, read again when they change. Verification cannot be switched off."""

    ca_file: str | None = Field(default=None, min_length=1)
    """The CA certificates to trust *instead of* the system's."""
    client_cert: str | None = Field(default=None, min_length=1)
    """The client certificate of the bridge, with its chain."""
    client_key: str | None = Field(default=None, min_length=1)
    """The private key of `client_cert`, without a password. Default: it is read from the file of `client_cert`."""

    @model_validator(mode="after")
    def _key_has_its_certificate(self) -> "TlsSettings":
        if self.client_key and not self.client_cert:
            msg = "client_key is of no use without client_cert: give both"
            raise ValueError(msg)
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all files that the table names."""
        return tuple(path for path in (self.ca_file, self.client_cert, self.client_key) if path)


def _is_target(entry: str) -> str:
    target(entry)
    return entry


AllowedHosts = Annotated[tuple[Annotated[str, AfterValidator(_is_target)], ...], Field(min_length=1)]
"""Host names (globs) and networks, in the syntax of `bridge.delivery.allowed_destinations`."""
