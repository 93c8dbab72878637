"""The kustomizations, built with the real tool."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from support.manifests import FOLDER, MONITORING, ROOT, VARIANTS, bridge_of, built, identity, pod, workload


def _tool() -> list[str]:
    """Return how to build; nothing where there is no kustomize that knows components (kubectl has one since 1.24)."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    kubectl = shutil.which("kubectl")
    if not kubectl:
        return []
    told = subprocess.run(
        [kubectl, "version", "--client", "-o", "json"], capture_output=True, text=True, check=False
    )
    return [kubectl, "kustomize"] if "kustomizeVersion" in told.stdout else []


TOOL = _tool()

pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(not TOOL, reason="needs kustomize, or kubectl >= 1.24, on the PATH"),
]


def kustomize(folder: Path) -> list[dict]:
    done = subprocess.run([*TOOL, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def only(found: list[dict], *kinds: str) -> dict:
    (document,) = [document for document in found if document["kind"] in kinds]
    return document


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_built_is_valid_and_holds_together(variant: str) -> None:
    found = kustomize(FOLDER / variant)
    for document in found:
        kubernetes_validate.validate(document, "1.29", strict=True)
        kubernetes_validate.validate(document, "1.37", strict=True)
    volumes = pod(only(found, "Deployment", "CronJob"))["spec"]["volumes"]
    (config,) = [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]

    assert only(found, "ConfigMap")["metadata"]["name"] == config
    assert (config == "mlflow-bridge") == (variant == "sidecar"), "a hash, but for the sidecar"


@pytest.mark.parametrize("variant", ["deployment", "sidecar", "cronjob"])
def test_the_normal_tests_read_the_manifests_as_kustomize_does(variant: str) -> None:
    found = {identity(document): document for document in kustomize(FOLDER / variant)}
    read = {identity(document): document for document in built(FOLDER / variant)}
    container = bridge_of(workload(FOLDER / variant))
    real = bridge_of(only(list(found.values()), "Deployment", "CronJob"))

    assert {key for key in found if key[0] != "ConfigMap"} == set(read)
    assert json.dumps(real, sort_keys=True) == json.dumps(container, sort_keys=True)


def test_an_overlay_of_ones_own_sets_image_namespace_and_configuration() -> None:
    found = kustomize(FOLDER / "example")

    assert {document["metadata"]["namespace"] for document in found} == {"mlops"}
    assert bridge_of(only(found, "Deployment"))["image"].startswith("registry.example.com/ml/mlflow-bridge:")
    assert only(found, "ConfigMap")["data"]["config.toml"] == (FOLDER / "example/config.toml").read_text()


def test_components_go_beside_the_sidecar_and_its_configuration_can_be_replaced(tmp_path) -> None:
    shutil.copytree(FOLDER.parent, tmp_path / "deploy")
    own = tmp_path / "deploy/kubernetes/own"
    own.mkdir()
    (own / "config.toml").write_text("# mine\n")
    (own / "kustomization.yaml").write_text(
        "resources: [../sidecar]\n"
        "components: [../components/podmonitor, ../../monitoring]\n"
        "configMapGenerator:\n- {name: mlflow-bridge, behavior: replace, files: [config.toml]}\n"
    )
    found = kustomize(own)

    assert {"PodMonitor", "PrometheusRule"} <= {document["kind"] for document in found}
    assert only(found, "ConfigMap")["data"] == {"config.toml": "# mine\n"}
    assert MONITORING.exists()


def shown(page: str, after: str) -> str:
    """Return the first YAML that a page shows after some words."""
    text = (ROOT / "docs/running" / page).read_text().partition(after)[2]
    found = re.search(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found, after
    return found[1]


def test_the_kustomization_that_the_page_shows_for_a_server_of_ones_own_builds(tmp_path) -> None:
    shutil.copytree(FOLDER.parent, tmp_path / "mlflow-bridge/deploy")
    own = tmp_path / "own"
    shutil.copytree(FOLDER / "sidecar", own)
    (own / "kustomization.yaml").write_text(
        "namespace: mlops\nresources: [mlflow.yaml]\n" + shown("kubernetes.md", "as a sidecar")
    )
    found = kustomize(own)

    assert only(found, "ConfigMap")["metadata"]["name"] == "mlflow-bridge"
    assert bridge_of(only(found, "Deployment"))["image"] == "registry.example.com/ml/mlflow-bridge:0.1.0"


def test_the_label_that_the_page_adds_for_prometheus_is_on_what_it_selects(tmp_path) -> None:
    shutil.copytree(FOLDER.parent, tmp_path / "deploy")
    own = tmp_path / "deploy/kubernetes/own"
    shutil.copytree(FOLDER / "example", own)
    with (own / "kustomization.yaml").open("a") as file:
        file.write(shown("monitoring.md", "With the Prometheus operator"))
    found = kustomize(own)

    for kind in ("PodMonitor", "PrometheusRule"):
        assert only(found, kind)["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert "release" not in only(found, "Deployment")["spec"]["selector"]["matchLabels"]


def test_a_deployment_of_another_name_is_told_of(tmp_path) -> None:
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    server = tmp_path / "kubernetes/sidecar/mlflow.yaml"
    server.write_text(server.read_text().replace("  name: mlflow\n", "  name: tracking\n"))
    done = subprocess.run(
        [*TOOL, tmp_path / "kubernetes/sidecar"], capture_output=True, text=True, check=False
    )

    assert (done.returncode != 0, "mlflow" in done.stderr) == (True, True), done.stdout
