"""A receiver that has been dead for days: what its backlog costs the process that waits for it.

    python benchmarks/backlog.py fill|reopen CONFIGURATION

Started by `relay.py`, each word's work in a process of its own: memory is measured.
"""

import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import outbox
from processes import cpu_seconds, memory_mb
from support.done import done
from workers import PYTHON

from bridge.app import wired
from bridge.delivery.outbox_entry import Entry
from bridge.store.journal import Journal
from bridge.store.tinydb_journal_storage import JournalDB, JournalStorage
from bridge.store.tinydb_store import JOURNAL

DEAD = "http://127.0.0.1:9/hook"
"""Nothing listens there."""

MODELS = 1_000
_AT_ONCE = 500
_DAYS_MS = 3 * 86_400_000
_PATIENCE_S = 120


def fill(config: Path, number: int) -> dict[str, float]:
    """Commit ``number`` events for the one sink; each lane's first was attempted for days."""
    models = [f"model-{n}" for n in range(MODELS)]
    heads: dict[str, Entry] = {}
    with outbox.opened(config) as (settings, state):
        for start in range(0, number, _AT_ONCE):
            some = [models[n % MODELS] for n in range(start, start + _AT_ONCE)]
            for entry in outbox.commit(state, settings, outbox.events(_AT_ONCE, some)):
                heads.setdefault(entry.lane, entry)
        done(state.settle([_attempted(entry) for entry in heads.values()]))
    return {"disk": _disk_mb(config)}


def _attempted(entry: Entry) -> Entry:
    now_ms = time.time_ns() // 1_000_000
    return replace(
        entry,
        attempts=400,
        first_attempt_at=now_ms - _DAYS_MS // 2,
        last_attempt_at=now_ms,
        wait_ms=random.randrange(600_000),
        reason="connect",
        detail="no connection: All connection attempts failed",
    )


def reopen(config: Path, number: int) -> dict[str, float]:
    """Time the start, then commits, a summary, and a compaction beside commits, with the longest stall of the event loop."""
    times: dict[str, float] = {}
    began = time.monotonic()
    with outbox.opened(config) as (settings, state):
        times["open"] = time.monotonic() - began

        async def load() -> int:
            async with wired(settings, state, outbox.counting(state)) as app:
                with timed(times, "load"):
                    await app.relay.load()
                return app.relay.waiting

        waiting = asyncio.run(load())
        if waiting != number:
            raise SystemExit(f"{waiting} entries wait, not {number}")
        times["resident"] = memory_mb()["now"]
        commits = []
        for n in range(50):
            began = time.monotonic()
            outbox.commit(state, settings, outbox.events(1, [f"model-{n}"]))
            commits.append(time.monotonic() - began)
        times["commit"], times["slowest"] = statistics.median(commits), max(commits)
        with timed(times, "summary"):
            state.summaries()
    with JournalDB(Journal(config.parent / "state" / JOURNAL), storage=JournalStorage) as database:
        storage = cast("JournalStorage", database.storage)
        began = time.monotonic()
        times["stall"] = asyncio.run(longest_stall(storage))
        times["compaction"] = time.monotonic() - began
    return times


async def longest_stall(storage: JournalStorage) -> float:
    """Compact, and commit every few milliseconds meanwhile; return how long the event loop stood still at most, s."""
    longest, number = 0.0, 0
    turned = time.monotonic()
    storage.begin_compaction()
    while number == 0 or storage.is_compacting:
        number += 1
        storage.append({"benchmark": {"n": {"number": number}}})
        await asyncio.sleep(0.002)
        now = time.monotonic()
        longest, turned = max(longest, now - turned), now
    return longest


@contextmanager
def timed(times: dict[str, float], what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    times[what] = time.monotonic() - began


def daemon(config: Path, wait_s: float) -> dict[str, float]:
    """Run the daemon for ``wait_s``; return what it holds, in MB, and the share of a core it takes."""
    log = config.with_name("log")
    began = time.monotonic()
    with log.open("wb") as stream:
        command = [PYTHON, "-m", "bridge", "--log-format", "json", "run", "--config", str(config)]
        process = subprocess.Popen(command, stderr=stream, env={**os.environ, outbox.SECRET: "secret"})
    try:
        while "daemon.started" not in log.read_text():
            if process.poll() is not None or time.monotonic() - began > _PATIENCE_S:
                raise SystemExit(f"the daemon did not start:\n{log.read_text()}")
            time.sleep(0.02)
        started = time.monotonic() - began
        time.sleep(wait_s / 2)
        busy = cpu_seconds([process.pid])
        time.sleep(wait_s / 2)
        share = (cpu_seconds([process.pid]) - busy) / (wait_s / 2)
        held = memory_mb(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    return {**held, "started": started, "share": share}


def _disk_mb(config: Path) -> float:
    return sum(path.stat().st_size for path in (config.parent / "state").iterdir()) / 1e6


def asked(word: str, config: Path, number: int) -> dict[str, float]:
    """Have a process of its own do it; return its figures."""
    command = [PYTHON, __file__, word, str(config), str(number)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main() -> None:
    os.environ[outbox.SECRET] = "secret"
    work: Any = {"fill": fill, "reopen": reopen}[sys.argv[1]]
    print(json.dumps(work(Path(sys.argv[2]), int(sys.argv[3]))))


if __name__ == "__main__":
    main()
