"""The daemon as the manifests start it: with their arguments and configuration, confined as in a pod."""

import re
import sys

import pytest
from support.command import COMMAND
from support.container import USER, Pod, terminate, why_not
from support.manifests import FOLDER, bridge_of, config_of, pod, workload
from support.probing import fetch
from support.receiver import free_port
from support.until import wait_until

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


@pytest.mark.parametrize("variant", ["sidecar", "deployment"])
def test_probes_answer_as_the_manifests_need_while_the_registry_is_down(container, variant: str) -> None:
    port, document = free_port(), workload(FOLDER / variant)
    config = config_of(FOLDER / variant).read_text()
    config = re.sub(r'tracking_uri = "[^"]*"', f'tracking_uri = "http://127.0.0.1:{free_port()}"', config)
    (container.folder / "config/config.toml").write_text(config.replace(":9464", f":{port}"))
    (container.folder / "secrets/ci-webhook-secret").write_text("change-me")
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
