"""What a container makes of a process, as far as namespaces go: process 1, nobody, on a read-only root."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.manifests import ROOT
from support.patience import patience
from support.until import wait_until

USER = 65532

_ENTER = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/etc /mnt/tmp /mnt/bridge
chmod 1777 /mnt/tmp
cp -a /etc/passwd /etc/group /etc/hosts /etc/nsswitch.conf /etc/ld.so.c* /etc/ssl /mnt/etc
mkdir /mnt/etc/mlflow-bridge
mount --bind "$SOURCE" /mnt/bridge
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/mlflow-bridge
mount --bind "$FOLDER/secrets" /run/secrets/mlflow-bridge
mount --bind "$FOLDER/config" /mnt/etc/mlflow-bridge
mount --rbind /mnt/etc /etc
mount -t tmpfs tmpfs /var/lib
mkdir /var/lib/mlflow-bridge
mount --bind "$FOLDER/state" /var/lib/mlflow-bridge
for place in / /etc /etc/mlflow-bridge /run /run/secrets/mlflow-bridge /var/lib /mnt/bridge; do
    mount -o remount,bind,ro "$place"
done
cd /
exec setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --no-new-privs --bounding-set=-all \
    --inh-caps=-all "$@"
"""
"""The folders of the manifests, at the paths of the manifests; only state and /mnt/tmp can be written."""

_INTO = (
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *("sh", "-c", _ENTER, "sh"),
)


@dataclass
class Pod:
    """A folder with what the volumes hold: ``config``, ``secrets``, ``state``; the log goes to ``log``."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("config", "secrets", "state"):
            (self.folder / name).mkdir()
        if os.geteuid() == 0:
            os.chown(self.folder / "state", USER, USER)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        """Return what the image sets, and what the tests need: nothing that comes from here."""
        image = {"PATH": os.environ["PATH"], "HOME": "/mnt/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
        ours = {"SOURCE": str(ROOT), "FOLDER": str(self.folder), "USER_ID": str(USER)}
        return {**image, **ours, "PYTHONPATH": "/mnt/bridge", **more}

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        """Run a command in the container until it ends."""
        return subprocess.run(
            [*_INTO, *command],
            env=self._environment(environment),
            capture_output=True,
            text=True,
            timeout=patience(),
            check=False,
        )

    @contextmanager
    def running(self, *command: str, **environment: str):
        """Start a command in the container; yield the process that stands outside."""
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*_INTO, *command], env=self._environment(environment), stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def first_process(outside: subprocess.Popen) -> int:
    """Return the number that process 1 of a container has out here."""
    children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
    wait_until(children.read_text)
    return int(children.read_text().split()[0])


def terminate(outside: subprocess.Popen, seconds: float) -> int:
    """Do as the kubelet does: SIGTERM to process 1, then wait; return its exit code."""
    os.kill(first_process(outside), signal.SIGTERM)
    return outside.wait(seconds)


def why_not(folder: Path) -> str:
    """Return why there can be no containers here; an empty text where there can be."""
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
        return "needs to be root on a Linux with unshare and setpriv"
    tried = Pod(folder).run(sys.executable, "-c", "import bridge")
    return (tried.stderr.strip() or f"exit code {tried.returncode}") if tried.returncode else ""
