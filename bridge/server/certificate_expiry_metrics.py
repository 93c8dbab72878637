"""The metric with the expiry times of the configured TLS certificates."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.config import TlsSettings
from bridge.sinks.transport.tls_context import Stamp, stamp_of

_NAME = "mlflow_bridge_tls_certificate_expiry_timestamp_seconds"
_HELP = "When a sink's client certificate (or one of its chain) or the last of its authorities expires."


_PATIENCE_S = 0.5


class Certificates(Collector):
    """Collects expiry times; files are read in a thread, as scrapes run in the event loop, and only if they changed.

    A file that cannot be read has no value: the deliveries that fail because of it are counted elsewhere. If a
    mount hangs, the values read last are reported.
    """

    def __init__(self, tls: Callable[[], Mapping[str, TlsSettings]]) -> None:
        """Call ``tls`` at every scrape for the files of each sink."""
        self._tls = tls
        self._read: dict[TlsSettings, tuple[Stamp, dict[str, float]]] = {}
        self._reading: Thread | None = None

    def collect(self) -> Iterable[Metric]:
        """Return the expiry times of the certificates of each sink, in seconds since the epoch."""
        found = GaugeMetricFamily(_NAME, _HELP, labels=["sink", "use"])
        used = self._tls()
        self._read_anew(set(used.values()))
        for sink, tls in used.items():
            _, expiries = self._read.get(tls, ((), {}))
            for use, at in expiries.items():
                found.add_metric([sink, use], at)
        return [found]

    def describe(self) -> Iterable[Metric]:
        """Return no descriptions: the metrics are known only at a scrape."""
        return []

    def _read_anew(self, used: Collection[TlsSettings]) -> None:
        """Read the changed files in a thread and wait for it briefly, unless the previous reading still hangs."""
        if self._reading is not None and self._reading.is_alive():
            return
        self._reading = Thread(target=self._look, args=(used,), name="certificates", daemon=True)
        self._reading.start()
        self._reading.join(_PATIENCE_S)

    def _look(self, used: Collection[TlsSettings]) -> None:
        for tls in used:
            stamp = stamp_of(tls)
            known = self._read.get(tls)
            if known is None or known[0] != stamp:
                self._read[tls] = (stamp, _expiries_of(tls))


def _expiries_of(tls: TlsSettings) -> dict[str, float]:
    client, authorities = _ends(tls.client_cert), _ends(tls.ca_file)
    return {
        **({"client": min(client)} if client else {}),
        **({"authority": max(authorities)} if authorities else {}),
    }


def _ends(path: str | None) -> list[float]:
    """Return the expiry time of each certificate in ``path``; empty if the file cannot be read."""
    if path is None:
        return []
    from cryptography import x509  # noqa: PLC0415 - few configurations need it

    with suppress(OSError, ValueError):
        found = x509.load_pem_x509_certificates(Path(path).read_bytes())
        return [certificate.not_valid_after_utc.timestamp() for certificate in found]
    return []
