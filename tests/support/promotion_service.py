"""The service of the ordering document, as a process that can be killed."""

import subprocess
import sys
from pathlib import Path

from support.governed import TOKENS
from support.receiver import free_port, is_listening
from support.until import wait_until

HOOK = Path(__file__).parent / "promotion_receiver.py"


class Hook:
    """The service of the ordering document, as a process."""

    def __init__(self, mlflow: str, environment: dict) -> None:
        self.port = free_port()
        self._environment = {
            **environment,
            "MLFLOW_TRACKING_URI": mlflow,
            "MLFLOW_API_TOKEN": TOKENS["decider"],
        }
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [sys.executable, "-P", str(HOOK), str(self.port)]
        self._process = subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL)
        wait_until(lambda: is_listening(self.port))

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
