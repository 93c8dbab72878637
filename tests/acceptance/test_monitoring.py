"""What the dashboard and the alert rules ask for, held against a daemon's metrics."""

import json
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.command import Bridge, http_sink, only
from support.monitoring import RULES, all_asked, as_grafana_asks, of_dashboard, program
from support.patience import patience
from support.probing import fetch, text_of
from support.receiver import Answer, Receiver, free_port
from support.tls import Authority
from support.until import wait_until

from bridge.delivery.attempt_outcome import Reason
from bridge.delivery.sink_state import WORDS
from bridge.governance.direct_transition import DirectStatus
from bridge.governance.gate import Finding
from bridge.governance.transition_request import RequestStatus
from bridge.server.ownership_metrics import OwnershipFigures, StandbyMetrics

TARGET_LABELS = {"job", "instance", "namespace", "pod"}
"""What Prometheus knows of a target."""

CLOSED = {
    "reason": {reason.value for reason in Reason},
    "condition": set(WORDS),
    "status": {"pending", "delivered", "dead"},
    "verdict": {finding.value for finding in Finding},
}
"""The labels whose values are the bridge's own."""

STATUSES = {
    "mlflow_bridge_requests": {status.value for status in RequestStatus},
    "mlflow_bridge_direct_transitions": {status.value for status in DirectStatus},
}
"""The metrics whose statuses are not those of entries."""


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
                closed = STATUSES.get(selector.metric) if label == "status" else None
                if label in CLOSED:
                    known = (closed or CLOSED[label]) | {""}
                    assert set(value.split("|")) <= known, f"{query.where}: {value}"
        assert query.groups <= together, query.where


def labels_served(tmp_path, server, client, model) -> dict[str, set[str]]:
    """Return the samples of a real daemon: their labels, by name."""
    found: dict[str, set[str]] = {}
    with observed(tmp_path, server, client, model) as address:
        url = f"http://{address}/metrics"
        wait_until(lambda: "tls_certificate_expiry" in text_of(url))  # certificates are read in a thread
        text = text_of(url)
    shared = StandbyMetrics(
        lambda: OwnershipFigures(is_owner=False, lease_remaining_s=1.0, commits_refused=0)
    )
    both = [text, shared.render().decode()]  # what only bridges have that share a state
    for family in (family for one in both for family in text_string_to_metric_families(one)):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@contextmanager
def observed(tmp_path, server, client, model) -> Iterator[str]:
    """Yield where a daemon serves that polled, and whose receiver refuses its token."""
    cert, key = Authority(tmp_path).issue("client", "localhost")
    tls = f'tls = {{ client_cert = "{cert}", client_key = "{key}", ca_file = "{tmp_path}/authority.pem" }}'
    receiver, address = Receiver(Answer(401)), f"127.0.0.1:{free_port()}"
    bridge = Bridge(tmp_path, server.url)
    bridge.write(
        server.url,
        http_sink(receiver.url, more=f"{only(model)}\n{tls}"),
        more=f'[server]\nlisten = "{address}"\n',
    )
    try:
        with bridge.running():
            bridge.wait_for_log("baseline.taken")
            client.transition_model_version_stage(model, "1", "Staging")
            bridge.wait_for_log("delivery.retry")
            yield address
    finally:
        receiver.stop()


SILENT = {"Sinks that take nothing", "Started", "Who works", "Lease", "Refused commits"}
"""What shows nothing while all is well, and with a state that is not shared."""


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not program("prometheus").exists(), reason="needs Debian's package prometheus")
def test_a_real_prometheus_has_an_answer_for_every_panel_and_takes_every_rule(
    tmp_path, server, client, model
) -> None:
    with observed(tmp_path, server, client, model) as address, prometheus(tmp_path, address) as ask:
        wait_until(lambda: ask("query", query="count_over_time(mlflow_bridge_registry_up[1m]) > 4")["result"])
        answers = {
            where: ask("query", query=as_grafana_asks(expression))["result"]
            for where, expression in of_dashboard()
        }
        wait_until(lambda: all(rule["health"] == "ok" for rule in rules_of(ask)))
        (down,) = [rule for rule in rules_of(ask) if rule["name"] == "MlflowBridgeDown"]

    assert {where for where, found in answers.items() if not found} == SILENT
    assert down["state"] == "inactive"


def rules_of(ask) -> list[dict]:
    return [rule for group in ask("rules")["groups"] for rule in group["rules"]]


@contextmanager
def prometheus(folder: Path, target: str):
    """Start Prometheus over one target, with our rules; yield how to ask its API."""
    port = free_port()
    scrape = {"job_name": "mlflow-bridge", "static_configs": [{"targets": [target]}]}
    often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config = {"global": often, "rule_files": [str(RULES)], "scrape_configs": [scrape]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )

    def ask(what: str, **parameters: str) -> dict:
        asked = urllib.parse.urlencode(parameters)
        answer = json.loads(text_of(f"http://127.0.0.1:{port}/api/v1/{what}?{asked}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    try:
        wait_until(lambda: fetch(f"http://127.0.0.1:{port}/-/ready") == 200)
        yield ask
    finally:
        process.terminate()
        process.wait(patience())
