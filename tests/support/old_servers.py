"""Real `mlflow server` processes of old versions, each from a virtual environment of its own.

`make test-extra` installs them from the lists beside this file, `mlflow-<version>.txt`: what a server
imports that has a database, and no more (pandas, scikit-learn and the like stay out).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.mlflow_server import MlflowServer

VERSIONS = ("2.9.2", "2.22.5")
ENVIRONMENTS = Path(__file__).parents[2] / ".venv"

_OURS = ("MLFLOW_", "_MLFLOW_", "PYTHON", "COV", "VIRTUAL_ENV", "GUNICORN_")
"""Settings for this process' MLflow and Python, which must not reach the other one."""


class OldMlflowServer(MlflowServer):
    """The server of another version."""

    def __init__(self, version: str, folder: Path, *arguments: str, **environment: str) -> None:
        super().__init__(folder, *arguments, **environment)
        self.python = str(ENVIRONMENTS / f"mlflow-{version}" / "bin" / "python")

    @property
    def inherited(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def old_server(version: str, folder: Path, *arguments: str, **environment: str) -> OldMlflowServer:
    """Return a server to be started; skip the test where this machine cannot have it.

    MLflow 2.9.2 fails to start on Python 3.12 and later.
    """
    if (ENVIRONMENTS / f"mlflow-{version}" / ".done").exists():
        return OldMlflowServer(version, folder, *arguments, **environment)
    if version == "2.9.2" and not _has_python_311():
        pytest.skip("MLflow 2.9.2 needs Python 3.11, and there is no python3.11 on the PATH")
    pytest.fail(f"MLflow {version} is not installed: make test-extra does that")


def _has_python_311() -> bool:
    if sys.version_info < (3, 12):
        return True
    found = shutil.which("python3.11")
    return found is not None and subprocess.run([found, "-c", ""], check=False).returncode == 0
