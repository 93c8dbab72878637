"""What README, units and manifests say, tried."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

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
        "docs/running/kubernetes.md",
        "docs/running/monitoring.md",
        "docs/trail.md",
        "docs/running/systemd.md",
        "docs/running/cron.md",
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


PAGES = ["docs/running/systemd.md", "docs/running/cron.md"]


def test_the_crontab_line_is_one() -> None:
    (line,) = [
        line
        for line in (ROOT / "systemd/crontab.example").read_text().splitlines()
        if line and not line.startswith("#")
    ]


@pytest.mark.parametrize("page", [*PAGES, "systemd/config.toml"])
def test_the_configurations_to_begin_with_are_valid_and_keep_the_state_where_it_may_be(page) -> None:
    text = (ROOT / page).read_text()
    found = (
        [text]
        if page.endswith(".toml")
        else re.findall(r"^```toml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    )
    for toml in found:
        assert build(tomllib.loads(toml), SETTINGS).state.folder == "/var/lib/mlflow-bridge"
    assert len(found) == 1


def test_what_is_commented_out_of_the_configuration_to_begin_with_is_a_valid_sink() -> None:
    text = (ROOT / "systemd/config.toml").read_text()
    (sink,) = build(tomllib.loads(re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)), SETTINGS).sinks

    assert (sink.name, sink.type) == ("ci", "http")


def test_both_services_are_the_same_user_in_the_same_sandbox() -> None:
    """The state is one user's, whichever of them runs; and neither is easier to break out of."""
    sandboxes = [
        (ROOT / "systemd" / unit)
        .read_text()
        .split("DynamicUser=yes\n")[1]
        .split("\n# Protect")[0]
        .split("\n")
        for unit in ("mlflow-bridge.service", "mlflow-bridge-once.service")
    ]
    first, second = (
        [line for line in lines if "=" in line and not line.startswith(("Environment", "WantedBy"))]
        for lines in sandboxes
    )

    assert first == second
    assert "User=mlflow-bridge" in first


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"PYTHON": "/bin/false"}, "needs a Python 3.11 or later"),
        ({"PREFIX": "opt"}, "PREFIX=opt is no path"),
        ({"PREFIX": "/opt/my bridge"}, "is no path"),
    ],
)
def test_an_installation_that_cannot_work_is_refused_before_anything_is_written(
    tmp_path, settings, refusal
) -> None:
    done = subprocess.run(
        ["/bin/sh", ROOT / "systemd/install.sh"],
        env={"PATH": "/usr/bin:/bin", "DESTDIR": str(tmp_path), **settings},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, refusal in done.stderr) == (1, "", True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_installation_leaves_what_it_did_not_make_alone(tmp_path) -> None:
    (tmp_path / "opt/mlflow-bridge/bin").mkdir(parents=True)
    for script in ("install", "uninstall"):
        done = subprocess.run(
            ["/bin/sh", ROOT / f"systemd/{script}.sh"],
            env={"PATH": "/usr/bin:/bin", "DESTDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "by make install" in done.stderr) == (1, True)
    assert (tmp_path / "opt/mlflow-bridge/bin").exists()


UNITS = sorted(path.name for path in (ROOT / "systemd").glob("mlflow-bridge*"))


def units_here(folder: Path) -> list[Path]:
    """Copy the units with a command that exists on this machine."""
    for name in UNITS:
        text = (ROOT / "systemd" / name).read_text()
        (folder / name).write_text(text.replace("/opt/mlflow-bridge/bin/mlflow-bridge", "/bin/true"))
    return [folder / name for name in UNITS]


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (apt install systemd)"
)


@pytest.mark.extra
@needs_systemd
def test_systemd_finds_no_fault_in_the_units(tmp_path) -> None:
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", "verify", *units_here(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.extra
@needs_systemd
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
