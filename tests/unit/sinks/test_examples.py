"""The other side of the CI sinks: what the examples read is what is really delivered."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from support.ci import form_of, gitlab, jenkins
from support.github import Github
from support.receiver import Answer, Receiver
from support.sinks import DELIVERY

from bridge.config import build
from bridge.delivery.attempt_outcome import Verdict
from bridge.events.formats import default_payload
from bridge.events.sample_events import synthetic_event
from bridge.sinks.sink_type_table import KINDS, SETTINGS
from bridge.sinks.transport.http_client import Client

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "deploy" / "examples"
TOKEN = "s3cret"
EXPRESSION = re.compile(r"\$\{\{\s*([\w.]+)\s*\}\}")
SHELL = re.compile(r"\$([A-Z_]+)")


@pytest.fixture(autouse=True)
def secrets(monkeypatch) -> None:
    for name in ("GITHUB_TOKEN", "GITLAB_TRIGGER_TOKEN", "JENKINS_TOKEN", "JENKINS_WEBHOOK_TOKEN"):
        monkeypatch.setenv(name, TOKEN)


async def delivered(text: str, kind: str, key: str, answer):
    """Deliver by the sink of that kind in ``text``, at a stand-in; return what it got."""
    tables = tomllib.loads(text)["sinks"]
    receiver = Receiver(answer)
    try:
        (table,) = (one for one in tables if one["type"] == kind)
        path = table[key].split("example.com", 1)[-1] if "example.com" in table.get(key, "") else ""
        own = {**table, key: receiver.url + path}
        (sink,) = build({"registry": {"tracking_uri": "http://r"}, "sinks": [own]}, SETTINGS).sinks
        async with Client() as client:
            outcome = await KINDS[kind].build(sink, client, 5_000).deliver(DELIVERY)
        assert outcome.verdict is Verdict.DELIVERED, outcome
        (got,) = receiver.got
        return got
    finally:
        receiver.stop()


def sinks_of(example: str) -> str:
    return (EXAMPLES / example / "sinks.toml").read_text()


def evaluated(text: str, context: dict) -> dict[str, object]:
    """Return the value of every expression in a workflow, as GitHub finds it in its contexts."""
    found = {}
    for path in EXPRESSION.findall(text) + re.findall(r"\bif: (github[\w.]+)", text):
        value: object = context
        for part in path.split("."):
            assert isinstance(value, dict), path
            assert part in value, f"{path} is nothing: {sorted(value)}"
            value = value[part]
        found[path] = value
    return found


async def test_the_workflow_for_dispatches_reads_what_is_dispatched() -> None:
    text = (EXAMPLES / "github-actions" / "deploy-model.yml").read_text()
    got = await delivered(sinks_of("github-actions"), "github_dispatch", "api_url", Github(token=TOKEN))
    workflow = yaml.safe_load(text)

    values = evaluated(text, {"github": {"event": {"client_payload": got.body["client_payload"]}}})

    listens = workflow[True]["repository_dispatch"]["types"]  # YAML 1.1 reads the key `on` as true
    assert listens == [got.body["event_type"]] == ["model_promoted"]
    assert values == {
        "github.event.client_payload.model_name": "fraud",
        "github.event.client_payload.model_version": "1",
        "github.event.client_payload.to_stage": "Production",
        "github.event.client_payload.delivery_id": "event-1",
    }
    assert_scripts_hold_no_expression(workflow)


async def test_the_workflow_with_inputs_declares_and_reads_what_it_is_given() -> None:
    text = (EXAMPLES / "github-actions" / "deploy-model-run.yml").read_text()
    workflow = yaml.safe_load(text)
    declared = workflow[True]["workflow_dispatch"]["inputs"]
    hub = Github(token=TOKEN)
    hub.workflow, hub.inputs = "deploy-model-run.yml", set(declared)

    got = await delivered(sinks_of("github-actions"), "github_workflow", "api_url", hub)

    values = evaluated(text, {"inputs": got.body["inputs"]})
    assert (values["inputs.model_name"], values["inputs.model_version"]) == ("fraud", "1")
    assert {name for name, one in declared.items() if one["required"]} <= set(got.body["inputs"])
    assert_scripts_hold_no_expression(workflow)


def assert_scripts_hold_no_expression(workflow: dict) -> None:
    """A model's name in a script would be code."""
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            assert set(SHELL.findall(step.get("run", ""))) <= set(job["env"])


async def test_the_pipeline_reads_variables_that_it_is_given() -> None:
    text = (EXAMPLES / "gitlab-ci" / "gitlab-ci.yml").read_text()

    got = await delivered(sinks_of("gitlab-ci"), "gitlab_pipeline", "url", gitlab(TOKEN))

    given = {name[10:-1] for name in form_of(got) if name.startswith("variables[")}
    assert yaml.safe_load(text)["deploy-model"]["script"]
    assert {name for name in SHELL.findall(text) if not name.startswith("CI_")} <= given
    assert form_of(got)["variables[MODEL_NAME]"] == "fraud"


async def test_the_jenkinsfile_declares_and_reads_the_parameters_that_it_is_given() -> None:
    text = (EXAMPLES / "jenkins" / "Jenkinsfile").read_text()
    declared = re.findall(r"string\(name: '(\w+)'", text)
    answer = jenkins("mlflow-bridge", TOKEN, "/job/ml/job/deploy-model", declared)

    got = await delivered(sinks_of("jenkins"), "jenkins_job", "url", answer)

    assert set(form_of(got)) == set(declared)
    assert set(re.findall(r"params\.(\w+)", text)) <= set(declared)
    (script,) = re.findall(r"sh (.*)", text)
    assert script.startswith("'")
    assert set(SHELL.findall(script)) <= set(declared)


async def test_the_generic_webhook_trigger_finds_what_it_looks_for() -> None:
    text = (ROOT / "docs" / "recipes" / "jenkins-generic-webhook.md").read_text()
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)

    got = await delivered(toml, "http", "url", Answer(200))

    looked_for = re.findall(r"value: '\$\.(\w+)'", text)
    assert (got.path, got.headers["token"]) == ("/generic-webhook-trigger/invoke", TOKEN)
    assert [got.body[name] for name in looked_for] == ["fraud", "1"]


def test_the_workflow_that_decides_reads_what_a_request_has() -> None:
    folder = EXAMPLES / "github-actions"
    text = (folder / "decide-promotion.yml").read_text()
    tables = tomllib.loads((folder / "decide-sinks.toml").read_text())["sinks"]
    (sink,) = build({"registry": {"tracking_uri": "http://r"}, "sinks": tables}, SETTINGS).sinks
    event = synthetic_event(sink.events[0], (), "id", 0)
    payload = default_payload(event, sink.events[0], ("delivery_id", event.id))

    read = set(re.findall(r"client_payload\.(\w+)", text))

    assert yaml.safe_load(text)[True]["repository_dispatch"]["types"] == [sink.event_type]
    assert {"model_name", "model_version", "transition_request_id"} <= read <= payload.keys()
