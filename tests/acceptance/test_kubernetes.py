"""The daemon as the manifests start it: with their arguments and configuration, confined as in a pod."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from support.command import COMMAND, Bridge, http_sink, only, stop
from support.container import USER, Pod, terminate, why_not
from support.manifests import FOLDER, bridge_of, config_of, pod, workload
from support.probing import fetch
from support.receiver import free_port
from support.until import wait_until

from bridge.demo.demo_receiver import is_genuine

pytestmark = pytest.mark.filterwarnings("ignore")

PROBE = (
    "import os; print(os.getpid(), os.getuid()); open('/var/lib/mlflow-bridge/x', 'w');"
    "print([os.access(place, os.W_OK) for place in ('/', '/etc/mlflow-bridge', '/run/secrets', '/usr')])"
)


@pytest.fixture(scope="module")
def reason(tmp_path_factory) -> str:
    """Why there are no containers here, if there are none."""
    return why_not(tmp_path_factory.mktemp("trial"))


@pytest.fixture
def container(tmp_path, reason: str) -> Pod:
    if reason:
        pytest.skip(f"no containers here: {reason}")
    return Pod(tmp_path)


def test_a_container_is_process_one_of_nobody_and_can_write_its_state_only(container) -> None:
    done = container.run(sys.executable, "-c", PROBE)

    assert done.stdout.splitlines() == [f"1 {USER}", "[False, False, False, False]"], done.stderr


def fill(container: Pod, variant: str, port: int) -> None:
    """Put into the volumes what the variant has there, with a registry that is down."""
    config = config_of(FOLDER / variant).read_text()
    config = re.sub(r'tracking_uri = "[^"]*"', f'tracking_uri = "http://127.0.0.1:{free_port()}"', config)
    (container.folder / "config/config.toml").write_text(config.replace(":9464", f":{port}"))
    (container.folder / "secrets/ci-webhook-secret").write_text("change-me")


def test_a_scheduled_run_ends_with_69_where_the_registry_is_down(container) -> None:
    fill(container, "cronjob", 0)
    (script,) = bridge_of(workload(FOLDER / "cronjob"))["args"]
    done = container.run(*COMMAND, *shlex.split(script.splitlines()[0])[1:])

    assert (done.returncode, "connection refused" in done.stderr) == (69, True), done.stderr
    assert {path.stat().st_uid for path in (container.folder / "state").rglob("*")} == {USER}


@pytest.mark.parametrize("variant", ["sidecar", "deployment"])
def test_probes_answer_as_the_manifests_need_while_the_registry_is_down(container, variant: str) -> None:
    port, document = free_port(), workload(FOLDER / variant)
    fill(container, variant, port)
    url = f"http://127.0.0.1:{port}"
    probes = {
        kind: url + probe["httpGet"]["path"]
        for kind, probe in bridge_of(document).items()
        if kind.endswith("Probe")
    }

    with container.running(*COMMAND, *bridge_of(document)["args"]) as process:
        wait_until(lambda: fetch(probes["livenessProbe"]) == 200 or process.poll() is not None)
        assert process.poll() is None, container.log
        wait_until(lambda: "poll.failed" in container.log)
        wait_until(lambda: fetch(f"{url}/readyz") == 200)
        answers = {kind: fetch(address) for kind, address in probes.items()}
        code = terminate(process, pod(document)["spec"]["terminationGracePeriodSeconds"])

    assert set(answers.values()) == {200}
    assert (code, "daemon.stopped" in container.log) == (0, True)
    assert {path.stat().st_uid for path in (container.folder / "state").rglob("*")} == {USER}
    assert "sink.secret_unavailable" not in container.log


class SecretVolume:
    """A Secret as the kubelet mounts it: its files are links into a folder that is swapped as a whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        folder.mkdir()

    def put(self, **values: str) -> None:
        self._count += 1
        data = self.folder / f"..{self._count}"
        data.mkdir()
        for name, value in values.items():
            (data / name).write_text(value)
        (self.folder / "..new").symlink_to(data.name)
        (self.folder / "..new").rename(self.folder / "..data")
        for name in values:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")


def test_a_rotated_secret_signs_the_next_delivery_without_a_restart(
    tmp_path, server, client, model, receiver
) -> None:
    volume = SecretVolume(tmp_path / "secrets")
    sink = http_sink(receiver.url, more=only(model)).replace(
        'env = "CI_SECRET"', f'file = "{volume.folder}/ci-webhook-secret"'
    )
    bridge = Bridge(tmp_path, server.url, sink)
    volume.put(**{"ci-webhook-secret": "old"})
    with bridge.running() as daemon:
        bridge.wait_for_log("baseline.taken")
        for count, (stage, secret) in enumerate((("Staging", "old"), ("Production", "new")), start=1):
            volume.put(**{"ci-webhook-secret": secret})
            client.transition_model_version_stage(model, "1", stage)
            got = receiver.wait_for(count)[-1]
            headers = {name.title().replace("Mlflow", "MLflow"): value for name, value in got.headers.items()}
            assert [is_genuine(headers, got.raw, key) for key in ("old", "new")] == [
                secret == "old",
                secret == "new",
            ]
        assert stop(daemon) == 0
