"""The real command, as its users start it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from support.patience import patience
from support.prepared_command import Forked, start_prepared

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
        state: str = 'url = "tinydb:./state"',
    ) -> None:
        registry_part = f'[registry]\ntracking_uri = "{registry}"\ntimeout = "5s"\n{access}\n'
        parts = [registry_part, f"[poll]\n{poll}\n", f"[state]\n{state}\n", more, *sinks]
        self.config.write_text("\n".join(parts))

    def run(self, *arguments: str, timeout: float | None = None, **options) -> subprocess.CompletedProcess:
        command = self._with_config(arguments)
        if not options:
            return self._run_prepared(command, timeout or patience())
        return subprocess.run(
            [*COMMAND, *command],
            capture_output=True,
            text=True,
            timeout=timeout or patience(),
            env=self.environment,
            check=False,
            cwd=self.folder,
            **options,
        )

    def _run_prepared(self, command: list[str], seconds: float) -> subprocess.CompletedProcess:
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            process = self._started(command, self.environment, out, err)
            try:
                status = process.wait(seconds)
            finally:
                process.kill()
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess([*COMMAND, *command], status, out.read(), err.read())

    def _started(
        self, command: list[str], environment: Mapping[str, str], out: IO[Any], err: IO[Any]
    ) -> "subprocess.Popen | Forked":
        forked = start_prepared(command, self.folder, environment, out.fileno(), err.fileno())
        return forked or subprocess.Popen(
            [*COMMAND, *command], stdout=out, stderr=err, env=environment, cwd=self.folder
        )

    def _with_config(self, arguments) -> list[str]:
        return [*arguments, "--config", str(self.config)]

    def _log_options(self) -> list[str]:
        return ["--log-format", "json", "--log-level", self.log_level]

    def status(self) -> dict:
        return json.loads(self.run("status", "--output", "json").stdout)

    def start(self, **environment: str) -> "subprocess.Popen | Forked":
        command = [*self._log_options(), *self._with_config(["run"])]
        with (self.folder / "log").open("ab") as log:
            return self._started(command, {**self.environment, **environment}, log, log)

    @contextmanager
    def running(self, **environment: str):
        process = self.start(**environment)
        try:
            self.wait_for_log("daemon.started")
            yield process
        except subprocess.TimeoutExpired:
            sys.stderr.write((self.folder / "log").read_text()[-20_000:])
            raise
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

    def wait_for_log(self, event: str, count: int = 1) -> list[dict]:
        end = time.monotonic() + patience()
        while time.monotonic() < end:
            found = [line for line in self.log if line["event"] == event]
            if len(found) >= count:
                return found
            time.sleep(0.05)
        raise AssertionError(f"no {event} in {(self.folder / 'log').read_text()[-3000:]}")


def stop(process: "subprocess.Popen | Forked") -> int:
    """Have a daemon stop; one that does not tells in its log where each of its threads is."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(patience())
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler's
        process.wait(patience())
        raise


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
