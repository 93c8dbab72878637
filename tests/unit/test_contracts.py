"""The import contracts break when they should: each is shown a planted violation."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VIOLATIONS = {
    "layers": ("bridge/diff/planted.py", "import bridge.store.base"),
    "the loops know protocols, not implementations": (
        "bridge/pipeline/planted.py",
        "import bridge.store.tinydb_store",
    ),
    "the control socket knows no command": ("bridge/control/planted.py", "import bridge.pipeline.poll"),
    "the plug-in in MLflow's server imports little": ("bridge/mlflow_app/planted.py", "import bridge.config"),
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


AT_THE_TOP = {"__init__", "__main__", "app", "errors", "plugin"}
"""The composition, the errors, and what authors of sinks build on; everything else is in a package."""

MAY_SHARE_A_NAME = {"__init__", "base"}
"""Files that stand for the same thing in each package: a package's own text, and what its others build on."""


def loose_modules(folder: Path) -> list[str]:
    """Return the modules at the top that belong into a package."""
    return sorted({path.stem for path in (folder / "bridge").glob("*.py")} - AT_THE_TOP)


def shared_names(folder: Path) -> list[str]:
    """Return the names that files in several packages have; a command is named as what it is about."""
    commands = set((folder / "bridge/cli/commands").glob("*.py"))
    paths = [path for path in (folder / "bridge").rglob("*.py") if path not in commands]
    names = Counter(path.stem for path in paths if path.stem not in MAY_SHARE_A_NAME)
    return sorted(name for name, count in names.items() if count > 1)


def test_the_top_holds_nothing_loose_and_no_two_files_have_one_name(copy) -> None:
    assert (loose_modules(copy), shared_names(copy)) == ([], [])

    (copy / "bridge/orders.py").touch()
    (copy / "bridge/store/relay.py").touch()

    assert (loose_modules(copy), shared_names(copy)) == (["orders"], ["relay"])
