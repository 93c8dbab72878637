"""`make dev`: a local MLflow server, a receiver that prints and verifies what comes, and the daemon with its status page.

All of it listens on loopback and keeps its files in a temporary folder. SIGINT (Ctrl-C), SIGTERM and SIGHUP stop it.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from bridge.demo.demo_receiver import Received, Receiver
from bridge.diff.registry_changes import ChangeKind
from support.command import COMMAND, Bridge, http_sink
from support.mlflow_server import MlflowServer
from support.receiver import free_port

_READY = """
  MLflow         {dev.server.url}
  receiver       {dev.receiver.url}
  status page    {dev.page}/
  configuration  {dev.bridge.config}

Change a model in MLflow (with MLFLOW_TRACKING_URI={dev.server.url}), and its events are printed here.

After a change of the configuration: .venv/bin/mlflow-bridge reload -c {dev.bridge.config} (or: kill -HUP {dev.daemon.pid})
After a change of the code: press Enter here, which restarts the daemon; its state is kept.
To stop everything: press Ctrl-C.
"""


class Dev:
    """The server, the receiver and the daemon in ``folder``; `run` returns once ``is_over`` is set."""

    def __init__(self, folder: Path) -> None:
        self.is_over = False
        self.server = MlflowServer(folder / "mlflow")
        self.receiver = Receiver("s3cret-in-env", _show)
        self.page = f"http://127.0.0.1:{free_port()}"
        listen = f'[server]\nlisten = "{self.page.removeprefix("http://")}"\n'
        sink = http_sink(self.receiver.url, more=f"events = {[kind.value for kind in ChangeKind]}")
        self.bridge = Bridge(folder, self.server.url, listen, sink)
        self.daemon: subprocess.Popen | None = None

    def run(self) -> None:
        click.echo("Starting MLflow's server and the daemon ...")
        self.server.launch()
        if not self._answers(f"{self.server.url}/health", lambda: self.server.is_running):
            sys.exit(0 if self.is_over else f"MLflow's server does not start:\n{self.server.log}")
        self._restart_daemon()
        while not self.is_over:
            time.sleep(0.2)
            if _enter_was_pressed():
                self._restart_daemon()

    def stop(self) -> None:
        self._stop_daemon()
        self.server.stop()
        self.receiver.stop()

    def _restart_daemon(self) -> None:
        self._stop_daemon()
        command = [*COMMAND, "run", "--config", str(self.bridge.config)]
        self.daemon = daemon = subprocess.Popen(command, env=self.bridge.environment, start_new_session=True)
        is_up = self._answers(f"{self.page}/readyz", lambda: daemon.poll() is None)
        click.echo(_READY.format(dev=self) if is_up else "The daemon does not run; Enter starts it again.")

    def _stop_daemon(self) -> None:
        if self.daemon:
            self.daemon.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.daemon.wait(30)  # it gives its deliveries 20 s
            self.daemon.kill()

    def _answers(self, url: str, is_running: Callable[[], bool]) -> bool:
        """Wait for an answer at ``url``; return False if what answers ends, or everything is to stop."""
        while is_running() and not self.is_over:
            with suppress(OSError), urllib.request.urlopen(url, timeout=2):
                return True
            time.sleep(0.2)
        return False


def _enter_was_pressed() -> bool:
    return bool(select.select([0], [], [], 0)[0] and os.read(0, 1024))


def _show(got: Received) -> None:
    verdict = "signature verified" if got.signature_ok else "SIGNATURE WRONG"
    click.echo(f"receiver: delivery {got.delivery_id}, {verdict}\n{json.dumps(got.body, indent=2)}")


def main() -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]  # it may lead to a registry that others use
    os.environ["no_proxy"] = "*"
    with TemporaryDirectory(prefix="mlflow-bridge-dev-") as folder:
        dev = Dev(Path(folder))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: setattr(dev, "is_over", True))
        try:
            dev.run()
        finally:
            dev.stop()
            click.echo("Everything that was started has ended.")


if __name__ == "__main__":
    main()
