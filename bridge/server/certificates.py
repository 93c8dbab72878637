"""When the certificates expire that the configuration names."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.config import TlsSettings
from bridge.sinks.tls import Stamp, stamp_of

_NAME = "mlflow_bridge_tls_certificate_expiry_timestamp_seconds"
_HELP = "When a sink's client certificate (or one of its chain) or the last of its authorities expires."


class Certificates(Collector):
    """Reads the files again only when they change.

    A file that cannot be read has no value here: deliveries fail for it, which is counted.
    """

    def __init__(self, tls: Callable[[], Mapping[str, TlsSettings]]) -> None:
        """Ask ``tls`` at every scrape for the files of each sink."""
        self._tls = tls
        self._read: dict[TlsSettings, tuple[Stamp, dict[str, float]]] = {}

    def collect(self) -> Iterable[Metric]:
        """Return when what each sink uses expires, seconds since the epoch."""
        found = GaugeMetricFamily(_NAME, _HELP, labels=["sink", "use"])
        for sink, tls in self._tls().items():
            for use, at in self._expiries(tls).items():
                found.add_metric([sink, use], at)
        return [found]

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand."""
        return []

    def _expiries(self, tls: TlsSettings) -> dict[str, float]:
        stamp = stamp_of(tls)
        known = self._read.get(tls)
        if known is None or known[0] != stamp:
            known = self._read[tls] = (stamp, _expiries_of(tls))
        return known[1]


def _expiries_of(tls: TlsSettings) -> dict[str, float]:
    client, authorities = _ends(tls.client_cert), _ends(tls.ca_file)
    return {
        **({"client": min(client)} if client else {}),
        **({"authority": max(authorities)} if authorities else {}),
    }


def _ends(path: str | None) -> list[float]:
    """Return when each certificate in ``path`` ends; nothing where there is none to be read."""
    if path is None:
        return []
    from cryptography import x509  # noqa: PLC0415 - few configurations need it

    with suppress(OSError, ValueError):
        found = x509.load_pem_x509_certificates(Path(path).read_bytes())
        return [certificate.not_valid_after_utc.timestamp() for certificate in found]
    return []
