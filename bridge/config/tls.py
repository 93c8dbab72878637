"""How a sink is reached: whom the bridge trusts, who it says it is, and where it may connect to."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, model_validator

from bridge.config.values import Model
from bridge.delivery.targets import Targets, target

if TYPE_CHECKING:
    from bridge.config.sinks import DeliverySettings, SinkSettings


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
"""Hosts (globs) and networks, as `bridge.delivery.targets` reads them."""


_DEFAULT_TLS = TlsSettings()


@dataclass(frozen=True, slots=True)
class Access:
    """How a sink is reached. Equal ones share a pool of connections, whatever key they come from.

    ``tls_key`` and ``hosts_key`` are where it was configured, for messages: a pool is made by one
    sink's request and says no in its own name, so only the latter tells accesses apart.
    """

    tls: TlsSettings = _DEFAULT_TLS
    targets: Targets | None = None
    tls_key: str = field(default="delivery.tls", compare=False)
    hosts_key: str = "delivery.allowed_hosts"


def access_of(sink: "SinkSettings", delivery: "DeliverySettings") -> Access:
    """Return how ``sink`` is reached: as it says itself, each table or list as a whole, else as all are."""
    hosts = sink.allowed_hosts or delivery.allowed_hosts
    own = f"sinks.{sink.name}"
    return Access(
        tls=delivery.tls if sink.tls is None else sink.tls,
        targets=Targets.of(hosts) if hosts else None,
        tls_key=f"{'delivery' if sink.tls is None else own}.tls",
        hosts_key=f"{own if sink.allowed_hosts else 'delivery'}.allowed_hosts",
    )
