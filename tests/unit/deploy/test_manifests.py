"""The Kubernetes manifests: valid, safe, and of one piece with the configuration in them and with the bridge."""

import os
import subprocess
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
from support.command import COMMAND
from support.manifests import (
    FOLDER,
    VARIANTS,
    bridge_of,
    built,
    config_of,
    documents,
    identity,
    kustomizations,
    named,
    one,
    pod,
    workload,
)

from bridge import __version__
from bridge.config import Settings
from bridge.config.file_loading import build
from bridge.daemon.run_until_reload import DRAIN_S
from bridge.sinks.sink_type_table import SETTINGS

SERVED = ("deployment", "sidecar", "replicas")
"""The variants with a server."""

WITH_FOLDER = [variant for variant in VARIANTS if variant != "replicas"]
"""The variants whose state is a folder on a volume."""

OLDEST, NEWEST = "1.29", "1.37"
"""1.29 is the first with native sidecars and ReadWriteOncePod switched on."""


def settings_of(variant: str) -> Settings:
    return build(tomllib.loads(config_of(FOLDER / variant).read_text()), SETTINGS)


def mounts_of(container: dict) -> dict[str, str]:
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


def test_every_file_that_a_kustomization_names_exists_and_none_lies_about_unnamed() -> None:
    told = {path for folder in kustomizations() for path in named(folder)}
    files = {path for folder in kustomizations() for path in folder.iterdir() if path.is_file()}
    lying = {path for path in files - told if path.suffix in {".yaml", ".toml"}}

    assert [path for path in told if not path.exists()] == []
    assert {path.name for path in lying if FOLDER in path.parents} == {"kustomization.yaml"}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_variant_comes_to_is_valid_for_kubernetes(variant: str, version: str) -> None:
    found = built(FOLDER / variant)
    for document in found:
        kubernetes_validate.validate(document, version, strict=True)

    claim = ("PersistentVolumeClaim", "mlflow-bridge-state")
    assert (claim in map(identity, found)) == (variant in WITH_FOLDER)
    assert len(set(map(identity, found))) == len(found)


def test_the_schemas_find_a_misspelt_key() -> None:
    document = workload(FOLDER / "deployment")
    document["spec"]["template"]["spec"]["terminationGracePeriod"] = 45

    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(document, NEWEST, strict=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_real_check_accepts_the_configuration(variant: str) -> None:
    done = subprocess.run(
        [*COMMAND, "check", "--config", config_of(FOLDER / variant)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_bridge_runs_as_the_restricted_standard_of_pods_asks(variant: str) -> None:
    template = pod(workload(FOLDER / variant))["spec"]
    container = bridge_of(workload(FOLDER / variant))
    context = {**template["securityContext"], **container["securityContext"]}

    assert (context["runAsNonRoot"], context["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert min(context["runAsUser"], context["runAsGroup"], context["fsGroup"]) > 0
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert template["automountServiceAccountToken"] is False
    assert {"cpu", "memory"} == set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_state_and_secrets_are_where_the_configuration_looks_for_them(variant: str) -> None:
    document, settings = workload(FOLDER / variant), settings_of(variant)
    volumes = {volume["name"]: volume for volume in pod(document)["spec"]["volumes"]}
    mounts = bridge_of(document)["volumeMounts"]
    kinds = {next(iter(volumes[mount["name"]].keys() - {"name"})): mount for mount in mounts}

    if variant in WITH_FOLDER:
        assert settings.state.folder.startswith(kinds["persistentVolumeClaim"]["mountPath"] + "/")
    else:
        assert "persistentVolumeClaim" not in kinds
        assert settings.state.password.file.startswith(kinds["secret"]["mountPath"] + "/")
        assert not settings.state.is_exposed
    for sink in settings.sinks:
        for secret in sink.secrets().values():
            assert secret.file.startswith(kinds["secret"]["mountPath"] + "/")
    assert f"{kinds['configMap']['mountPath']}/config.toml" in " ".join(bridge_of(document)["args"])
    assert kinds["emptyDir"]["mountPath"] == "/tmp"  # noqa: S108 - HOME in the image
    assert not any("subPath" in mount for mount in mounts)
    assert all(kinds[kind].get("readOnly") for kind in ("configMap", "secret"))


@pytest.mark.parametrize("variant", SERVED)
def test_probes_and_metrics_ask_the_port_that_the_configuration_opens_to_the_node(variant: str) -> None:
    container = bridge_of(workload(FOLDER / variant))
    (port,) = container["ports"]
    probes = [value["httpGet"] for key, value in container.items() if key.endswith("Probe")]
    (monitor,) = documents(FOLDER / "components/podmonitor/podmonitor.yaml")
    labels = pod(workload(FOLDER / variant))["metadata"]["labels"]

    assert settings_of(variant).server.address == ("0.0.0.0", port["containerPort"])  # noqa: S104
    assert {probe["port"] for probe in probes} == {port["name"]}
    assert {probe["path"] for probe in probes} <= {"/livez", "/readyz"}
    assert [endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]] == [port["name"]]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_sidecar_can_keep_mlflow_neither_from_starting_nor_from_its_service() -> None:
    document = workload(FOLDER / "sidecar")
    sidecar = bridge_of(document)
    volumes = {volume["name"]: volume for volume in pod(document)["spec"]["volumes"]}

    assert sidecar["restartPolicy"] == "Always"
    assert "readinessProbe" not in sidecar
    assert "startupProbe" not in sidecar
    assert sidecar["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert volumes["bridge-secrets"]["secret"]["optional"] is True
    assert [container["name"] for container in pod(document)["spec"]["containers"]] == ["mlflow"]


def test_replicas_come_and_go_one_at_a_time_and_reach_their_database() -> None:
    document = workload(FOLDER / "replicas")
    budget = one(FOLDER / "replicas", "PodDisruptionBudget")
    labels = pod(document)["metadata"]["labels"]
    policies = [one for one in built(FOLDER / "replicas") if one["kind"] == "NetworkPolicy"]
    ports = [port["port"] for one in policies for rule in one["spec"]["egress"] for port in rule["ports"]]

    assert document["spec"]["replicas"] >= 2
    assert document["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert 5432 in ports
    assert pod(document)["spec"]["terminationGracePeriodSeconds"] >= 2 * DRAIN_S


@pytest.mark.parametrize("variant", ["deployment", "sidecar"])
def test_there_is_one_owner_of_the_state_and_it_has_time_to_drain(variant: str) -> None:
    document = workload(FOLDER / variant)
    claim = one(FOLDER / variant, "PersistentVolumeClaim")

    assert (document["spec"]["replicas"], document["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert pod(document)["spec"]["terminationGracePeriodSeconds"] >= 2 * DRAIN_S


def test_the_policy_lets_in_who_asks_for_metrics_and_out_to_dns_registry_and_https() -> None:
    policy = one(FOLDER / "deployment", "NetworkPolicy")["spec"]
    (port,) = bridge_of(workload(FOLDER / "deployment"))["ports"]
    ports = [sorted({port["port"] for port in rule["ports"]}) for rule in policy["egress"]]
    labels = pod(workload(FOLDER / "deployment"))["metadata"]["labels"]

    assert [rule["ports"] for rule in policy["ingress"]] == [
        [{"protocol": "TCP", "port": port["containerPort"]}]
    ]
    assert (ports, sorted(policy["policyTypes"])) == ([[53], [5000], [443]], ["Egress", "Ingress"])
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert "NetworkPolicy" not in [document["kind"] for document in built(FOLDER / "sidecar")]


@pytest.mark.parametrize("variant", ["deployment", "sidecar", "cronjob", "replicas"])
def test_the_image_is_of_this_version(variant: str) -> None:
    assert bridge_of(workload(FOLDER / variant))["image"] == f"mlflow-bridge:{__version__}"


def cron_exit(folder: Path, code: int) -> int:
    command = folder / "mlflow-bridge"
    command.write_text(f'#!/bin/sh\necho "$@" >{folder}/arguments\nexit {code}\n')
    command.chmod(0o755)
    container = bridge_of(workload(FOLDER / "cronjob"))
    path = f"{folder}:{os.environ['PATH']}"
    return subprocess.run(
        [*container["command"], *container["args"]], env={"PATH": path}, check=False
    ).returncode


@pytest.mark.parametrize(
    ("code", "told"),
    [(0, 0), (1, 1), (65, 65), (69, 69), (73, 73), (74, 0), (75, 0), (78, 78)],
)
def test_a_run_that_leaves_entries_waiting_fails_no_job_and_others_keep_their_code(
    tmp_path, code: int, told: int
) -> None:
    assert cron_exit(tmp_path, code) == told
    assert (tmp_path / "arguments").read_text().split()[2] == "once"


def test_a_scheduled_run_ends_by_itself_before_anything_ends_it() -> None:
    document = workload(FOLDER / "cronjob")
    job = document["spec"]["jobTemplate"]["spec"]
    (text,) = bridge_of(document)["args"]
    deadline = int(text.split("--deadline ")[1].split("s ")[0])

    assert deadline + 10 <= pod(document)["spec"]["terminationGracePeriodSeconds"]
    assert 2 * deadline <= job["activeDeadlineSeconds"] < 300
    assert (document["spec"]["concurrencyPolicy"], job["backoffLimit"]) == ("Forbid", 0)


def test_the_pod_monitor_has_only_what_its_kind_knows() -> None:
    """By hand, after the operator's definition (monitoring.coreos.com/v1)."""
    (monitor,) = documents(FOLDER / "components/podmonitor/podmonitor.yaml")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]

    assert (monitor["apiVersion"], monitor["kind"]) == ("monitoring.coreos.com/v1", "PodMonitor")
    assert monitor["spec"].keys() == {"selector", "podMetricsEndpoints"}
    assert endpoint.keys() <= {"port", "path", "interval", "scrapeTimeout", "scheme"}
