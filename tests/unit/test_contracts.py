"""The import contracts break when they should: each is shown a planted violation."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VIOLATIONS = {
    "layers": ("bridge/diff/planted.py", "import bridge.store.state"),
    "the loops know protocols, not implementations": (
        "bridge/pipeline/planted.py",
        "import bridge.store.database",
    ),
    "the control socket knows no command": ("bridge/control/planted.py", "import bridge.pipeline.poll"),
    "pure code does no I/O": ("bridge/delivery/planted.py", "import time"),
    "one way out to the network": ("bridge/sinks/planted.py", "import httpx"),
    "only the registry knows mlflow": ("bridge/store/planted.py", "import mlflow"),
}


def lint(folder: Path) -> subprocess.CompletedProcess:
    command = "from importlinter.cli import lint_imports_command as main; main()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder), "PATH": ""},
    )


@pytest.fixture
def copy(tmp_path) -> Path:
    shutil.copytree(ROOT / "bridge", tmp_path / "bridge", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("contract", "plant"), VIOLATIONS.items(), ids=VIOLATIONS)
def test_each_contract_breaks_on_a_planted_violation(copy, contract, plant) -> None:
    path, line = plant
    (copy / path).write_text(f"{line}\n")

    done = lint(copy)

    assert (done.returncode, f"{contract} BROKEN" in done.stdout) == (1, True), done.stdout + done.stderr


def test_every_contract_is_shown_to_break() -> None:
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["name"] for contract in contracts} == set(VIOLATIONS)
