"""Webhooks that are created at run time: a real registry, the real daemon, real receivers, and clients that others wrote."""

import http.client
import json
import os
import subprocess
from base64 import b64encode
from pathlib import Path
from shutil import which

import pytest
from support.command import Bridge, http_sink, only, stop
from support.hooks import KEY, OTHER_KEY
from support.patience import patience
from support.receiver import Answer, free_port
from support.until import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")

TOKEN = "0123456789abcdef0123456789abcdef"
TRANSITION = "MODEL_VERSION_TRANSITIONED_STAGE"
PATH = "/api/2.0/mlflow/registry-webhooks"
CLIENTS = Path(__file__).parents[2] / ".venv" / "databricks"
SCHEMATHESIS = Path(__file__).parents[2] / ".venv" / "schemathesis" / "bin" / "schemathesis"
PROGRAM = Path(__file__).parents[1] / "support" / "databricks_clients.py"


class Hooked:
    """A bridge whose webhooks are managed over its API."""

    def __init__(self, folder: Path, registry: str, *sinks: str) -> None:
        self.port = free_port()
        self.bridge = Bridge(folder, registry)
        self.bridge.environment |= {"BRIDGE_TOKEN": TOKEN, "BRIDGE_KEY": KEY, "OTHER_KEY": OTHER_KEY}
        self.registry, self.sinks = registry, sinks
        self.may = '["read", "webhooks"]'
        self.configure('encryption_key = { env = "BRIDGE_KEY" }')

    def configure(self, webhooks: str) -> None:
        more = (
            f'[server]\nlisten = "127.0.0.1:{self.port}"\n'
            f'tokens = [{{ name = "ci", token = {{ env = "BRIDGE_TOKEN" }}, may = {self.may} }}]\n'
            f'[webhooks]\nallowed_hosts = ["127.0.0.0/8", "public", "your-webhook-service"]\n{webhooks}\n'
        )
        self.bridge.write(self.registry, *self.sinks, more=more)

    def ask(self, method: str, verb: str, body=None) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience())
        login = b64encode(f"anybody:{TOKEN}".encode()).decode()
        connection.request(
            method, f"{PATH}/{verb}", json.dumps(body or {}), {"Authorization": f"Basic {login}"}
        )
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        assert answer.status == 200, found
        return found

    def create(self, url: str, **more) -> str:
        given = {"events": [TRANSITION], "http_url_spec": {"url": url, "secret": "s3cret"}, **more}
        return self.ask("POST", "create", given)["webhook"]["id"]


@pytest.fixture
def hooked(tmp_path, server) -> Hooked:
    return Hooked(tmp_path, server.url)


def test_the_curl_of_the_ordering_document_works_as_it_stands(hooked) -> None:
    command = r"""
    curl --silent --show-error -X POST "$MLFLOW_URI/api/2.0/mlflow/registry-webhooks/create" -H "Content-Type: application/json" -d '{"model_name": "fraud-detector",
      "events": ["MODEL_VERSION_TRANSITIONED_STAGE"], "description": "…", "status": "ACTIVE",
      "http_url_spec": {"url": "http://your-webhook-service:8088/mlflow-governance-hook", "enable_ssl_verification": false}}'
    """
    with hooked.bridge.running():
        uri = f"http://x:{TOKEN}@127.0.0.1:{hooked.port}"
        done = subprocess.run(
            [which("sh"), "-c", command],
            env={**os.environ, "MLFLOW_URI": uri},
            capture_output=True,
            text=True,
            check=True,
        )

    webhook = json.loads(done.stdout)["webhook"]
    assert (webhook["model_name"], webhook["status"], len(webhook["id"])) == ("fraud-detector", "ACTIVE", 32)


def test_a_webhook_gets_what_happens_from_its_creation_on_and_a_deleted_one_nothing(
    hooked, server, client, model, receiver
) -> None:
    with hooked.bridge.running() as daemon:
        hooked.bridge.wait_for_log("baseline.taken")
        webhook = hooked.create(receiver.url, model_name=model)
        client.transition_model_version_stage(model, "1", "Production")
        wait_until(lambda: receiver.got)
        hooked.ask("PATCH", "update", {"id": webhook, "status": "DISABLED"})
        client.transition_model_version_stage(model, "1", "Archived")
        wait_until(lambda: len(hooked.bridge.wait_for_log("event.observed", 2)) >= 2)
        hooked.ask("PATCH", "update", {"id": webhook, "status": "ACTIVE"})
        client.transition_model_version_stage(model, "1", "Staging")
        wait_until(lambda: len(receiver.got) == 2)
        hooked.ask("DELETE", "delete", {"id": webhook})
        client.transition_model_version_stage(model, "1", "Production")
        hooked.bridge.wait_for_log("event.observed", 4)
        assert stop(daemon) == 0

    assert [(got.body["from_stage"], got.body["to_stage"]) for got in receiver.got] == [
        ("None", "Production"),
        ("Archived", "Staging"),
    ]
    (first, _) = receiver.got
    assert (first.body["webhook_id"], first.body["webhook_type"]) == (webhook, "TRANSITION_COMPLETED")
    assert {"x-databricks-signature", "x-mlflow-signature"} <= {name.lower() for name in first.headers}
    assert "daemon.started" in [line["event"] for line in hooked.bridge.log]
    assert [line["event"] for line in hooked.bridge.log].count("daemon.started") == 1


def test_a_webhook_outlives_restarts_and_cron_delivers_to_it(hooked, client, model, receiver) -> None:
    with hooked.bridge.running() as daemon:
        hooked.bridge.wait_for_log("baseline.taken")
        webhook = hooked.create(receiver.url, model_name=model)
        assert stop(daemon) == 0
    client.transition_model_version_stage(model, "1", "Production")

    once = hooked.bridge.run("once")

    assert (once.returncode, [got.body["webhook_id"] for got in receiver.got]) == (0, [webhook])


def test_commands_change_the_webhooks_of_the_running_daemon_at_once(hooked, client, model, receiver) -> None:
    with hooked.bridge.running():
        hooked.bridge.wait_for_log("baseline.taken")
        made = hooked.bridge.run("webhooks", "create", receiver.url, "--model", model)
        webhook = made.stdout.split()[-1]
        client.transition_model_version_stage(model, "1", "Production")
        wait_until(lambda: receiver.got)
        status = hooked.bridge.status()["sinks"]
        gone = hooked.bridge.run("webhooks", "delete", webhook, "--yes")
        trail = hooked.bridge.run("events", "list", "--type", "webhook_created").stdout

    assert [(sink["name"], sink["type"], sink["delivered"]) for sink in status] == [(webhook, "webhook", 1)]
    assert (gone.returncode, "(by command (" in trail) == (0, True)


def test_a_webhook_that_is_down_holds_up_no_other_sink_and_its_dead_are_redriven(
    tmp_path, server, client, model, receiver
) -> None:
    other = type(receiver)()
    hooked = Hooked(tmp_path, server.url, http_sink(other.url, more=only(model)))
    receiver.answer = Answer(400)
    with hooked.bridge.running():
        hooked.bridge.wait_for_log("baseline.taken")
        webhook = hooked.create(receiver.url, model_name=model)
        client.transition_model_version_stage(model, "1", "Production")
        hooked.bridge.wait_for_log("delivery.dead")
        wait_until(lambda: other.got)
        receiver.answer = Answer()
        redriven = hooked.bridge.run("outbox", "redrive", "--sink", webhook)
        wait_until(lambda: len(receiver.got) == 2)
    other.stop()

    assert redriven.stdout == f"redriven: 1 entry to {webhook}\n"
    assert len({got.delivery_id for got in receiver.got}) == 1


def test_keys_are_rotated_beside_the_daemon(hooked, client, model, receiver) -> None:
    with hooked.bridge.running():
        hooked.bridge.wait_for_log("baseline.taken")
        hooked.create(receiver.url, model_name=model)
        hooked.configure('encryption_key = [{ env = "OTHER_KEY" }, { env = "BRIDGE_KEY" }]')
        reloaded = hooked.bridge.run("reload")
        rekeyed = hooked.bridge.run("webhooks", "rekey")
        hooked.configure('encryption_key = { env = "OTHER_KEY" }')
        again = hooked.bridge.run("reload")
        client.transition_model_version_stage(model, "1", "Production")
        wait_until(lambda: receiver.got)

    assert (reloaded.returncode, rekeyed.stdout, again.returncode) == (0, "rekeyed: 1 webhook\n", 0)


def test_its_secrets_are_nowhere_to_be_read(hooked, client, model, receiver) -> None:
    receiver.answer = Answer(500, body=b"s3cret-value and t0ken-value")
    with hooked.bridge.running():
        hooked.bridge.wait_for_log("baseline.taken")
        spec = {"url": receiver.url, "secret": "s3cret-value", "authorization": "Bearer t0ken-value"}
        webhook = hooked.create(receiver.url, model_name=model, http_url_spec=spec)
        tested = hooked.ask("POST", "test", {"id": webhook})
        client.transition_model_version_stage(model, "1", "Production")
        hooked.bridge.wait_for_log("delivery.retry")
        told = [
            hooked.bridge.run(*command).stdout
            for command in (
                ["status"],
                ["outbox", "show", "1"],
                ["events", "list"],
                ["webhooks", "show", webhook],
            )
        ]
        listed = hooked.ask("GET", "list")
        connection = http.client.HTTPConnection("127.0.0.1", hooked.port, timeout=patience())
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read().decode()

    files = [
        path.read_bytes().decode("latin-1") for path in hooked.bridge.folder.rglob("*") if path.is_file()
    ]
    everything = "\n".join([*files, *told, json.dumps([tested, listed]), metrics])
    assert tested["status_code"] == 500
    assert "s3cret-value" not in everything
    assert "t0ken-value" not in everything
    assert any(got.headers.get("authorization") == "Bearer t0ken-value" for got in receiver.got)


def run_client(name: str, hooked: Hooked, url: str) -> dict:
    python = CLIENTS / "bin" / "python"
    if not (CLIENTS / ".done").exists():
        pytest.fail("Databricks' clients are not installed: make test-extra does that")
    environment = {"PATH": os.environ["PATH"], "HOME": str(hooked.bridge.folder), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [python, "-P", PROGRAM, name, f"http://127.0.0.1:{hooked.port}", TOKEN, url],
        capture_output=True, text=True, env=environment, timeout=patience(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.extra
def test_databricks_sdk_manages_webhooks_unchanged(hooked, receiver) -> None:
    with hooked.bridge.running():
        hooked.bridge.wait_for_log("baseline.taken")
        found = run_client("sdk", hooked, receiver.url)

    made = found["made"]
    assert (made["description"], made["status"], made["model_name"]) == ("by the SDK", "TEST_MODE", "fraud")
    assert made["http_url_spec"] == {"url": receiver.url, "enable_ssl_verification": False}
    assert found["tested"] == {"status_code": 204, "body": ""} or found["tested"]["status_code"] == 204
    assert (found["updated"]["status"], found["updated"]["description"]) == ("DISABLED", "changed")
    assert [one["id"] for one in found["of_model"]] == [made["id"]]
    assert (found["listed"], found["deleted"], found["left"]) == (True, True, True)
    assert found["refused"]["unknown"][0] == "ResourceDoesNotExist"
    assert "http_url_spec.url: must be an http:// or https:// URL" in found["refused"]["invalid"][1]
    assert found["refused"]["token"][0] == "Unauthenticated"
    assert [got.body["event"] for got in receiver.got] == [TRANSITION]


@pytest.mark.extra
def test_databricks_registry_webhooks_manages_webhooks_unchanged(hooked, receiver) -> None:
    with hooked.bridge.running():
        hooked.bridge.wait_for_log("baseline.taken")
        found = run_client("registry_webhooks", hooked, receiver.url)

    made = found["made"]
    assert (made["status"], made["events"], made["url"]) == ("ACTIVE", [TRANSITION], receiver.url)
    assert (int(found["tested"]["status_code"]), found["updated"]) == (204, "changed")
    assert (found["listed"], found["left"]) == (True, [])
    assert "there is no webhook" in found["refused"]


@pytest.mark.extra
def test_schemathesis_finds_no_fault_in_the_api_and_no_answer_outside_of_its_description(
    hooked, client, model, receiver
) -> None:
    """That a request fits the schema and is refused is none: no schema knows what a cursor or a host is."""
    if not (SCHEMATHESIS.parent.parent / ".done").exists():
        pytest.fail("schemathesis is not installed: make test-extra does that")
    hooked.may = '["read", "operate", "webhooks", "request", "decide"]'
    hooked.configure('encryption_key = { env = "BRIDGE_KEY" }')
    with hooked.bridge.running():
        hooked.bridge.wait_for_log("baseline.taken")
        hooked.create(receiver.url, model_name=model)
        client.transition_model_version_stage(model, "1", "Production")
        wait_until(lambda: receiver.got)
        done = subprocess.run(
            [
                SCHEMATHESIS, "run", f"http://127.0.0.1:{hooked.port}/api/v1/openapi.json",
                "-H", f"Authorization: Bearer {TOKEN}", "--max-examples", "30", "--seed", "1",
                "--exclude-checks", "positive_data_acceptance", "--request-timeout", "60",
            ],
            capture_output=True, text=True, timeout=patience(), check=False, cwd=hooked.bridge.folder,
        )  # fmt: skip
        log = [
            line
            for line in hooked.bridge.log
            if line["event"] in {"server.fault", "control.failed", "poll.fault"}
        ]

    assert done.returncode == 0, done.stdout
    assert log == []
