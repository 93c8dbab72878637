"""What a real MLflow server tells of a version and its run, and that it arrives with the event."""

import json
from urllib.parse import urlsplit

import pytest
from support.command import Bridge, http_sink, only
from support.proxy import Proxy
from support.receiver import Answer, RawReceiver, WebServer, free_port

from bridge.config import RegistrySettings
from bridge.diff.absence_verification import Absence
from bridge.errors import RegistryRefused, RegistryUnreachable
from bridge.registry.base import Deadline
from bridge.registry.model_signature import signature_in
from bridge.registry.version_details import MlflowFacts

pytestmark = pytest.mark.filterwarnings("ignore")

SIGNATURE = """
artifact_path: model
flavors:
  python_function: {loader_module: mlflow.sklearn}
signature:
  inputs: '[{"name": "amount", "type": "double", "required": true}]'
  outputs: '[{"type": "long", "required": true}]'
  params: null
"""
DECODED = {
    "inputs": [{"name": "amount", "type": "double", "required": True}],
    "outputs": [{"type": "long", "required": True}],
    "params": None,
}


@pytest.fixture
def trained(client, request, tmp_path) -> tuple[str, str]:
    """A model whose version comes from a run with metrics, parameters, tags and an MLmodel file."""
    name = request.node.name[:80]
    run = client.create_run("0", tags={"team": "risk"}, run_name="nightly")
    run_id = run.info.run_id
    client.log_metric(run_id, "auc", 0.93)
    client.log_metric(run_id, "broken", float("nan"))
    client.log_param(run_id, "alpha", "0.5")
    client.log_text(run_id, SIGNATURE, "model/MLmodel")
    client.create_registered_model(name, description="scores payments")
    client.create_model_version(name, f"{run.info.artifact_uri}/model", run_id=run_id, tags={"k": "v"})
    client.set_registered_model_alias(name, "champion", "1")
    return name, run_id


def facts(url: str, **settings) -> MlflowFacts:
    return MlflowFacts(RegistrySettings(tracking_uri=url, **{"timeout": "5s", **settings}))


def soon() -> Deadline:
    return Deadline.after(20_000)


def test_a_version_is_told_with_its_source_its_files_and_its_signature(server, trained) -> None:
    name, run_id = trained

    version = facts(server.url).version(name, "1", soon())
    files = facts(server.url).files(name, "1", soon())

    assert (version["version"], version["run_id"], version["stage"]) == ("1", run_id, "None")
    assert (version["aliases"], version["tags"], version["status"]) == (["champion"], {"k": "v"}, "READY")
    assert version["source"].endswith("/model")
    assert files == {"artifact_location": version["source"], "signature": DECODED}


def test_a_run_is_told_with_its_metrics_parameters_and_tags(server, trained) -> None:
    run = facts(server.url).run(trained[1], soon())

    assert (run["name"], run["experiment_id"], run["params"]) == ("nightly", "0", {"alpha": "0.5"})
    assert run["metrics"]["auc"] == 0.93
    assert run["tags"]["team"] == "risk"


def test_what_is_not_there_is_gone(server, model) -> None:
    registry = facts(server.url)

    assert registry.version(model, "7", soon()) is Absence.GONE
    assert registry.version("no such model", "1", soon()) is Absence.GONE
    assert registry.run("0" * 32, soon()) is Absence.GONE
    assert (
        registry.files(model, "1", soon())["signature"] is None
    )  # its files are in a bucket that is not there


def test_a_storage_that_hangs_costs_the_signature_alone() -> None:
    hanging = RawReceiver(b"", hang=60)

    files = facts(hanging.url.rstrip("/"), timeout="1s").files("m", "1", soon())

    hanging.stop()
    assert files == {"artifact_location": None, "signature": None}


def test_a_registry_that_cannot_be_reached_or_is_none_is_told_apart() -> None:
    with pytest.raises(RegistryUnreachable):
        facts(f"http://127.0.0.1:{free_port()}").version("m", "1", soon())
    page = WebServer()
    with pytest.raises(RegistryRefused):
        facts(page.url).version("m", "1", soon())
    page.stop()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"signature: [1, 2]",
        b"signature: 7",
        b"- a list",
        b"signature: {inputs: '[', outputs: 5}",
        b"signature: {inputs: " + b"[" * 5000,
        b"a: &a [x, x]\nsignature: !!python/object/apply:os.system ['true']",
    ],
)
def test_a_file_that_is_no_model_s_has_no_signature(content) -> None:
    assert not any((signature_in(content) or {}).values())


def test_a_transition_arrives_with_what_the_sink_asked_for(
    tmp_path, server, client, trained, receiver
) -> None:
    name, run_id = trained
    receiver.answer = Answer(503)
    more = (
        f"{only(name)}\n"
        'include = ["run", "model", "version"]\nfirst_retry = "100ms"\nlongest_retry = "100ms"\n'
    )
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=more))
    bridge.run("once")
    client.transition_model_version_stage(name, "1", "Production")

    bridge.run("once")
    client.log_metric(run_id, "auc", 0.11)
    receiver.answer = Answer()
    done = bridge.run("once")

    first, last = receiver.got[0].body, receiver.got[-1].body
    assert (done.returncode, first) == (0, last)  # asked once, and kept
    details = last["details"]
    assert list(last)[-1] == "details"
    assert (details["run"]["metrics"], details["run"]["params"]) == (
        {"auc": 0.93, "broken": "NaN"},
        {"alpha": "0.5"},
    )
    assert details["version"]["signature"] == DECODED
    assert details["model"]["stages"] == {"Production": ["1"]}
    assert (details["model"]["aliases"], details["model"]["description"]) == (
        {"champion": "1"},
        "scores payments",
    )
    shown = json.loads(bridge.run("events", "show", receiver.got[0].delivery_id, "--output", "json").stdout)
    assert shown["details"] == details
    assert "details.run" in bridge.run("events", "show", receiver.got[0].delivery_id).stdout


@pytest.fixture
def proxied(server):
    """A registry that can be made to refuse, and be mended."""
    proxy = Proxy(server.url, "Host", "")
    proxy.value = urlsplit(proxy.url).netloc
    yield proxy
    proxy.stop()


def waiting(tmp_path, proxied, client, model, receiver, more: str) -> Bridge:
    """A transition that was observed, and not attempted before the registry began to refuse."""
    sink = http_sink(
        receiver.url, more=f'{only(model)}\ninclude = ["run", "model"]\nfirst_retry = "100ms"\n{more}'
    )
    bridge = Bridge(tmp_path, proxied.url, sink)
    bridge.run("once")
    client.transition_model_version_stage(model, "1", "Production")
    bridge.run("sinks", "pause", "ci")
    bridge.run("once")
    bridge.run("sinks", "resume", "ci")
    proxied.value = "nobody"
    return bridge


def test_a_registry_that_refuses_does_not_keep_an_event_from_arriving(
    tmp_path, proxied, client, model, receiver
) -> None:
    bridge = waiting(tmp_path, proxied, client, model, receiver, "")

    done = bridge.run("once")

    (got,) = receiver.got
    assert done.returncode == 69
    assert got.body["details"]["missing"] == {"run": "failed"}
    assert got.body["details"]["model"]["stages"] == {"Production": ["1"]}  # kept since the poll


def test_what_is_required_is_waited_for_and_then_arrives(tmp_path, proxied, client, model, receiver) -> None:
    bridge = waiting(tmp_path, proxied, client, model, receiver, 'include_policy = "required"')

    bridge.run("once")
    shown = bridge.run("outbox", "list").stdout
    before = list(receiver.got)
    proxied.value = urlsplit(proxied.url).netloc
    done = bridge.run("once")

    (got,) = receiver.got
    assert (before, done.returncode) == ([], 0), done.stderr
    assert "enrichment" in shown
    assert got.body["details"]["run"] is None  # the version has no run
    assert "missing" not in got.body["details"]
