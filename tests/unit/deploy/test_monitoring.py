"""The dashboard and the alert rules: that they ask for what there is."""

import re
import subprocess

import pytest
import yaml
from support.clock import HandClock
from support.manifests import MONITORING, ROOT, documents
from support.monitoring import OPERATOR_RULES, RULES, asked, dashboard, operator_rules, program, rules

from bridge.delivery.attempt_outcome import Reason
from bridge.server.ownership_metrics import OwnershipFigures
from bridge.server.prometheus_metrics import Metrics
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments


@pytest.mark.parametrize(
    "wrong", ["rate(a_total[5m]) ; 1", "sum by (sink (a_total)", "a{sink=}", "a{b=~'x'}", 'a{"x"}']
)
def test_an_expression_that_is_not_understood_is_an_error(wrong: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        asked(wrong)


def test_an_expression_is_taken_apart() -> None:
    found = asked(
        'sum by (sink) (rate(a_total{sink=~"$sink",status!="dead"}[5m])) / on (job) b offset 1h > 0'
    )

    assert [selector.metric for selector in found.selectors] == ["a_total", "b"]
    assert found.selectors[0].matchers == (("sink", "=~", "$sink"), ("status", "!=", "dead"))
    assert found.groups == {"sink", "job"}


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    found = rules()
    for rule in found:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["alert"].startswith("MlflowBridge")
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert len(rule["annotations"]["description"]) > 100
    assert len({rule["alert"] for rule in found}) == len(found)


def test_the_commands_that_alerts_advise_exist() -> None:
    from bridge.cli.command_group import cli

    for rule in rules():
        for command in re.findall(
            r"mlflow-bridge ([a-z]+)(?= |,|;|\.|\))", rule["annotations"]["description"]
        ):
            assert cli.get_command(None, command) is not None, f"{rule['alert']}: {command}"


def test_annotations_use_labels_that_the_alert_has() -> None:
    for rule in rules():
        query = asked(rule["expr"])
        named = {label for selector in query.selectors for label, *_ in selector.matchers}
        told = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert told <= named | query.groups | {"sink", "use", "reason"}, rule["alert"]
        assert set(re.findall(r"\{\{ (\$?\w+)", str(rule["annotations"]))) <= {
            "$value",
            "$labels",
            "if",
            "else",
            "end",
        }


def test_the_rules_for_the_operator_are_the_same() -> None:
    assert OPERATOR_RULES.read_text() == operator_rules(), "make golden writes them anew"
    (document,) = documents(OPERATOR_RULES)
    assert document["spec"] == yaml.safe_load(RULES.read_text())
    assert (document["apiVersion"], document["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")


def test_the_dashboard_has_a_row_for_each_part_and_panels_that_do_not_overlap() -> None:
    board = dashboard()
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells

    parts = ["Registry and polls", "Events", "Sinks and backlog", "Dead letters", "Process"]
    assert rows == [*parts, "Bridges that share a state"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_dashboard_asks_the_data_source_that_is_chosen() -> None:
    board = dashboard()
    names = [variable["name"] for variable in board["templating"]["list"]]
    asking = [panel for panel in board["panels"] if panel["type"] != "row"]
    sources = [panel["datasource"] for panel in asking]
    sources += [target["datasource"] for panel in asking for target in panel["targets"]]

    assert names == ["datasource", "instance", "sink"]
    assert {(source["type"], source["uid"]) for source in sources} == {("prometheus", "${datasource}")}
    assert all(panel["description"] for panel in asking)
    assert {"uid", "title", "schemaVersion", "time", "refresh"} <= board.keys()


PROMTOOL = program("promtool")


@pytest.mark.extra
@pytest.mark.skipif(not PROMTOOL.exists(), reason="needs promtool: Debian's package prometheus")
@pytest.mark.parametrize(
    "arguments", [("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")]
)
def test_prometheus_takes_the_rules_and_each_fires_when_it_should_and_not_before(arguments) -> None:
    done = subprocess.run([PROMTOOL, *arguments], cwd=MONITORING, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_every_alert_is_tried() -> None:
    tried = (MONITORING / "rules_test.yaml").read_text()

    assert [rule["alert"] for rule in rules() if f'alertname="{rule["alert"]}"' not in tried] == []


PAGE = (ROOT / "docs/running/monitoring.md").read_text()


JOB = 'namespace="mlops",job_name="mlflow-bridge-1"'
CRON = 'namespace="mlops",cronjob="mlflow-bridge"'
OF_JOBS = {
    "rule_files": ["rules.yaml"],
    "tests": [
        {
            "interval": "1m",
            "input_series": [
                {"series": f"kube_job_status_failed{{{JOB}}}", "values": "1x60"},
                {"series": f"kube_job_created{{{JOB}}}", "values": "0x60"},
                {"series": f"kube_cronjob_created{{{CRON}}}", "values": "0x60"},
            ],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": at,
                    "exp_samples": [
                        {"labels": f'{{alertname="MlflowBridge{name}"}}', "value": 1} for name in firing
                    ],
                }
                for at, firing in (("5m", ["JobFailed"]), ("20m", []), ("40m", ["NoSuccessfulRun"]))
            ],
        }
    ],
}


@pytest.mark.extra
@pytest.mark.skipif(not PROMTOOL.exists(), reason="needs promtool: Debian's package prometheus")
def test_an_alert_on_a_failed_job_ends_while_the_job_is_kept(tmp_path) -> None:
    shown = re.findall(
        r"^```yaml\n(.*?)^```$", PAGE.partition("## Without a daemon")[2], re.DOTALL | re.MULTILINE
    )
    group = {"name": "jobs", "rules": yaml.safe_load(shown[0])}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [group]}))
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(OF_JOBS))
    done = subprocess.run(
        [PROMTOOL, "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def table(heading: str) -> dict[str, str]:
    """Return the rows under a heading of the page: what each begins with, and the rest."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)…?` \|(.*)$", section, re.MULTILINE))


def test_the_page_tells_of_every_alert_and_every_metric() -> None:
    state = DocumentState(MemoryDocuments())
    ownership = OwnershipFigures(is_owner=True, lease_remaining_s=9.0, commits_refused=0)
    metrics = Metrics(state.summaries, state.conditions, HandClock(), ownership=lambda: ownership)
    names = {
        family.name.removeprefix("mlflow_bridge_") + ("_total" if family.type == "counter" else "")
        for family in metrics.registry.collect()
    }
    told = table("The metrics")

    assert list(table("The alerts")) == [rule["alert"].removeprefix("MlflowBridge") for rule in rules()]
    assert told.keys() - {"process_"} == {name for name in names if not name.startswith("process_")}


def test_the_page_tells_of_every_reason_why_an_attempt_fails() -> None:
    told = table("The metrics")["delivery_failures_total"]
    never = {Reason.OK, Reason.EXPIRED, Reason.ORPHANED}  # of entries, not of attempts

    assert [reason for reason in Reason if reason not in never and reason.value not in told] == []
