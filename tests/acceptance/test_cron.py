"""The crontab line of the example, run as cron runs it: by sh, in a bare environment, and everything said is mailed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import Bridge, http_sink, only
from support.patience import patience
from support.receiver import Answer, Receiver

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "systemd/crontab.example").read_text()
BARE = {"HOME": "/nonexistent", "LOGNAME": "x", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}

pytestmark = pytest.mark.filterwarnings("ignore")


def line() -> tuple[str, str]:
    """Return the schedule and the command of the example's only line."""
    (found,) = [one for one in EXAMPLE.splitlines() if re.match(r"[\d*]", one)]
    schedule, command = re.fullmatch(r"((?:\S+\s+){5})(.+)", found).groups()
    return schedule.strip(), command


def as_cron(bridge: Bridge, *more: str) -> subprocess.CompletedProcess:
    """Run the example's command, with this bridge for the installed one and its configuration."""
    _, command = line()
    program = bridge.folder / "mlflow-bridge"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m bridge "$@"\n')
    program.chmod(0o755)
    command = command.replace("/opt/mlflow-bridge/bin/mlflow-bridge", str(program))
    command = command.replace("/etc/mlflow-bridge/config.toml", str(bridge.config))
    measured = {name: value for name, value in os.environ.items() if name.startswith("COV")}
    return subprocess.run(
        ["/bin/sh", "-c", " ".join([command, *more])],
        env={**BARE, **measured},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(),
    )


def test_the_line_runs_every_minute_and_ends_within_it() -> None:
    schedule, command = line()

    assert schedule == "* * * * *"
    assert re.fullmatch(r"/opt/mlflow-bridge/bin/mlflow-bridge once --deadline 50s --config \S+", command)
    assert "%" not in command  # cron makes a line break of it


def test_cron_mails_nothing_of_what_goes_well_and_a_line_of_what_does_not(
    tmp_path, server, client, model
) -> None:
    """A run that does nothing, one that delivers, one that has to wait, and one that nobody lets begin."""
    receiver = Receiver()
    (tmp_path / "secret").write_text("s3cret")
    sink = http_sink(receiver.url, more=only(model)).replace(
        '{ env = "CI_SECRET" }', f'{{ file = "{tmp_path / "secret"}" }}'
    )
    bridge = Bridge(tmp_path, server.url, sink)
    for stage in (None, "Staging"):
        if stage:
            client.transition_model_version_stage(model, "1", stage)
        done = as_cron(bridge)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [got.body["to_stage"] for got in receiver.got] == ["Staging"]

    receiver.answer = Answer(503)
    client.transition_model_version_stage(model, "1", "Production")
    waits = as_cron(bridge)
    receiver.stop()
    assert (waits.returncode, waits.stdout) == (74, "")
    assert waits.stderr.splitlines()[-1] == (
        "mlflow-bridge: 1 entry is still waiting (mlflow-bridge status shows why)"
    )
    assert "Traceback" not in waits.stderr
    assert "\x1b" not in waits.stderr


@pytest.mark.skipif(shutil.which("flock") is None, reason="needs flock (util-linux)")
def test_a_run_that_overlaps_another_ends_at_once_with_one_line(tmp_path) -> None:
    bridge = Bridge(tmp_path, "http://127.0.0.1:1")
    (tmp_path / "state").mkdir()
    with subprocess.Popen(
        ["flock", str(tmp_path / "state" / "lock"), "cat"],  # noqa: S607
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        other.stdin.write(b"held\n")
        other.stdin.flush()
        assert other.stdout.readline() == b"held\n"
        done = as_cron(bridge)
        quiet = as_cron(bridge, "2>/dev/null", "||", "[ $? -eq 75 ]")
        other.stdin.close()

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (75, "", 1)
    assert "another mlflow-bridge owns the state folder" in done.stderr
    assert (quiet.returncode, quiet.stderr) == (0, "")
