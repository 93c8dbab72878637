"""A PostgreSQL of its own for registries, reachable through a socket in a private folder."""

import getpass
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from support.patience import patience

_START_S = 30
_USER = "postgres" if os.geteuid() == 0 else getpass.getuser()
"""Who runs it: PostgreSQL refuses to run as root."""


class PostgreSql:
    """Databases in one cluster."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self.folder = folder
        self.addresses = ""
        """Where it listens after the next start, besides its socket."""
        self._process = self._started()

    @property
    def pids(self) -> Sequence[int]:
        return (self._process.pid,)

    def restart(self, *, crash: bool = False, down_s: float = 0.0) -> None:
        """End the server, as a restart does or without a word to anybody, and start it again after a while."""
        self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
        self._process.wait(patience())
        time.sleep(down_s)
        self._process = self._started()

    def stop(self) -> None:
        """Disconnect the clients and end."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(patience())

    def _started(self) -> "subprocess.Popen[bytes]":
        # A `user` of its own keeps the process's id ours to stop, as a wrapper (runuser) would not.
        settings = [
            "-c",
            f"listen_addresses={self.addresses}",
            "-k",
            str(self.folder),
            "-D",
            str(self.folder / "data"),
        ]
        with (self.folder / "log").open("ab") as log:
            command = [str(self._programs / "postgres"), *settings]
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, **_identity())
        _wait(self._programs, self.folder, process)
        return process

    def uri(self, name: str) -> str:
        return f"postgresql+psycopg2://{_USER}@/{name}?host={self.folder}"

    def state_url(self, name: str, host: str = "") -> str:
        """Return the address of a database for the bridge's own state."""
        return f"postgresql://{_USER}@/{name}?host={host or self.folder}"

    def create(self, name: str, template: str = "template1") -> None:
        self.tell("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}";')

    def tell(self, database: str, commands: str) -> None:
        """Have psql execute ``commands``, all or none."""
        options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--host={self.folder}"]
        command = [str(self._programs / "psql"), *options, f"--username={_USER}", database]
        subprocess.run(command, input=commands, text=True, check=True)


@contextmanager
def postgresql() -> Iterator[PostgreSql]:
    """Run a fresh cluster, for as long as the context lasts."""
    missing = what_is_missing()
    if missing:
        raise SystemExit(missing)
    programs = _programs()[-1]
    folder = Path(tempfile.mkdtemp(prefix="registry-"))  # not below a folder that only root may enter
    try:
        shutil.chown(folder, _USER)
        _initialise(programs, folder)
        cluster = PostgreSql(programs, folder)
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder)


def what_is_missing() -> str:
    """Return what keeps a cluster from being run here, or nothing."""
    if not _programs():
        return "PostgreSQL's programs are not in /usr/lib/postgresql"
    if find_spec("psycopg2") is None:
        return f"there is no driver: {sys.executable} -m pip install psycopg2-binary"
    return ""


def _programs() -> list[Path]:
    """Return where PostgreSQL's programs are, the newest release last."""
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))


def _identity() -> dict[str, str]:
    return {"user": _USER, "group": _USER} if os.geteuid() == 0 else {}


def _initialise(programs: Path, folder: Path) -> None:
    options = ["--auth=trust", f"--username={_USER}", "--no-sync", "--encoding=UTF8"]
    command = [str(programs / "initdb"), *options, str(folder / "data")]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **_identity())


def _wait(programs: Path, folder: Path, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _START_S
    asked = [str(programs / "pg_isready"), "--quiet", f"--host={folder}"]
    while subprocess.run(asked, check=False).returncode:
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit((folder / "log").read_text())
        time.sleep(0.2)
