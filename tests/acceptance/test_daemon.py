"""The daemon, as a process: real registry, real receivers, real signals."""

import resource
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.command import COMMAND, Bridge, github_sink, http_sink, only, stop
from support.github import github
from support.patience import patience
from support.receiver import Answer, Receiver, free_port
from support.until import wait_until

from bridge.demo.demo_receiver import is_genuine
from bridge.events.formats import webhook_id

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_main_job_from_a_transition_to_a_signed_delivery(
    tmp_path, server, client, model, receiver
) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        previous = "None"
        for count, stage in enumerate(("Staging", "Production", "Archived"), start=1):
            client.transition_model_version_stage(model, "1", stage)
            got = receiver.wait_for(count)[-1]
            assert got.body == {
                "event": "MODEL_VERSION_TRANSITIONED_STAGE",
                "timestamp": client.get_model_version(model, "1").last_updated_timestamp,
                "model_name": model,
                "model_version": "1",
                "to_stage": stage,
                "from_stage": previous,
                "user_id": None,
                "webhook_id": webhook_id("ci"),
            }
            assert next(iter(got.body)) == "event"
            headers = {name.title().replace("Mlflow", "MLflow"): value for name, value in got.headers.items()}
            assert is_genuine(headers, got.raw, "s3cret-in-env")
            previous = stage
        assert stop(daemon) == 0
    assert len({got.delivery_id for got in receiver.got}) == 3
    assert "s3cret-in-env" not in (tmp_path / "log").read_text()


def test_a_dispatch_reaches_github(tmp_path, server, client, model) -> None:
    receiver = Receiver(github("ghp_secret", "acme/deploy"))
    more = f'{only(model)}\nevents = ["MODEL_VERSION_TRANSITIONED_TO_PRODUCTION"]'
    bridge = Bridge(tmp_path, server.url, github_sink(receiver.url, more))
    with bridge.running():
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        client.transition_model_version_stage(model, "1", "Production")
        got = receiver.wait_for(1)[0]
        bridge.wait_for_log("delivery.delivered")
    receiver.stop()

    payload = got.body["client_payload"]
    assert got.body["event_type"] == "model_promoted"
    assert payload["event"] == "MODEL_VERSION_TRANSITIONED_TO_PRODUCTION"
    assert (payload["model_name"], payload["model_version"], payload["delivery_id"]) == (
        model,
        "1",
        got.delivery_id,
    )
    assert "ghp_secret" not in (tmp_path / "log").read_text() + (tmp_path / "state" / "journal").read_text()


def test_killed_while_the_receiver_is_down_it_delivers_once_it_is_back(
    tmp_path, server, client, model
) -> None:
    port = free_port()
    bridge = Bridge(tmp_path, server.url, http_sink(f"http://127.0.0.1:{port}", more=only(model)))
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        first = bridge.wait_for_log("delivery.retry")[0]
        assert first["reason"] == "connect"
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    receiver = Receiver(port=port)
    with bridge.running() as daemon:
        (got,) = receiver.wait_for(1)
        bridge.wait_for_log("delivery.delivered")
        assert stop(daemon) == 0
    receiver.stop()

    assert got.delivery_id == first["event_id"]
    assert [(sink["pending"], sink["dead"], sink["delivered"]) for sink in bridge.status()["sinks"]] == [
        (0, 0, 1)
    ]


def test_sigterm_lets_a_delivery_under_way_end(tmp_path, server, client, model) -> None:
    receiver = Receiver(Answer(200, delay=1.5))
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        receiver.wait_until_one_came()
        assert stop(daemon) == 0
    receiver.stop()

    assert (len(receiver.got), bridge.status()["sinks"][0]["delivered"]) == (1, 1)
    assert [line["event"] for line in bridge.log][-1] == "daemon.stopped"


def test_a_registry_that_is_down_at_start_is_waited_for_and_told_once(tmp_path, server) -> None:
    bridge = Bridge(tmp_path, f"http://127.0.0.1:{free_port()}")
    with bridge.running() as daemon:
        bridge.wait_for_log("poll.failed")
        time.sleep(2)
        assert stop(daemon) == 0

    assert len([line for line in bridge.log if line["event"] == "poll.failed"]) == 1
    assert bridge.status()["last_poll"]["outcome"] == "failed"


def test_a_second_instance_on_one_state_exits_75(tmp_path, server) -> None:
    bridge = Bridge(tmp_path, server.url)
    with bridge.running():
        for command in ("once", "run"):
            second = bridge.run(command)
            assert (second.returncode, second.stderr.count("\n")) == (75, 1)
            assert "another mlflow-bridge owns the state folder" in second.stderr
        assert bridge.run("status").returncode == 0
        assert bridge.run("diff").returncode == 0


def test_probes_and_metrics_are_served(tmp_path, server, client, model, receiver) -> None:
    address = f"127.0.0.1:{free_port()}"
    bridge = Bridge(tmp_path, server.url)
    sink = http_sink(receiver.url, more=only(model))
    bridge.write(server.url, sink, more=f'[server]\nlisten = "{address}"\n')
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        receiver.wait_for(1)
        bridge.wait_for_log("delivery.delivered")
        pages = {path: fetch(f"http://{address}{path}") for path in ("/livez", "/readyz", "/metrics", "/x")}
        assert stop(daemon) == 0

    assert {path: status for path, (status, _) in pages.items()} == {
        "/livez": 200,
        "/readyz": 200,
        "/metrics": 200,
        "/x": 404,
    }
    metrics = pages["/metrics"][1]
    for line in (
        'mlflow_bridge_events_total{type="MODEL_VERSION_TRANSITIONED_STAGE"} 1.0',
        'mlflow_bridge_deliveries_total{outcome="delivered",sink="ci"} 1.0',
        'mlflow_bridge_outbox_entries{sink="ci",status="delivered"} 1.0',
        'mlflow_bridge_outbox_oldest_age_seconds{sink="ci"} 0.0',
        'mlflow_bridge_build_info{version="0.1.0"} 1.0',
    ):
        assert line in metrics
    for name in ("polls_total", "poll_duration_seconds", "last_successful_poll_timestamp_seconds"):
        assert f"mlflow_bridge_{name}" in metrics
    assert model not in metrics


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=patience()) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_sighup_takes_a_new_configuration_whole_or_not_at_all(
    tmp_path, server, client, model, receiver
) -> None:
    bridge = Bridge(tmp_path, server.url)
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        bridge.write(server.url, '[[sinks]]\nname = "x"\ntype = "htpp"\n')
        daemon.send_signal(signal.SIGHUP)
        assert "did you mean 'http'" in bridge.wait_for_log("config.refused")[0]["error"]
        bridge.write(f"{server.url}/other", http_sink(receiver.url))
        daemon.send_signal(signal.SIGHUP)
        assert "needs a restart" in bridge.wait_for_log("config.refused", 2)[1]["error"]
        bridge.write(server.url, http_sink(receiver.url, more=only(model)))
        daemon.send_signal(signal.SIGHUP)
        bridge.wait_for_log("config.reloaded")
        bridge.wait_for_log("daemon.started", 2)
        client.transition_model_version_stage(model, "1", "Staging")
        receiver.wait_for(1)
        assert stop(daemon) == 0


def test_a_log_that_is_full_stops_nothing(tmp_path, server, client, model, receiver) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    assert bridge.run("once").returncode == 0
    client.transition_model_version_stage(model, "1", "Staging")
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(
            [*COMMAND, "run", "--config", str(bridge.config)],
            stderr=full,
            env=bridge.environment,
            cwd=tmp_path,
        )
        receiver.wait_for(1)
        assert stop(process) == 0


def test_a_disk_that_is_full_for_a_while_delays_events_and_loses_none(
    tmp_path, server, client, model, receiver
) -> None:
    journal = tmp_path / "state" / "journal"
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        unlimited = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        limit = journal.stat().st_size + 20
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (limit, unlimited[1]))
        for stage in ("Staging", "Production"):
            client.transition_model_version_stage(model, "1", stage)
            time.sleep(1.5)
        assert (receiver.got, daemon.poll()) == ([], None)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, unlimited)
        wait_until(lambda: receiver.got and receiver.got[-1].body["to_stage"] == "Production")
        assert stop(daemon) == 0

    stages = [(got.body["from_stage"], got.body["to_stage"]) for got in receiver.got]
    # A poll that read the first transition may have come to its commit only when there was room again.
    assert stages in ([("None", "Production")], [("None", "Staging"), ("Staging", "Production")])


def test_a_disk_that_is_full_between_delivery_and_its_record_sends_nothing_more_until_it_is_not(
    tmp_path, server, client, model
) -> None:
    journal = tmp_path / "state" / "journal"
    limits = {}

    def fill_up(_got) -> Answer:
        limits["before"] = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        limit = journal.stat().st_size + 20
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (limit, limits["before"][1]))
        receiver.answer = Answer(204)
        return Answer(204)

    receiver = Receiver(fill_up)
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        receiver.wait_for(1)
        time.sleep(2)
        assert len(receiver.got) == 1
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, limits["before"])
        wait_until(lambda: bridge.status()["sinks"][0]["delivered"])
        assert stop(daemon) == 0
    receiver.stop()

    assert (len(receiver.got), bridge.status()["sinks"][0]["delivered"]) == (1, 1)
