"""The command in processes of its own that begin with MLflow imported: that takes most of a command's time.

One process imports what the command needs, and forks for each start. What the loader and Python read when they start
(their own variables, the locale) is as it was then.
"""

import contextlib
import faulthandler
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_LONGEST = 1 << 20
_READ_AT_START = ("COVERAGE_", "LANG", "LC_", "LD_", "PYTHON")


class Forked:
    """A process as `subprocess.Popen` has it: as far as tests of the command need that."""

    def __init__(self, told: int) -> None:
        """Know a process by the pipe on which its pid comes, and its status when it ends."""
        self._told = os.fdopen(told, "rb", buffering=0)
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("mlflow-bridge", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(self._told.readline()))
            self._told.close()
        return self.returncode


class _Preparation:
    """The process that has imported what the command needs, and forks."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._environment = dict(os.environ)
        command = [sys.executable, "-P", __file__, str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=self._environment)
        theirs.close()

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a process with this environment would have started as this one did."""
        names = {*environment, *self._environment}
        return all(
            environment.get(name) == self._environment.get(name)
            for name in names
            if name.startswith(_READ_AT_START)
        )

    def start(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: int, err: int
    ) -> Forked:
        told, tells = os.pipe()
        try:
            order = {
                "arguments": [*map(str, arguments)],
                "folder": str(folder),
                "environment": dict(environment),
            }
            socket.send_fds(self._ours, [json.dumps(order).encode()], [tells, out, err])
        finally:
            os.close(tells)
        return Forked(told)


_prepared: list[_Preparation] = []


def start_prepared(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: int, err: int
) -> Forked | None:
    """Start ``mlflow-bridge`` with ``arguments``; None where only a fresh Python is right.

    Args:
        arguments: those after the command's name.
        folder: where it works.
        environment: all of its variables.
        out: the file descriptor that is its stdout.
        err: the file descriptor that is its stderr.
    """
    if not _prepared:
        _prepared.append(_Preparation())
    (preparation,) = _prepared
    return (
        preparation.start(arguments, folder, environment, out, err) if preparation.fits(environment) else None
    )


def _serve(orders: socket.socket) -> None:
    """Fork for each order; return in the process that is to be the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, _LONGEST, 3)
        if not order:
            sys.exit()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            orders.close()
            _watch(*descriptors)
            _become(json.loads(order))
            return
        for one in descriptors:
            os.close(one)


def _watch(tells: int, out: int, err: int) -> None:
    """Fork once more, tell how that process ends, and end; return in that process."""
    pid = os.fork()
    if pid:
        os.write(tells, f"{pid}\n".encode())
        for one in (out, err):
            os.close(one)
        _, status = os.waitpid(pid, 0)
        os.write(tells, f"{status}\n".encode())
        os._exit(0)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for one, known_as in ((nowhere, 0), (out, 1), (err, 2)):
        os.dup2(one, known_as)
        os.close(one)
    os.close(tells)


def _become(order: Mapping) -> None:
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    faulthandler.enable()
    sys.argv = ["mlflow-bridge", *order["arguments"]]


def _prepare() -> None:
    from mlflow.utils import credentials, rest_utils  # noqa: F401

    import bridge.cli.command_group
    import bridge.cli.commands.once
    import bridge.daemon.main_loop  # noqa: F401

    assert threading.active_count() == 1, threading.enumerate()
    gc.freeze()


if __name__ == "__main__":
    _prepare()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    from bridge.cli import main

    main()
