"""What operators do about deliveries, beside the daemon that makes them and without one."""

import json

import pytest
from support.command import Bridge, http_sink, only, stop
from support.receiver import Answer
from support.until import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")


def entries(bridge: Bridge, *options: str) -> list[dict]:
    return json.loads(bridge.run("outbox", "list", "--output", "json", *options).stdout)["entries"]


def test_dead_letters_are_shown_redriven_and_replayed_beside_the_daemon(
    tmp_path, server, client, model, receiver
) -> None:
    receiver.answer = Answer(400, body=b"no such pipeline")
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        bridge.wait_for_log("delivery.dead")
        receiver.answer = Answer()
        (dead,) = entries(bridge)
        shown = bridge.run("outbox", "show", str(dead["id"]))
        done = bridge.run("outbox", "redrive", "--all")
        wait_until(lambda: len(receiver.got) == 2)
        again = bridge.run("replay", "--model", model, "--new-ids", "--yes")
        wait_until(lambda: len(receiver.got) == 3)
        wait_until(lambda: entries(bridge) == [])
        assert stop(daemon) == 0

    assert "no such pipeline" in shown.stdout
    assert (done.returncode, done.stdout, again.stdout) == (
        0,
        "redriven: 1 entry to ci\n",
        "replayed: 1 entry to ci\n",
    )
    ids = [got.delivery_id for got in receiver.got]
    assert ids[0] == ids[1] != ids[2]
    assert [got.body["to_stage"] for got in receiver.got] == ["Staging"] * 3


def test_a_sink_paused_beside_the_daemon_stays_so_over_restarts_and_gets_all_of_it_in_order(
    tmp_path, server, client, model, receiver
) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        paused = bridge.run("sinks", "pause", "ci")
        client.transition_model_version_stage(model, "1", "Staging")
        wait_until(lambda: len(entries(bridge)) == 1)
        assert stop(daemon) == 0
    client.transition_model_version_stage(model, "1", "Production")
    once = bridge.run("once")
    waiting = [entry["attempts"] for entry in entries(bridge)]
    resumed = bridge.run("sinks", "resume", "ci")
    last = bridge.run("once")

    assert (paused.stdout, resumed.stdout) == ("ci is paused\n", "ci is running again (it was paused)\n")
    assert (once.returncode, waiting, last.returncode) == (0, [0, 0], 0)
    assert [got.body["to_stage"] for got in receiver.got] == ["Staging", "Production"]


def test_a_receiver_that_is_gone_stops_its_sink_until_it_is_resumed_beside_the_daemon(
    tmp_path, server, client, model, receiver
) -> None:
    receiver.answer = Answer(410)
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    with bridge.running():
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        bridge.wait_for_log("sink.stopped")
        receiver.answer = Answer()
        (sink,) = bridge.status()["sinks"]
        seen = len(receiver.got)
        bridge.run("sinks", "resume", "ci")
        wait_until(lambda: entries(bridge) == [])

    assert (sink["condition"], sink["pending"], seen) == ("stopped", 1, 1)
    assert "mlflow-bridge sinks resume" in sink["condition_why"]
    assert [got.body["to_stage"] for got in receiver.got] == ["Staging", "Staging"]
