"""What README, units and manifests say, tried."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from bridge.config.load import build
from bridge.sinks.kinds import SETTINGS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

pytestmark = pytest.mark.filterwarnings("ignore")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_the_shell_snippet_computes_the_signature(tmp_path) -> None:
    from bridge.events.signatures import mlflow_signature

    (snippet,) = [block for block in blocks("sh") if "openssl" in block]
    (tmp_path / "body.json").write_bytes(b'{"a": 1}')
    done = subprocess.run(
        ["/bin/sh", "-c", snippet],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"DELIVERY_ID": "id", "TIMESTAMP": "17", "CI_WEBHOOK_SECRET": "s", "PATH": "/usr/bin:/bin"},
    )

    assert "v1," + done.stdout.strip() == mlflow_signature("s", "id", 17, b'{"a": 1}')


def test_every_file_that_a_page_links_to_exists() -> None:
    for page in (
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/architecture.md",
        "docs/registries.md",
        "docs/trail.md",
        "docs/command-line.md",
        "docs/writing-a-sink.md",
    ):
        text = (ROOT / page).read_text()
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_every_command_of_the_readme_exists() -> None:
    from bridge.cli.main import cli

    for command in re.findall(r"^mlflow-bridge (\w+)", README, re.MULTILINE):
        assert cli.get_command(None, command) is not None


def test_the_manifest_holds_a_valid_configuration_and_matching_names() -> None:
    documents = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/sidecar.yaml").read_text()))
    kinds = {document["kind"]: document for document in documents}
    settings = build(tomllib.loads(kinds["ConfigMap"]["data"]["config.toml"]), SETTINGS)
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    (sidecar,) = pod["initContainers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in sidecar["volumeMounts"]}

    assert (sidecar["restartPolicy"], kinds["Deployment"]["spec"]["strategy"]["type"]) == (
        "Always",
        "Recreate",
    )
    assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
    assert settings.state.folder.startswith(mounts["bridge-state"])
    assert settings.sinks[0].secret.file.startswith(mounts["bridge-secrets"])
    assert settings.server.address == ("0.0.0.0", sidecar["ports"][0]["containerPort"])  # noqa: S104
    assert sidecar["securityContext"]["readOnlyRootFilesystem"]
    assert not pod["automountServiceAccountToken"]


def test_the_crontab_line_is_one() -> None:
    (line,) = [
        line
        for line in (ROOT / "systemd/crontab.example").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    assert re.match(
        r"(\S+\s+){5}/opt/mlflow-bridge/bin/mlflow-bridge once --deadline 50s --config \S+$", line
    )


UNITS = sorted(path.name for path in (ROOT / "systemd").glob("mlflow-bridge*"))


def units_here(folder: Path) -> list[Path]:
    """Copy the units with a command that exists on this machine."""
    for name in UNITS:
        text = (ROOT / "systemd" / name).read_text()
        (folder / name).write_text(text.replace("/opt/mlflow-bridge/bin/mlflow-bridge", "/bin/true"))
    return [folder / name for name in UNITS]


@pytest.mark.extra
def test_systemd_finds_no_fault_in_the_units(tmp_path) -> None:
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", "verify", *units_here(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.extra
@pytest.mark.parametrize("unit", [name for name in UNITS if name.endswith(".service")])
def test_the_units_expose_little(tmp_path, unit) -> None:
    units_here(tmp_path)
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", "security", "--offline=true", "--threshold=15", tmp_path / unit],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-300:]


def test_every_test_that_a_page_names_exists() -> None:
    named = set()
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        named |= set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text()))

    assert len(named) > 20
    missing = [
        (file, test)
        for file, test in sorted(named)
        if not (ROOT / file).exists() or (test and f"def {test}(" not in (ROOT / file).read_text())
    ]
    assert missing == []
