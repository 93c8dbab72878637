"""What the dashboard and the alert rules ask for, held against a daemon's metrics."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.command import Bridge, http_sink, only
from support.monitoring import all_asked
from support.probing import text_of
from support.receiver import Answer, Receiver, free_port
from support.tls import Authority
from support.until import wait_until

from bridge.delivery.condition import WORDS
from bridge.delivery.outcome import Reason

TARGET_LABELS = {"job", "instance", "namespace", "pod"}
"""What Prometheus knows of a target."""

CLOSED = {
    "reason": {reason.value for reason in Reason},
    "condition": set(WORDS),
    "status": {"pending", "delivered", "dead"},
}
"""The labels whose values are the bridge's own."""


@pytest.mark.filterwarnings("ignore")
def test_every_metric_and_label_that_is_asked_for_is_served_by_a_daemon(
    tmp_path, server, client, model
) -> None:
    found = labels_served(tmp_path, server, client, model)

    for query in all_asked():
        assert query.selectors, query.where
        together = TARGET_LABELS.copy()
        for selector in query.selectors:
            if selector.metric == "up":
                continue
            assert selector.metric in found, f"{query.where}: no {selector.metric}"
            together |= found[selector.metric]
            for label, _, value in selector.matchers:
                assert label in found[selector.metric] | TARGET_LABELS, f"{query.where}: {label}"
                if label in CLOSED:
                    assert set(value.split("|")) <= CLOSED[label] | {""}, f"{query.where}: {value}"
        assert query.groups <= together, query.where


def labels_served(tmp_path, server, client, model) -> dict[str, set[str]]:
    """Return the samples of a real daemon that polled, delivered, and failed to: their labels by name."""
    cert, key = Authority(tmp_path).issue("client", "localhost")
    receiver = Receiver(Answer(401))
    address = f"127.0.0.1:{free_port()}"
    bridge = Bridge(tmp_path, server.url)
    tls = f'tls = {{ client_cert = "{cert}", client_key = "{key}", ca_file = "{tmp_path}/authority.pem" }}'
    bridge.write(
        server.url,
        http_sink(receiver.url, more=f"{only(model)}\n{tls}"),
        more=f'[server]\nlisten = "{address}"\n',
    )
    with bridge.running():
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        bridge.wait_for_log("delivery.retry")
        wait_until(lambda: 'reason="misconfigured"' in text_of(f"http://{address}/metrics"))
        text = text_of(f"http://{address}/metrics")
    receiver.stop()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found
