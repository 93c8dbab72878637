"""Start the bridge with faults planted in the system calls by which its state becomes durable.

    FAULTS='{"kill": ["pwrite", "half", 7]}' python launcher.py run --config config.toml

Faults, each of them optional:
- ``kill``: at which call (its name and number since the start) the process kills itself, and how far it
  gets: ``before`` or ``after`` the call; ``half`` or ``zeros``: with half of the data written, or
  all of its room taken but half of it blank, as a power cut leaves what was not yet flushed;
- ``holding``: only calls that write a record with this in it, or make it durable, are counted;
- ``full``: from when to when, in seconds, files can't grow by more than so many bytes;
- ``no_space``: from which pwrite to which the disk is full, after half of the data;
- ``flush_fails``: the number of the fdatasync that fails;
- ``tight``: the journal is compacted every few commits, in a thread once it has 16 kB;
- ``names``: from when to when, in seconds, look-ups of names under ``storm.test`` hang, and then fail.
  Else these names have the address of this machine.

Nothing in the bridge knows of this: the calls are wrapped before it is imported.
"""

import errno
import faulthandler
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from threading import Thread

CALLS = ("pwrite", "fdatasync", "fsync", "rename", "ftruncate")
"""The calls that change a state, or make it durable."""


def die(call: str, how: str, faults: Mapping) -> None:
    """End as a kill from outside does, and say why on the way."""
    told = {"event": "chaos.killed", "call": call, "how": how, "holding": faults.get("holding", "")}
    os.write(2, json.dumps(told).encode() + b"\n")
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def plant(faults: Mapping) -> None:
    """Wrap the calls."""
    for name in CALLS:
        setattr(os, name, _counted(name, getattr(os, name), faults))


def _counted(name: str, real: Callable, faults: Mapping) -> Callable:
    call, how, fatal = faults.get("kill") or ("", "", 0)
    numbers, held = count(1), count(1)

    def counted(*arguments):
        _note(name, arguments)
        number = next(numbers)
        _fail(name, number, real, arguments, faults)
        if name != call or not _is_meant(faults) or next(held) != fatal:
            return real(*arguments)
        if how == "after":
            real(*arguments)
        elif how in {"half", "zeros"}:
            _write_half(real, *arguments, blank=how == "zeros")
        return die(name, how, faults)

    return counted


_written = [b""]
"""The record that was written last."""


def _note(name: str, arguments: tuple) -> None:
    if name == "pwrite":
        _written[0] = bytes(arguments[1])


def _is_meant(faults: Mapping) -> bool:
    return faults.get("holding", "").encode() in _written[0]


def _write_half(real: Callable, descriptor: int, data: bytes, offset: int, *, blank: bool = False) -> None:
    half = len(data) // 2
    real(descriptor, bytes(data[:half]) + bytes(len(data) - half if blank else 0), offset)


def _fail(name: str, number: int, real: Callable, arguments: tuple, faults: Mapping) -> None:
    """Fail as the machine does, where that is planned."""
    first, last = faults.get("no_space") or (0, -1)
    if name == "pwrite" and first <= number <= last:
        _write_half(real, *arguments)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if name == "fdatasync" and number == faults.get("flush_fails"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def fill_disk(journal: Path, since: float, until: float, spare: int) -> None:
    """Let no file grow past the journal's length for a while (Python ignores SIGXFSZ)."""
    time.sleep(since)
    size = journal.stat().st_size if journal.exists() else 0
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + spare, hard))
    time.sleep(until - since)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def resolve_names(since: float, until: float) -> None:
    """Resolve the storm's names, or hang as a resolver does whose name server is silent."""
    began, real = time.monotonic(), socket.getaddrinfo

    def resolved(host, *rest, **more):
        if not str(host).endswith(".storm.test"):
            return real(host, *rest, **more)
        if since <= time.monotonic() - began < until:
            time.sleep(until + began - time.monotonic())
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real("127.0.0.1", *rest, **more)

    socket.getaddrinfo = resolved


def main() -> None:
    """Plant the faults, then be the bridge."""
    faults = json.loads(os.environ["FAULTS"])
    faulthandler.register(signal.SIGUSR2)  # tells where every thread is, should one not end
    plant(faults)
    resolve_names(*faults.get("names", (0, 0)))
    if "full" in faults:
        Thread(target=fill_disk, args=(Path("state/journal"), *faults["full"]), daemon=True).start()

    from bridge.store import tinydb_journal_storage  # only now: it must meet the wrapped calls

    if faults.get("tight"):
        tinydb_journal_storage._SLACK_FACTOR, tinydb_journal_storage._SLACK_BYTES = 1, 4_096
        tinydb_journal_storage._LARGE_BYTES = 16_384  # smaller ones at once, larger ones in a thread

    from bridge.cli import main as bridge

    sys.argv[0] = "mlflow-bridge"
    bridge()


if __name__ == "__main__":
    main()
