"""A machine with a real systemd as its first process, in namespaces of this one. Needs root, and systemd.

It shares the network and sees this machine's /usr; whatever it writes is in memory, and goes with it.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("machine.sh")
NSENTER = "/usr/bin/nsenter"
SYSTEMD = Path("/lib/systemd/systemd")
_CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_BOOT_S = 60


class Machine:
    """Booted by `boot`; `run` runs a command in it, `stop` ends it."""

    def __init__(self, folder: Path, *shared: Path) -> None:
        """Keep its root in ``folder``; it sees the folders ``shared``, read-only, where they are here."""
        self._folder = folder
        self._shared = [str(one) for one in shared]
        self._cgroup: Path | None = None
        self._unshare: subprocess.Popen | None = None
        self._pid = 0

    def boot(self) -> "Machine":
        """Boot it; skip the test where that is not possible, and say why."""
        why = _lacking()
        if why:
            pytest.skip(f"no systemd can be booted here: {why}")
        root = self._folder / "root"
        root.mkdir(parents=True)
        self._cgroup = _unified() / f"mlflow-bridge-test-{os.getpid()}"
        self._cgroup.mkdir()
        with (self._folder / "console").open("wb") as console:
            self._unshare = subprocess.Popen(
                [
                    *("sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self._cgroup / "cgroup.procs")),
                    *("unshare", "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--fork", "--kill-child"),
                    *("sh", str(SCRIPT), str(root), *self._shared),
                ],
                stdout=console,
                stderr=console,
            )
        end = time.monotonic() + _BOOT_S
        while not self._is_up():
            if self._unshare.poll() is not None or time.monotonic() > end:
                said = (self._folder / "console").read_text()[-500:]
                self.stop()
                pytest.skip(f"no systemd can be booted here: {said}")
            time.sleep(0.1)
        return self

    def _is_up(self) -> bool:
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        try:
            self._pid = int(children.read_text().split()[0])
        except (OSError, IndexError):
            return False
        if Path(f"/proc/{self._pid}/comm").read_text().strip() != "systemd":
            return False
        return self.run("systemctl", "is-active", "machine.target").stdout == "active\n"

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        """Run a command in it, as root."""
        inside = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin", "HOME": "/root", **environment}
        return subprocess.run(
            [NSENTER, "-t", str(self._pid), "--all", "--", *command],
            capture_output=True,
            text=True,
            check=False,
            env=inside,
            timeout=300,
        )

    def sh(self, script: str, **environment: str) -> str:
        """Run a script in it that must succeed; return what it says."""
        done = self.run("sh", "-euc", script, **environment)
        assert done.returncode == 0, done.stdout + done.stderr + self.journal()
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """Return one of a unit's properties."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()

    def journal(self, *arguments: str) -> str:
        """Return what was logged, message by message."""
        return self.run("journalctl", "--no-pager", "--output=cat", *arguments).stdout

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        """Write a file in it."""
        inside = Path(f"/proc/{self._pid}/root{path}")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.write_text(content)
        inside.chmod(mode)

    def stop(self) -> None:
        """End it, and whatever runs in it."""
        if self._unshare is not None:
            self._unshare.kill()
            self._unshare.wait()
        if self._cgroup is not None:
            _remove(self._cgroup)


def _lacking() -> str:
    if os.geteuid() != 0:
        return "that needs root"
    if not SYSTEMD.exists():
        return f"there is no {SYSTEMD}"
    missing = [tool for tool in ("unshare", "nsenter", "pivot_root", "journalctl") if not shutil.which(tool)]
    if missing:
        return f"there is no {', '.join(missing)}"
    return "" if _unified() else "there is no cgroup v2"


def _unified() -> Path | None:
    return next((one for one in _CGROUPS if (one / "cgroup.procs").exists() and _is_v2(one)), None)


def _is_v2(folder: Path) -> bool:
    return f" {folder} cgroup2 " in Path("/proc/mounts").read_text()


def _remove(cgroup: Path) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            for folder, _, _ in os.walk(cgroup, topdown=False):
                Path(folder).rmdir()
        except OSError:  # what was killed is not gone yet
            time.sleep(0.1)
        else:
            return
