"""Machines as people have them: file systems that refuse calls, users without a home, folders that go away."""

import errno
import os
import shutil
import signal
import subprocess

import pytest
from support.command import COMMAND, Bridge, http_sink, only, stop
from support.filesystems import needs_compiler, refusing
from support.patience import patience
from support.until import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")


@needs_compiler
def test_a_mount_that_refuses_what_is_not_needed_runs_the_daemon(
    tmp_path, server, client, model, receiver
) -> None:
    refused = (errno.EINVAL, errno.EPERM, errno.EPERM, errno.EPERM)
    faults = dict(zip(("fsync_folder", "chmod", "chown", "bind"), refused, strict=True))
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    with bridge.running(**refusing(tmp_path, **faults)) as daemon:
        bridge.wait_for_log("baseline.taken")
        assert len(bridge.wait_for_log("control.unavailable")) == 1
        client.transition_model_version_stage(model, "1", "Production")
        receiver.wait_for(1)
        assert stop(daemon) == 0

    assert bridge.run("once").returncode == 0


@needs_compiler
@pytest.mark.parametrize(("number", "mend"), [(errno.ENOLCK, "rpc.statd"), (errno.ENOSYS, "flock")])
def test_a_mount_without_locks_is_refused_and_leaves_nothing_that_outlives_it(tmp_path, number, mend) -> None:
    bridge = Bridge(tmp_path, "http://127.0.0.1:1")
    bridge.environment |= refusing(tmp_path, flock=number)
    done = bridge.run("once")
    assert (done.returncode, done.stderr.count("\n")) == (73, 1)
    assert f"cannot be locked: {os.strerror(number)}: " in done.stderr
    assert mend in done.stderr

    bridge.environment.pop("LD_PRELOAD")
    assert bridge.run("once").returncode == 69


MOUNTED = ["unshare", "--mount", "/bin/sh", "-c", 'mount -t tmpfs -o "$0" tmpfs state && exec "$@"']
"""Has a command find a file system of its own as its state folder, which is gone with it (unshare(1))."""


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            "nr_inodes=2",
            "journal.new cannot be written: No space left on device; nothing was changed: free space",
        ),
        ("ro", "cannot be written: lock: Read-only file system: its file system is read-only"),
    ],
)
def test_a_file_system_that_takes_nothing_is_told_by_its_own_mend(tmp_path, options, told) -> None:
    bridge = Bridge(tmp_path, "http://127.0.0.1:1")
    (tmp_path / "state").mkdir()
    can_mount = (
        shutil.which("unshare")
        and not subprocess.run([*MOUNTED, options, "true"], check=False, cwd=tmp_path).returncode
    )
    if not can_mount:
        pytest.skip("needs to be allowed to mount, and unshare of util-linux")
    command = [*MOUNTED, options, *COMMAND, "once", "--config", str(bridge.config)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=patience(), cwd=tmp_path
    )

    assert (done.returncode, done.stderr.count("\n")) == (73, 1)
    assert told in done.stderr


def test_a_folder_that_is_moved_under_the_daemon_is_missed_and_gone_on_with_when_it_is_back(
    tmp_path, server, client, model, receiver
) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        (tmp_path / "state").rename(tmp_path / "elsewhere")
        client.transition_model_version_stage(model, "1", "Production")
        error = bridge.wait_for_log("state.unwritable")[0]["error"]
        assert "was moved, removed or replaced under the running bridge" in error
        assert receiver.got == []
        (tmp_path / "elsewhere").rename(tmp_path / "state")
        receiver.wait_for(1)
        assert stop(daemon) == 0

    assert len(receiver.got) == 1


NOBODY = ["unshare", "--user", "--map-user=12345"]
"""Has a command run as a user that has no name (unshare(1)); what is ours stays its own."""


def test_a_user_without_home_and_name_polls(tmp_path, server) -> None:
    if shutil.which("unshare") is None or subprocess.run([*NOBODY, "true"], check=False).returncode:
        pytest.skip("needs user namespaces, and unshare of util-linux")
    bridge = Bridge(tmp_path, server.url)
    command = [*NOBODY, *COMMAND, "once", "-v", "--config", str(bridge.config)]
    environment = {"PATH": os.defpath}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(),
        cwd=tmp_path,
        env=environment,
    )

    assert (done.returncode, "0 new entries" in done.stdout) == (0, True), done.stderr


def test_a_daemon_whose_log_is_cut_off_goes_on_delivering(tmp_path, server, client, model, receiver) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    bridge.run("once")
    read, write = os.pipe()
    os.close(read)
    command = [*COMMAND, "-vv", "run", "--config", str(bridge.config)]
    daemon = subprocess.Popen(command, stderr=write, cwd=tmp_path, env=bridge.environment)
    os.close(write)
    try:
        client.transition_model_version_stage(model, "1", "Production")
        wait_until(lambda: receiver.got)
        daemon.send_signal(signal.SIGHUP)
        assert stop(daemon) == 0
    finally:
        daemon.kill()
        daemon.wait()
