"""Commands beside the running daemon: it owns the state, and does what they ask."""

import os
import signal
import socket
import stat
from contextlib import suppress

import pytest
from support.command import Bridge, http_sink, only, stop
from support.receiver import free_port
from support.until import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")

RARELY = 'interval = "1h"'
"""So that every poll but the first is one that was asked for."""


def rarely(folder, server, receiver, model, poll: str = RARELY) -> Bridge:
    return Bridge(folder, server.url, http_sink(receiver.url, more=only(model)), poll=poll)


def test_once_full_has_the_daemon_poll_and_says_what_came_of_it(
    tmp_path, server, client, model, receiver
) -> None:
    bridge = rarely(tmp_path, server, receiver, model)
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        done = bridge.run("once", "--full", "-v", "--deadline", "60s")
        again = bridge.run("once", "--full")
        plain = bridge.run("once")
        mode = (tmp_path / "state" / "control").stat().st_mode
        assert stop(daemon) == 0

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 new entry, 1 delivered, 0 waiting\n"
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert [got.body["to_stage"] for got in receiver.got] == ["Staging"]
    assert (plain.returncode, "another mlflow-bridge owns the state folder" in plain.stderr) == (75, True)
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
    assert not (tmp_path / "state" / "control").exists()


def test_a_held_poll_is_accepted_beside_the_daemon(tmp_path, server, client, model, receiver) -> None:
    client.create_model_version(model, "s3://b/y")
    bridge = rarely(tmp_path, server, receiver, model, 'interval = "1h"\nmax_events = 1')
    with bridge.running():
        bridge.wait_for_log("baseline.taken")
        for version in ("1", "2"):
            client.transition_model_version_stage(model, version, "Staging")
        held = bridge.run("once", "--full")
        told = bridge.status()["last_poll"]["outcome"]
        accepted = bridge.run("once", "--accept-held", "-v")

    assert (held.returncode, told) == (65, "held")
    assert "the poll is held: " in held.stderr
    assert "poll.max_events = 1 allows: 2 for ci" in held.stderr
    assert "once --accept-held lets it through" in held.stderr
    assert (accepted.returncode, accepted.stdout) == (0, "2 new entries, 2 delivered, 0 waiting\n")
    assert len(receiver.got) == 2
    assert "hold.accepted" in [line["event"] for line in bridge.log]


def test_once_full_exits_as_it_would_alone(tmp_path, server, client, model) -> None:
    """74 for what waits, 69 for a registry that does not answer in time, 78 for another one."""
    sink = http_sink(f"http://127.0.0.1:{free_port()}", more=only(model))
    bridge = Bridge(tmp_path, server.url, sink, poll=RARELY)
    with bridge.running():
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        waiting = bridge.run("once", "--full")
        late = bridge.run("once", "--full", "--deadline", "1ms")
        bridge.write(server.url.replace("127.0.0.1", "localhost"), sink, poll=RARELY)
        other = bridge.run("once", "--full")

    assert (waiting.returncode, "1 entry is still waiting" in waiting.stderr) == (74, True)
    assert (late.returncode, "in time" in late.stderr) == (69, True), late.stderr
    assert (other.returncode, "mlflow-bridge state rebind" in other.stderr) == (78, True)


def test_rebaseline_beside_the_daemon_silences_what_happened(
    tmp_path, server, client, model, receiver
) -> None:
    bridge = rarely(tmp_path, server, receiver, model)
    with bridge.running():
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        done = bridge.run("state", "rebaseline")
        polled = bridge.run("once", "--full", "-v")

    assert (done.returncode, "emitted nothing" in done.stdout) == (0, True)
    assert polled.stdout == "0 new entries, 0 delivered, 0 waiting\n"
    assert receiver.got == []


def test_a_moved_registry_is_rebound_beside_the_daemon_which_goes_on_there(
    tmp_path, server, client, model, receiver
) -> None:
    bridge = rarely(tmp_path, server, receiver, model)
    moved = server.url.replace("127.0.0.1", "localhost")
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        bridge.write(moved, http_sink(receiver.url, more=only(model)), poll=RARELY)
        done = bridge.run("state", "rebind")
        started = bridge.wait_for_log("daemon.started", 2)
        client.transition_model_version_stage(model, "1", "Staging")
        polled = bridge.run("once", "--full", "-v")
        assert stop(daemon) == 0

    assert (done.returncode, done.stdout) == (0, f"the state is bound to {moved}\n")
    assert [line["registry"] for line in started] == [server.url, moved]
    assert (polled.returncode, len(receiver.got)) == (0, 1)
    assert bridge.status()["registry"]["state_is_bound_to"] == moved


def test_a_rebind_that_is_refused_leaves_the_daemon_as_it_was(tmp_path, server, receiver, model) -> None:
    bridge = rarely(tmp_path, server, receiver, model)
    with bridge.running():
        bridge.wait_for_log("baseline.taken")
        bridge.write(f"http://127.0.0.1:{free_port()}")
        down = bridge.run("state", "rebind")
        address = f'[server]\nlisten = "127.0.0.1:{free_port()}"\n'
        bridge.write(server.url.replace("127.0.0.1", "localhost"), more=address)
        needs_restart = bridge.run("state", "rebind")
        bridge.write(server.url, poll=RARELY)
        still = bridge.run("once", "--full")

    assert (down.returncode, still.returncode) == (69, 0)
    assert (needs_restart.returncode, "stop it first" in needs_restart.stderr) == (75, True)


def test_sigusr1_asks_for_a_scan_now(tmp_path, server, client, model, receiver) -> None:
    bridge = rarely(tmp_path, server, receiver, model)
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        daemon.send_signal(signal.SIGUSR1)
        receiver.wait_for(1)
        assert stop(daemon) == 0

    assert len([line for line in bridge.log if line["event"] == "scan.asked"]) == 1


def test_a_state_folder_with_a_path_longer_than_an_address_works_as_well(
    tmp_path, server, client, model, receiver
) -> None:
    folder = tmp_path / ("x" * 120)
    bridge = rarely(folder, server, receiver, model)
    with bridge.running():
        bridge.wait_for_log("baseline.taken")
        done = bridge.run("once", "--full")

    assert (done.returncode, done.stderr) == (0, "")
    assert len(os.fsencode(folder / "state" / "control")) > 108
    assert "control.unavailable" not in [line["event"] for line in bridge.log]


def test_the_socket_that_a_killed_daemon_left_is_told_from_a_daemon_and_replaced(
    tmp_path, server, receiver, model
) -> None:
    bridge = rarely(tmp_path, server, receiver, model)
    left = tmp_path / "state" / "control"
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    assert left.is_socket()
    alone = bridge.run("once", "--full")
    with bridge.running():
        beside = bridge.run("once", "--full")

    assert (alone.returncode, beside.returncode) == (0, 0)


def test_without_a_socket_the_daemon_goes_on_and_commands_say_why_they_exit_75(
    tmp_path, server, receiver, model
) -> None:
    (tmp_path / "state" / "control").mkdir(parents=True)
    bridge = rarely(tmp_path, server, receiver, model)
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        for command in (["once", "--full"], ["state", "rebaseline"], ["state", "rebind"]):
            done = bridge.run(*command)
            assert (done.returncode, done.stderr.count("\n")) == (75, 1)
            assert "cannot be asked to do this: no daemon listens at its control socket" in done.stderr
        assert stop(daemon) == 0

    assert len([line for line in bridge.log if line["event"] == "control.unavailable"]) == 1


def test_peers_that_misbehave_hold_up_nothing(tmp_path, server, receiver, model) -> None:
    bridge = rarely(tmp_path, server, receiver, model)
    with bridge.running() as daemon, socket.socket(socket.AF_UNIX) as hangs:
        bridge.wait_for_log("baseline.taken")
        hangs.connect(str(tmp_path / "state" / "control"))
        for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 2_000_000, b""):
            with socket.socket(socket.AF_UNIX) as peer, suppress(BrokenPipeError, ConnectionResetError):
                peer.connect(str(tmp_path / "state" / "control"))
                peer.sendall(sent)
        assert bridge.run("once", "--full").returncode == 0
        assert stop(daemon) == 0

    assert {line["level"] for line in bridge.log} == {"info"}


def test_a_daemon_that_is_frozen_is_not_waited_for_beyond_the_deadline(
    tmp_path, server, receiver, model
) -> None:
    bridge = rarely(tmp_path, server, receiver, model)
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        daemon.send_signal(signal.SIGSTOP)
        done = bridge.run("once", "--full", "--deadline", "1s")
        daemon.send_signal(signal.SIGCONT)
        wait_until(lambda: [line for line in bridge.log if line["event"] == "control.asked"])

    assert (done.returncode, "gave no answer within" in done.stderr) == (75, True)
