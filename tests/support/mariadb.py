"""A MariaDB of its own for registries, reachable through a socket in a private folder.

It compares texts as MySQL and MariaDB do by default: without regard to case, accents and trailing blanks.
"""

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

_START_S = 60
_STOP_S = 60
_AS_WE_ARE = f"--user={getpass.getuser()}"
"""MariaDB runs as root only if it is told to, and Debian's programs alone come without a user for it."""

_SERVER, _CLIENT, _INSTALL = "mariadbd", "mariadb", "mariadb-install-db"


class MariaDb:
    """Databases on one server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def uri(self, name: str) -> str:
        return f"mysql+pymysql://root@localhost/{name}?unix_socket={self._folder}/socket&charset=utf8mb4"

    def create(self, name: str, charset: str = "utf8mb4", collation: str = "utf8mb4_general_ci") -> None:
        self.tell("mysql", f"CREATE DATABASE `{name}` CHARACTER SET {charset} COLLATE {collation}")

    def tell(self, database: str, commands: str) -> str:
        """Have MariaDB execute ``commands``; return what it answers."""
        options = [
            "--no-defaults",
            "--batch",
            "--default-character-set=utf8mb4",
            f"--socket={self._folder}/socket",
        ]
        command = [_program(_CLIENT), *options, "--user=root", database]
        return subprocess.run(command, input=commands, text=True, check=True, capture_output=True).stdout


@contextmanager
def mariadb() -> Iterator[MariaDb]:
    """Run a fresh server, for as long as the context lasts."""
    missing = what_is_missing()
    if missing:
        raise SystemExit(missing)
    folder = Path(tempfile.mkdtemp(prefix="registry-"))  # pytest's would be too long for the path of a socket
    try:
        _initialise(folder)
        settings = [f"--datadir={folder}/data", f"--socket={folder}/socket", "--skip-networking"]
        # Loses the last second in a power cut, as nobody minds here; commits are as quick as they can be.
        lean = ["--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", f"--pid-file={folder}/pid"]
        lean += ["--innodb-lock-wait-timeout=2"]  # writers at once block each other for 50 s otherwise
        with (folder / "log").open("wb") as log:
            command = [_program(_SERVER), "--no-defaults", _AS_WE_ARE, *settings, *lean]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            server = MariaDb(folder)
            _wait(server, folder, process)
            yield server
        finally:
            process.terminate()
            process.wait(_STOP_S)
    finally:
        shutil.rmtree(folder)


def what_is_missing() -> str:
    """Return what keeps a server from being run here, or nothing."""
    absent = [name for name in (_SERVER, _CLIENT, _INSTALL) if not _program(name)]
    if absent:
        return f"MariaDB's {', '.join(absent)} cannot be found: apt-get install mariadb-server-core mariadb-client-core"
    if find_spec("pymysql") is None:
        return f"there is no driver: {sys.executable} -m pip install pymysql"
    return ""


def _program(name: str) -> str:
    """Return where a program is, or nothing; servers are not on everybody's PATH."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin") or ""


def _initialise(folder: Path) -> None:
    options = [f"--datadir={folder}/data", "--auth-root-authentication-method=normal", "--skip-test-db"]
    command = [_program(_INSTALL), "--no-defaults", _AS_WE_ARE, *options]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)


def _wait(server: MariaDb, folder: Path, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _START_S
    while True:
        try:
            server.tell("mysql", "SELECT 1")
        except subprocess.CalledProcessError:
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit((folder / "log").read_text()) from None
            time.sleep(0.2)
        else:
            return
