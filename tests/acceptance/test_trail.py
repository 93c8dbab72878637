"""``events`` and ``sinks``, as their users start them, beside a running daemon and without one."""

import json
import time

import pytest
from support.command import Bridge, github_sink, http_sink, only, stop
from support.receiver import Answer
from support.until import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")


def promote(client, model: str, version: str, stage: str, *, archive: bool = False) -> int:
    """Move a version; return when that was, by the registry's clock, in ms."""
    time.sleep(0.002)  # so that no two transitions are of the same millisecond
    client.transition_model_version_stage(model, version, stage, archive_existing_versions=archive)
    return client.get_model_version(model, version).last_updated_timestamp


def stages(bridge: Bridge, name: str, at_ms: int) -> dict[str, str | None]:
    instant = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms // 1000)) + f".{at_ms % 1000:03}Z"
    done = bridge.run("events", "list", "--model", name, "--at", instant, "--output", "json")
    assert done.returncode == 0, done.stderr
    (model,) = json.loads(done.stdout)["models"]
    return {version["version"]: version["stage"] for version in model["versions"]}


def test_the_trail_tells_what_was_observed_delivered_and_in_production_then(
    tmp_path, server, client, model, receiver
) -> None:
    client.create_model_version(model, "s3://b/y")
    sink = http_sink(receiver.url, more=only(model))
    bridge = Bridge(tmp_path, server.url, sink, poll='interval = "1h"')
    nothing = bridge.run("events", "list")
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        first = promote(client, model, "1", "Production")
        assert bridge.run("once", "--full").returncode == 0
        second = promote(client, model, "2", "Production", archive=True)
        assert bridge.run("once", "--full").returncode == 0
        client.rename_registered_model(model, f"{model}-new")
        assert bridge.run("once", "--full").returncode == 0
        wait_until(lambda: bridge.status()["sinks"][0]["delivered"] == 3)

        listed = bridge.run("events", "list", "--model", model)
        shown = bridge.run("events", "show", receiver.got[0].delivery_id[:13], "--output", "json")
        then = [stages(bridge, model, at) for at in (first, second - 1, second)]
        now = stages(bridge, f"{model}-new", second)
        assert stop(daemon) == 0

    assert (nothing.returncode, nothing.stdout.startswith("no state yet")) == (0, True)
    types = [line.split()[2] for line in listed.stdout.splitlines()[1:]]
    assert types == [*["MODEL_VERSION_TRANSITIONED_STAGE"] * 3, "REGISTERED_MODEL_RENAMED"]
    assert receiver.got[0].delivery_id[:8] in listed.stdout
    (delivery,) = json.loads(shown.stdout)["deliveries"]
    assert (delivery["sink"], delivery["status"], delivery["attempts"]) == ("ci", "delivered", 1)
    assert then == [
        {"1": "Production", "2": "None"},
        {"1": "Production", "2": "None"},
        {"1": "Archived", "2": "Production"},
    ]
    assert now == then[2]
    assert bridge.run("events", "show", "nosuch").returncode == 1


def test_sinks_are_listed_and_tried_out_beside_the_daemon(tmp_path, server, model, receiver) -> None:
    sinks = (http_sink(receiver.url, more=only(model)), github_sink(receiver.url, only(model)))
    bridge = Bridge(tmp_path, server.url, *sinks, poll='interval = "1h"')
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        before = bridge.status()["sinks"]
        delivered = bridge.run("sinks", "test", "deploy")
        receiver.answer = Answer(400, body=b"bad")
        refused = bridge.run("sinks", "test", "ci")
        listed = json.loads(bridge.run("sinks", "list", "--output", "json").stdout)["sinks"]
        after = bridge.status()["sinks"]
        assert stop(daemon) == 0

    assert (delivered.returncode, delivered.stderr, refused.returncode) == (0, "", 1)
    assert "Authorization: Bearer ***\n" in delivered.stdout
    assert "ghp_secret" not in delivered.stdout
    assert "HTTP 400\nbad\n" in refused.stdout
    assert [one["name"] for one in listed] == ["ci", "deploy"]
    assert [got.headers["user-agent"].partition("/")[0] for got in receiver.got] == ["mlflow-bridge"] * 2
    assert before == after
