"""What a reload changes, and what it leaves alone: with the real command, a real registry and real receivers."""

import signal

import pytest
from support.command import Bridge, http_sink, only, stop
from support.patience import patience
from support.receiver import Answer, Receiver, free_port
from support.until import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")

NEVER = 'interval = "1h"'


def test_sinks_come_go_and_stay_paused_and_what_is_under_way_ends(tmp_path, server, client, model) -> None:
    hangs, takes = Receiver(Answer(204, delay=1)), Receiver()
    one, two, three = (
        http_sink(receiver.url, name, only(model))
        for name, receiver in (("hangs", hangs), ("paused", takes), ("new", takes))
    )
    bridge = Bridge(tmp_path, server.url, one, two)
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        assert bridge.run("sinks", "pause", "paused").returncode == 0
        client.transition_model_version_stage(model, "1", "Staging")
        hangs.wait_until_one_came()
        bridge.write(server.url, one.replace("/hook", "/elsewhere"), two, three)
        done = bridge.run("reload")
        again = bridge.run("reload")
        client.transition_model_version_stage(model, "1", "Production")
        wait_until(lambda: {got.path for got in takes.got} == {"/hook"} and len(hangs.got) >= 2)
        standing = {sink["name"]: sink["condition"] for sink in bridge.status()["sinks"]}
        bridge.write(server.url, three)
        assert bridge.run("reload").returncode == 0
        orphaned = {sink["name"]: sink["condition"] for sink in bridge.status()["sinks"]}
        assert stop(daemon) == 0
    for receiver in (hangs, takes):
        receiver.stop()

    assert done.stdout == f"{bridge.config}: in force; sinks: hangs, paused, new\n", done.stderr
    assert again.stdout == f"{bridge.config}: unchanged; sinks: hangs, paused, new\n"
    assert standing == {"hangs": "running", "paused": "paused", "new": "running"}
    assert orphaned["paused"] == "orphaned"
    assert [got.body["to_stage"] for got in takes.got] == [
        "Production"
    ]  # what was observed since it was added
    assert [(got.path, got.body["to_stage"]) for got in hangs.got] == [
        ("/hook", "Staging"),
        ("/elsewhere", "Production"),
    ]


@pytest.mark.extra
def test_a_delivery_that_hangs_holds_a_reload_up_for_20_s_and_is_made_again_with_its_id(
    tmp_path, server, client, model
) -> None:
    receiver = Receiver(Answer(204, delay=60))
    sink = http_sink(receiver.url, more=f'{only(model)}\ntimeout = "2m"\nfirst_retry = "1s"')
    bridge = Bridge(tmp_path, server.url, sink)
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        receiver.wait_until_one_came()
        bridge.write(server.url, sink.replace("/hook", "/elsewhere"))
        receiver.answer = Answer(204)
        done = bridge.run("reload")
        wait_until(lambda: [got for got in receiver.got if got.path == "/elsewhere"])
        assert stop(daemon) == 0
    receiver.stop()

    assert (done.returncode, done.stderr) == (0, "")
    assert len({got.delivery_id for got in receiver.got}) == 1


def test_what_is_wrong_is_told_to_who_asked_and_changes_nothing(tmp_path, server) -> None:
    bridge = Bridge(tmp_path, server.url, poll=NEVER)
    alone = bridge.run("reload")
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        bridge.write(server.url, '[[sinks]]\nname = "x"\ntype = "htpp"\n', poll="")
        invalid = bridge.run("reload")
        bridge.write(server.url, more=f'[server]\nlisten = "127.0.0.1:{free_port()}"\n', poll=NEVER)
        fixed = bridge.run("reload")
        daemon.send_signal(signal.SIGHUP)
        bridge.wait_for_log("config.refused", 2)
        assert stop(daemon) == 0

    assert (alone.returncode, "no daemon runs on the state folder" in alone.stderr) == (1, True)
    assert (invalid.returncode, "did you mean 'http'" in invalid.stderr) == (78, True)
    assert (fixed.returncode, fixed.stderr) == (
        78,
        "mlflow-bridge: a change of server needs a restart\n",
    )
    assert len([line for line in bridge.log if line["event"] == "daemon.started"]) == 1


def test_where_it_hangs_is_told_when_the_watchdog_kills_it(tmp_path, server) -> None:
    """The unit sets PYTHONFAULTHANDLER: SIGABRT, which systemd sends, leaves the stacks of every thread."""
    bridge = Bridge(tmp_path, server.url, poll=NEVER)
    with bridge.running(PYTHONFAULTHANDLER="1") as daemon:
        bridge.wait_for_log("baseline.taken")
        daemon.send_signal(signal.SIGABRT)
        assert daemon.wait(patience()) == -signal.SIGABRT

    told = (tmp_path / "log").read_text()
    assert "Fatal Python error: Aborted" in told
    assert "most recent call first" in told
