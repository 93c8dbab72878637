"""A real `mlflow server` on loopback."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from support.receiver import free_port, is_listening

START_S = 90
STOP_S = 10

_LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Without the seven processes of MLflow's job runner, which have nothing to do with its registry."""


class MlflowServer:
    """Starts, stops and restarts one server process over one database.

    The database of a folder outlives its server: another one can be started on it, at the same `port`.
    """

    python = sys.executable
    prefix = ""
    """``--static-prefix``, if it has one."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self._folder = folder
        self._arguments = arguments
        self._environment = environment
        self.port = free_port()
        self._process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> str:
        return f"sqlite:///{self._folder}/registry.db"

    @property
    def inherited(self) -> dict[str, str]:
        """What of this process' environment the server gets: its own code is not what coverage measures."""
        return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def start(self) -> "MlflowServer":
        self.launch()
        self._wait()
        return self

    def launch(self) -> None:
        """Start the process, and do not wait until it answers."""
        self._folder.mkdir(exist_ok=True)
        command = [
            *(self.python, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", self.database),
            *("--artifacts-destination", str(self._folder / "artifacts")),
            *self._arguments,
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=self._folder,
                start_new_session=True,
            )

    @property
    def environment(self) -> dict[str, str]:
        return {**self.inherited, "MLFLOW_DISABLE_TELEMETRY": "true", **_LEAN, **self._environment}

    def upgrade(self) -> None:
        """Bring the database to this MLflow's schema, as its operators do."""
        command = [self.python, "-m", "mlflow", "db", "upgrade", self.database]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False)
        assert done.returncode == 0, done.stderr[-2000:]

    def _wait(self) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}{self.prefix}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        self.stop()
        raise TimeoutError(self.log)

    def stop(self) -> None:
        """End the whole process group; MLflow's command does not wait for the gunicorn of old versions."""
        if self._process is None:
            return
        process, self._process = self._process, None
        end = time.monotonic() + STOP_S
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            while time.monotonic() < end and (process.poll() is None or is_listening(self.port)):
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
