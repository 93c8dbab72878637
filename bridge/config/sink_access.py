"""How a sink is reached: by which TLS, and to which hosts; the sink's own settings, else those for all."""

from dataclasses import dataclass, field

from bridge.config.sink_settings import DeliverySettings, SinkSettings
from bridge.config.tls_settings import TlsSettings
from bridge.delivery.allowed_destinations import Targets

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


def access_of(sink: SinkSettings, delivery: DeliverySettings) -> Access:
    """Return how ``sink`` is reached: as it says itself, each table or list as a whole, else as all are."""
    hosts = sink.allowed_hosts or delivery.allowed_hosts
    own = f"sinks.{sink.name}"
    return Access(
        tls=delivery.tls if sink.tls is None else sink.tls,
        targets=Targets.of(hosts) if hosts else None,
        tls_key=f"{'delivery' if sink.tls is None else own}.tls",
        hosts_key=f"{own if sink.allowed_hosts else 'delivery'}.allowed_hosts",
    )
