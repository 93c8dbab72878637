"""The real command, as its users start it."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

COMMAND = [sys.executable, "-m", "bridge"]


class Bridge:
    """A configuration in a folder, and the command run on it."""

    def __init__(
        self, folder: Path, registry: str, *sinks: str, poll: str = 'interval = "200ms"', access: str = ""
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.config = folder / "config.toml"
        self.environment = {**os.environ, "CI_SECRET": "s3cret-in-env", "GITHUB_TOKEN": "ghp_secret"}
        self.log_level = "info"
        self.write(registry, *sinks, poll=poll, access=access)

    def write(
        self,
        registry: str,
        *sinks: str,
        poll: str = 'interval = "200ms"',
        more: str = "",
        access: str = "",
    ) -> None:
        registry_part = f'[registry]\ntracking_uri = "{registry}"\ntimeout = "5s"\n{access}\n'
        parts = [registry_part, f"[poll]\n{poll}\n", '[state]\nurl = "tinydb:./state"\n', more, *sinks]
        self.config.write_text("\n".join(parts))

    def run(self, *arguments: str, timeout: float = 60, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*COMMAND, *self._with_config(arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment,
            check=False,
            cwd=self.folder,
            **options,
        )

    def _with_config(self, arguments) -> list[str]:
        return [*arguments, "--config", str(self.config)]

    def _log_options(self) -> list[str]:
        return ["--log-format", "json", "--log-level", self.log_level]

    def status(self) -> dict:
        return json.loads(self.run("status", "--output", "json").stdout)

    def start(self, **environment: str) -> subprocess.Popen:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*COMMAND, *self._log_options(), *self._with_config(["run"])],
                stderr=log,
                stdout=log,
                env={**self.environment, **environment},
                cwd=self.folder,
            )

    @contextmanager
    def running(self, **environment: str):
        process = self.start(**environment)
        try:
            self.wait_for_log("daemon.started")
            yield process
        finally:
            process.kill()
            process.wait()

    @property
    def has_log(self) -> bool:
        return (self.folder / "log").exists()

    @property
    def log(self) -> list[dict]:
        found = []
        for line in (self.folder / "log").read_text().splitlines():
            with suppress(ValueError):  # a killed process may have left half a line
                found.append(json.loads(line))
        return found

    def wait_for_log(self, event: str, count: int = 1, seconds: float = 30) -> list[dict]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = [line for line in self.log if line["event"] == event]
            if len(found) >= count:
                return found
            time.sleep(0.05)
        raise AssertionError(f"no {event} in {(self.folder / 'log').read_text()[-3000:]}")


def stop(process: subprocess.Popen, seconds: float = 30) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(seconds)


def only(model: str) -> str:
    """Return the filter by which a sink sees the test's own model alone."""
    return f'models = ["{model}"]'


def http_sink(url: str, name: str = "ci", more: str = "") -> str:
    return (
        f'[[sinks]]\nname = "{name}"\ntype = "http"\nurl = "{url}/hook"\n'
        f'secret = {{ env = "CI_SECRET" }}\n{more}\n'
    )


def github_sink(url: str, more: str = "") -> str:
    return (
        '[[sinks]]\nname = "deploy"\ntype = "github_dispatch"\nrepository = "acme/deploy"\n'
        f'event_type = "model_promoted"\ntoken = {{ env = "GITHUB_TOKEN" }}\napi_url = "{url}"\n{more}\n'
    )
