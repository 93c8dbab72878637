"""TLS as settings: whom the bridge trusts, and who it says it is; and where it may connect to."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from bridge.config.setting_types import Model
from bridge.delivery.allowed_destinations import target


class TlsSettings(Model):
    """A ``tls`` table: files in PEM, read again when they change. Verification cannot be switched off."""

    ca_file: str | None = Field(default=None, min_length=1)
    """The authorities to trust *instead of* the system's."""
    client_cert: str | None = Field(default=None, min_length=1)
    """The certificate (and its chain) by which the bridge says who it is."""
    client_key: str | None = Field(default=None, min_length=1)
    """Its private key, without a password; where it is left out, it is looked for in the certificate's file."""

    @model_validator(mode="after")
    def _key_has_its_certificate(self) -> "TlsSettings":
        if self.client_key and not self.client_cert:
            msg = "client_key is of no use without client_cert: give both"
            raise ValueError(msg)
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all files that are named."""
        return tuple(path for path in (self.ca_file, self.client_cert, self.client_key) if path)


def _is_target(entry: str) -> str:
    target(entry)
    return entry


AllowedHosts = Annotated[tuple[Annotated[str, AfterValidator(_is_target)], ...], Field(min_length=1)]
"""Hosts (globs) and networks, as `bridge.delivery.allowed_destinations` reads them."""
