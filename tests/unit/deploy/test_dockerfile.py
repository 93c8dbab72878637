"""The Dockerfile: linted, and its steps done by hand where there is no engine."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.container import USER, Pod, terminate, why_not
from support.dockerfile import DOCKERFILE, HandMade, health_check, last, sent, steps
from support.manifests import FOLDER, ROOT, config_of
from support.probing import fetch
from support.receiver import free_port
from support.until import wait_until

from bridge import __version__

HADOLINT = Path(sys.executable).with_name("hadolint")


@pytest.mark.skipif(
    not (HADOLINT.exists() or shutil.which("hadolint")), reason="no hadolint for this machine"
)
def test_hadolint_finds_no_fault_and_would(tmp_path) -> None:
    tool = HADOLINT if HADOLINT.exists() else "hadolint"
    bad = tmp_path / "Dockerfile"
    bad.write_text(DOCKERFILE.read_text() + "\nRUN cd /tmp && sudo pip install mlflow\n")
    runs = [
        subprocess.run([tool, path], capture_output=True, text=True, check=False)
        for path in (DOCKERFILE, bad)
    ]

    assert (runs[0].returncode, runs[0].stdout) == (0, "")
    assert (runs[1].returncode, "DL3004" in runs[1].stdout) == (1, True)


def test_process_one_is_the_bridge_itself_and_nobody() -> None:
    user, group = last("USER").split(":")

    assert json.loads(last("ENTRYPOINT")) == ["mlflow-bridge"]
    assert json.loads(last("CMD"))[0] == "run"
    assert (user, group) == (str(USER), str(USER))
    assert f'version="{"${VERSION}"}"' in last("LABEL")
    assert f"ARG VERSION={__version__}" in DOCKERFILE.read_text()


def test_what_is_copied_is_sent_and_exists() -> None:
    copied = {
        name
        for step in steps()
        if step.name == "COPY" and "--from" not in step.text
        for name in step.text.split()[:-1]
    }

    assert copied == set(sent())
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("name", ["image-requirements.txt", "image-build.txt"])
def test_the_image_is_made_of_the_versions_that_are_tested(name: str) -> None:
    def pins(path: Path) -> set[str]:
        return set(re.findall(r"^([\w.-]+==[\w.]+)", path.read_text(), re.MULTILINE))

    found = pins(ROOT / "deploy" / name)

    assert len(found) >= 5
    assert found <= pins(ROOT / "constraints.txt"), "make lock"
    assert "http" not in (ROOT / "deploy" / name).read_text().replace("httpx", "").replace("httpcore", "")


@pytest.fixture(scope="module")
def image():
    """What the Dockerfile makes, in a folder that nobody's process can reach."""
    if os.geteuid() != 0:
        pytest.skip("needs to be root, as a build is")
    with tempfile.TemporaryDirectory(prefix="image-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        made = HandMade(Path(folder))
        made.build()
        yield made


@pytest.mark.extra
def test_the_image_is_small_compiled_and_without_tools(image: HandMade) -> None:
    sources = [path for path in image.environment.rglob("*.py") if "/bin/" not in str(path)]
    bare = [path for path in sources if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))]
    names = {path.name.split("-")[0] for path in image.environment.glob("lib/*/site-packages/*.dist-info")}
    print(f"{image.megabytes():.0f} MB on top of the base image")  # noqa: T201 - what the docs state

    assert bare == []
    assert not names & {"pip", "setuptools", "hatchling", "SQLAlchemy", "sqlalchemy", "alembic"}
    assert 80 < image.megabytes() < 140
    assert (image.folder / "var/lib/mlflow-bridge").stat().st_uid == USER


@pytest.mark.extra
def test_the_image_runs_answers_its_health_check_and_ends_on_sigterm(image: HandMade, tmp_path) -> None:
    for name in ("trial", "pod"):
        (tmp_path / name).mkdir()
    reason = why_not(tmp_path / "trial")
    if reason:
        pytest.skip(f"no containers here: {reason}")
    pod, port = Pod(tmp_path / "pod"), str(free_port())
    config = config_of(FOLDER / "deployment").read_text().replace("9464", port)
    (pod.folder / "config/config.toml").write_text(config)
    bridge = str(image.environment / "bin/mlflow-bridge")
    inside = {"PYTHONPATH": "", "PATH": f"{image.environment}/bin:{os.environ['PATH']}"}
    check = [word.replace("9464", port) for word in health_check()]

    assert pod.run(*check, **inside).returncode != 0
    with pod.running(bridge, *json.loads(last("CMD")), **inside) as process:
        wait_until(lambda: fetch(f"http://127.0.0.1:{port}/livez") == 200 or process.poll() is not None)
        healthy = pod.run(*check, **inside)
        code = terminate(process, 45)

    assert (healthy.returncode, healthy.stderr, code) == (0, "", 0), pod.log
    assert pod.run(bridge, "--version", **inside).stdout == f"mlflow-bridge {__version__}\n"
