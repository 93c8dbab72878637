"""The service as its operators have it: installed by make install, under a real systemd, in its sandbox."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machine import Machine
from support.receiver import Answer, Receiver, free_port
from support.until import wait_until

from bridge.demo.demo_receiver import is_genuine

ROOT = Path(__file__).parents[2]
SERVICE = "mlflow-bridge.service"
CONFIG = "/etc/mlflow-bridge/config.toml"
CREDENTIAL = "[Service]\nLoadCredential=ci:/etc/mlflow-bridge/secrets/ci\n"

pytestmark = [pytest.mark.extra, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    """What the installation needs, for a machine that asks no index."""
    folder = tmp_path_factory.mktemp("wheels")
    python = next((one for one in ("/usr/bin/python3", "/usr/local/bin/python3") if shutil.which(one)), "")
    made = python and subprocess.run(
        [python, "-m", "venv", folder / "venv"], capture_output=True, check=False
    )
    if not made or made.returncode != 0:
        pytest.skip("needs a Python below /usr with its venv module (apt install python3-venv)")
    subprocess.run(
        [
            *(
                folder / "venv/bin/python",
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--require-hashes",
            ),
            *("-r", ROOT / "deploy/requirements.txt", "-d", folder),
        ],
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def booted(tmp_path_factory, wheels) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("machine"), ROOT, wheels).boot()
    try:
        install(machine, wheels)
        yield machine
    finally:
        machine.stop()


def install(machine: Machine, wheels: Path) -> str:
    """Do what make install does; it finds its packages in a folder."""
    return machine.sh(f"sh {ROOT}/systemd/install.sh", **from_wheels(wheels))


def from_wheels(wheels: Path) -> dict[str, str]:
    return {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}


@pytest.fixture
def machine(booted) -> Iterator[Machine]:
    """The machine with the service stopped, its state gone, and a secret in place."""
    booted.write("/etc/mlflow-bridge/secrets/ci", "s3cret\n", 0o600)
    booted.write(f"/etc/systemd/system/{SERVICE}.d/secrets.conf", CREDENTIAL)
    booted.sh("systemctl daemon-reload")
    yield booted
    booted.run("systemctl", "stop", "mlflow-bridge-once.timer", "mlflow-bridge-once.service", SERVICE)
    booted.run("systemctl", "reset-failed")
    booted.sh(
        "rm -rf /var/lib/mlflow-bridge /var/lib/private/mlflow-bridge /etc/systemd/system/mlflow-bridge*"
    )


def configuration(registry: str, *sinks: str) -> str:
    parts = [
        f'[registry]\ntracking_uri = "{registry}"',
        '[poll]\ninterval = "300ms"',
        '[state]\nurl = "tinydb:/var/lib/mlflow-bridge"',
        *sinks,
    ]
    return "\n".join(parts)


def sink(url: str, name: str = "ci", more: str = "") -> str:
    return (
        f'[[sinks]]\nname = "{name}"\ntype = "http"\nurl = "{url}/hook"\n'
        f'secret = {{ credential = "ci" }}\n{more}\n'
    )


def only(model: str) -> str:
    return f'models = ["{model}"]'


def test_the_main_job_in_the_sandbox_and_commands_of_root_beside_it(machine, server, client, model) -> None:
    receiver = Receiver()
    machine.write(CONFIG, configuration(server.url, sink(receiver.url, more=only(model))))
    machine.sh("systemctl start mlflow-bridge")
    wait_until(lambda: "baseline.taken" in machine.journal("-u", SERVICE))
    client.transition_model_version_stage(model, "1", "Staging")
    (got,) = receiver.wait_for(1)
    said = machine.sh("mlflow-bridge once --full; mlflow-bridge sinks pause ci; mlflow-bridge status")
    client.transition_model_version_stage(model, "1", "Production")
    assert (
        machine.run("mlflow-bridge", "once", "--full").returncode == 0
    )  # one that is paused is waited for by none
    machine.sh("mlflow-bridge sinks resume ci")
    receiver.wait_for(2)
    machine.sh("systemctl stop mlflow-bridge; mlflow-bridge status")
    root_polls = machine.run("mlflow-bridge", "once", CREDENTIALS_DIRECTORY="/etc/mlflow-bridge/secrets")
    machine.sh("systemctl start mlflow-bridge")
    receiver.stop()

    headers = {name.title().replace("Mlflow", "MLflow"): value for name, value in got.headers.items()}
    assert is_genuine(headers, got.raw, "s3cret")
    assert "paused" in said
    assert (root_polls.returncode, root_polls.stderr) == (0, "")
    assert len(receiver.got) == 2
    assert "s3cret" not in machine.journal()


def test_several_registries_have_a_bridge_and_a_state_each(machine, server, client, model) -> None:
    receivers = {name: Receiver() for name in ("north", "south")}
    for name, receiver in receivers.items():
        state = f'url = "tinydb:/var/lib/mlflow-bridge-{name}"'
        text = configuration(server.url, sink(receiver.url, more=only(model)))
        machine.write(
            f"/etc/mlflow-bridge/{name}.toml", text.replace('url = "tinydb:/var/lib/mlflow-bridge"', state)
        )
        machine.write(f"/etc/systemd/system/mlflow-bridge@{name}.service.d/secrets.conf", CREDENTIAL)
    machine.sh("systemctl daemon-reload; systemctl start mlflow-bridge@north mlflow-bridge@south")
    for name in receivers:
        wait_until(
            lambda name=name: "baseline.taken" in machine.journal("-u", f"mlflow-bridge@{name}.service")
        )
    client.transition_model_version_stage(model, "1", "Staging")
    for receiver in receivers.values():
        receiver.wait_for(1)
    machine.sh(
        "systemctl reload mlflow-bridge@north; mlflow-bridge status --config /etc/mlflow-bridge/south.toml"
    )
    machine.sh("systemctl stop mlflow-bridge@north mlflow-bridge@south")
    machine.sh(
        "rm -rf /var/lib/mlflow-bridge-* /var/lib/private/mlflow-bridge-* /etc/mlflow-bridge/north* /etc/mlflow-bridge/south*"
    )
    for receiver in receivers.values():
        receiver.stop()


def test_the_sandbox_is_on(machine) -> None:
    machine.write(CONFIG, configuration("http://127.0.0.1:1"))
    machine.sh("systemctl start mlflow-bridge")
    pid = machine.show(SERVICE, "MainPID")
    status = dict(
        line.split(":\t", 1) for line in machine.sh(f"cat /proc/{pid}/status").splitlines() if ":\t" in line
    )
    inside = f"nsenter -t {pid} --mount sh -c"
    mode, owner = machine.sh("stat -c '%a %u' /var/lib/private/mlflow-bridge").split()

    assert (status["Seccomp"], status["NoNewPrivs"], status["CapEff"]) == ("2", "1", "0" * 16)
    assert 61_184 <= int(status["Uid"].split()[0]) <= 65_519  # where DynamicUser= takes its users from
    assert (mode, owner) == ("700", status["Uid"].split()[0])
    for place in ("/opt/mlflow-bridge", "/usr", "/etc", "/home", "/root"):
        assert machine.run("sh", "-c", f"{inside} 'touch {place}/x'").returncode != 0, place
    assert machine.run("sh", "-c", f"{inside} 'touch /var/lib/private/mlflow-bridge/x'").returncode == 0
    assert machine.sh(f"{inside} 'ls -A /home /root 2>/dev/null | grep -v :' || true").strip() == ""


def test_a_registry_that_is_down_does_not_fail_the_start_and_shows_in_the_status(machine) -> None:
    machine.write(CONFIG, configuration(f"http://127.0.0.1:{free_port()}"))
    machine.sh("systemctl start mlflow-bridge")

    assert machine.show(SERVICE, "ActiveState") == "active"
    assert machine.show(SERVICE, "StatusText").startswith("last poll failed: ")


def test_a_wrong_configuration_fails_the_start_once_and_says_why(machine) -> None:
    machine.write(CONFIG, configuration("http://127.0.0.1:1", '[[sinks]]\nname = "x"\ntype = "htpp"\n'))
    started = machine.run("systemctl", "start", SERVICE)
    time.sleep(6)  # RestartSec=5s

    assert started.returncode != 0
    assert (machine.show(SERVICE, "ActiveState"), machine.show(SERVICE, "NRestarts")) == ("failed", "0")
    assert machine.show(SERVICE, "ExecMainStatus") == "78"
    assert "did you mean 'http'" in machine.journal("-u", SERVICE)


def test_a_reload_ends_when_it_is_in_force_and_fails_where_it_is_refused(
    machine, server, client, model
) -> None:
    receivers = [Receiver(), Receiver()]
    machine.write(CONFIG, configuration(server.url))
    machine.sh("systemctl start mlflow-bridge")
    wait_until(lambda: "baseline.taken" in machine.journal("-u", SERVICE))
    both = [sink(one.url, f"ci{number}", only(model)) for number, one in enumerate(receivers)]
    machine.write(CONFIG, configuration(server.url, *both))
    machine.sh("systemctl reload mlflow-bridge")
    listed = machine.sh("mlflow-bridge status")
    client.transition_model_version_stage(model, "1", "Staging")
    for receiver in receivers:
        receiver.wait_for(1)
    codes = []
    machine.write(CONFIG, "[registry\n")
    codes.append(machine.run("systemctl", "reload", SERVICE).returncode)
    wait_until(lambda: "is not valid TOML" in machine.show(SERVICE, "StatusText"))
    for wrong in (
        configuration(server.url, '[[sinks]]\nname = "x"\n'),
        configuration(f"http://127.0.0.1:{free_port()}"),
    ):
        machine.write(CONFIG, wrong)
        codes.append(machine.run("systemctl", "reload", SERVICE).returncode)
    refused = machine.show(SERVICE, "StatusText")
    machine.write(CONFIG, configuration(server.url, both[0]))
    machine.sh("systemctl kill --signal=HUP --kill-whom=main mlflow-bridge")
    wait_until(lambda: '"sinks": ["ci0"], "pending"' in machine.journal("-u", SERVICE))
    wait_until(lambda: machine.show(SERVICE, "ActiveState") == "active")
    journal = machine.journal("-u", SERVICE)
    for receiver in receivers:
        receiver.stop()

    assert ("ci0" in listed, "ci1" in listed) == (True, True)
    assert 0 not in codes
    assert "sinks[0].type: is missing" in journal
    assert "a change of registry needs a restart" in journal
    assert refused.startswith("configuration refused, the one before stays in force: a change of registry")
    assert machine.show(SERVICE, "NRestarts") == "0"


def test_what_hangs_is_killed_with_its_stacks_and_started_again_and_loses_nothing(
    machine, server, client, model
) -> None:
    receiver = Receiver(Answer(500))
    more = f'{only(model)}\nfirst_retry = "1s"\nlongest_retry = "1s"'
    machine.write(CONFIG, configuration(server.url, sink(receiver.url, more=more)))
    machine.write(
        f"/etc/systemd/system/{SERVICE}.d/watchdog.conf", "[Service]\nWatchdogSec=8s\nRestartSec=1s\n"
    )
    machine.sh("systemctl daemon-reload; systemctl start mlflow-bridge")
    wait_until(lambda: "baseline.taken" in machine.journal("-u", SERVICE))
    client.transition_model_version_stage(model, "1", "Staging")
    receiver.wait_for(1)
    time.sleep(10)  # it is fed meanwhile
    assert machine.show(SERVICE, "NRestarts") == "0"
    machine.sh("systemctl kill --signal=STOP --kill-whom=main mlflow-bridge")
    wait_until(lambda: machine.show(SERVICE, "NRestarts") == "1")
    receiver.answer = Answer(204)
    wait_until(lambda: '"event": "delivery.delivered"' in machine.journal("-u", SERVICE))
    journal = machine.journal("-u", SERVICE)
    receiver.stop()

    assert "Fatal Python error: Aborted" in journal
    assert "most recent call first" in journal
    assert len({got.delivery_id for got in receiver.got}) == 1


def test_timer_and_daemon_exclude_each_other_and_share_the_state(machine, server, client, model) -> None:
    receiver = Receiver()
    machine.write(CONFIG, configuration(server.url, sink(receiver.url, more=only(model))))
    machine.write("/etc/systemd/system/mlflow-bridge-once.service.d/secrets.conf", CREDENTIAL)
    machine.sh("systemctl daemon-reload; systemctl start mlflow-bridge")
    wait_until(lambda: "baseline.taken" in machine.journal("-u", SERVICE))
    machine.sh("systemctl start mlflow-bridge-once.timer")
    wait_until(lambda: machine.show(SERVICE, "ActiveState") == "inactive")
    client.transition_model_version_stage(model, "1", "Staging")
    machine.sh("systemctl start mlflow-bridge-once.service")
    receiver.wait_for(1)
    receiver.stop()
    client.transition_model_version_stage(model, "1", "Production")
    machine.sh("systemctl start mlflow-bridge-once.service")  # 74: what waits is the next run's
    assert machine.show("mlflow-bridge-once.service", "ExecMainStatus") == "74"
    machine.sh("systemctl start mlflow-bridge")

    assert machine.show("mlflow-bridge-once.timer", "ActiveState") == "inactive"
    assert '"pending": 1' in machine.journal("-u", SERVICE)


def test_an_upgrade_leaves_what_runs_and_what_is_configured_alone(machine, wheels) -> None:
    machine.write(CONFIG, configuration("http://127.0.0.1:1"))
    machine.sh("systemctl start mlflow-bridge")
    before = machine.sh("readlink /opt/mlflow-bridge/current; cat /etc/mlflow-bridge/config.toml")
    pid = machine.show(SERVICE, "MainPID")
    broken = machine.run("sh", str(ROOT / "systemd/install.sh"), **from_wheels(Path("/nowhere")))
    after_failure = machine.sh(
        "readlink /opt/mlflow-bridge/current; cat /etc/mlflow-bridge/config.toml; ls /opt/mlflow-bridge/releases"
    )
    said = install(machine, wheels)
    install(machine, wheels)
    releases = machine.sh("ls /opt/mlflow-bridge/releases").split()
    running = machine.sh(f"tr '\\0' ' ' </proc/{pid}/cmdline")
    machine.sh("mlflow-bridge status; systemctl reload mlflow-bridge; systemctl restart mlflow-bridge")
    new = machine.sh("tr '\\0' ' ' </proc/$(systemctl show -P MainPID mlflow-bridge)/cmdline")

    assert broken.returncode != 0
    assert after_failure.startswith(before)
    assert after_failure.count("0.1.0-") == 2
    assert "The running service is still the one before: systemctl restart mlflow-bridge" in said
    assert len(releases) == 3  # the one that runs, the one before, and the new one
    assert running.split("/bin/")[0] == "/opt/mlflow-bridge/" + before.splitlines()[0]
    assert (
        new.split("/bin/")[0]
        == "/opt/mlflow-bridge/" + machine.sh("readlink /opt/mlflow-bridge/current").strip()
    )
    assert machine.sh(f"cat {CONFIG}") == configuration("http://127.0.0.1:1")


def test_an_uninstallation_leaves_configuration_and_state(machine, wheels) -> None:
    machine.write(CONFIG, configuration("http://127.0.0.1:1"))
    machine.sh("systemctl enable --now mlflow-bridge")
    said = machine.sh(f"sh {ROOT}/systemd/uninstall.sh")
    again = machine.run("sh", str(ROOT / "systemd/uninstall.sh"))
    left = machine.sh(
        "ls /etc/mlflow-bridge /var/lib/private/mlflow-bridge; ls -d /opt/* 2>/dev/null || true"
    )
    loaded = machine.show(SERVICE, "LoadState")
    install(machine, wheels)

    assert "What is left is yours" in said
    assert (again.returncode, "there is no installation" in again.stderr) == (1, True)
    assert {"config.toml", "secrets", "journal"} <= set(left.split())
    assert "/opt/mlflow-bridge" not in left
    assert loaded != "loaded"
