"""How a sink connects: its TLS settings and allowed hosts, or those of ``[delivery]`` if it has none."""

from dataclasses import dataclass, field

from bridge.config.sink_settings import DeliverySettings, SinkSettings
from bridge.config.tls_settings import TlsSettings
from bridge.delivery.allowed_destinations import Targets

_DEFAULT_TLS = TlsSettings()


@dataclass(frozen=True, slots=True)
class Access:
    """How a sink connects. Sinks with equal values share a connection pool.

    ``tls_key`` and ``hosts_key`` are the keys in the configuration, for messages. ``tls_key`` is not compared.
    ``hosts_key`` is: the pool names it when it refuses a host, so it must be the key of every sink that shares the pool.
    """

    tls: TlsSettings = _DEFAULT_TLS
    targets: Targets | None = None
    tls_key: str = field(default="delivery.tls", compare=False)
    hosts_key: str = "delivery.allowed_hosts"


def access_of(sink: SinkSettings, delivery: DeliverySettings) -> Access:
    """Return how ``sink`` connects: its own ``tls`` table and ``allowed_hosts`` list, each as a whole, or the defaults."""
    targets, hosts_key = sink.targets(delivery)
    return Access(
        tls=delivery.tls if sink.tls is None else sink.tls,
        targets=targets,
        tls_key="delivery.tls" if sink.tls is None else f"sinks.{sink.name}.tls",
        hosts_key=hosts_key,
    )
