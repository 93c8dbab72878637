"""The store under what machines do to it: real kills of a real writer, and a disk that fills up."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest

from bridge.store.tinydb_store import TinyDocuments

KILLS = 40

WRITER = """
import sys
from pathlib import Path
from bridge.store.tinydb_store import TinyDocuments

documents = TinyDocuments.open(Path(sys.argv[1]))
number = (documents.get("meta", "last") or {"n": 0})["n"]
while True:
    number += 1
    half = {"n": number, "padding": "x" * (number * 37 % 5000)}
    documents.write({"meta": {"last": {"n": number}}, "a": {str(number % 50): half}, "b": {str(number): half,
                      str(number - 30): None}})
    print(number, flush=True)
"""


def writer(folder) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def check(folder, acknowledged: int) -> int:
    """Open the state as its next owner does; return the last commit in it, which is whole."""
    documents = TinyDocuments.open(folder)
    try:
        last = (documents.get("meta", "last") or {"n": 0})["n"]
        assert acknowledged <= last <= acknowledged + 1
        for number in range(max(1, last - 29), last + 1):
            assert documents.get("b", str(number))["n"] == number
            assert documents.get("a", str(number % 50))["n"] == number
        assert documents.count("b") == min(last, 30)
        return last
    finally:
        documents.close()


def test_killed_at_random_instants_it_opens_with_every_acknowledged_commit(tmp_path) -> None:
    chance = random.Random(7)  # noqa: S311 - a seed that can be replayed
    last = 0
    for _ in range(KILLS):
        process = writer(tmp_path / "state")
        assert process.stdout.readline(), process.stderr.read()
        time.sleep(chance.random() * 0.12)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()  # communicate() leaves out what readline() has read ahead
        process.communicate()
        acknowledged = int(rest[-1]) if rest else last + 1
        last = check(tmp_path / "state", max(acknowledged, last + 1))
    assert last > KILLS


FULL = """
import json, resource, signal, sys
from pathlib import Path
from bridge.errors import StateUnwritable
from bridge.store.tinydb_store import TinyDocuments

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, spare = Path(sys.argv[1]), int(sys.argv[2])
documents = TinyDocuments.open(folder)
done, failed = [], []
for number in range(30):
    size = (folder / "journal").stat().st_size
    limit = size + spare if 10 <= number < 20 else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        documents.write({"t": {str(number): {"n": number, "text": "x" * 300}}, "u": {"last": {"n": number}}})
        done.append(number)
    except StateUnwritable:
        failed.append(number)
    assert documents.get("u", "last")["n"] == done[-1]
print(json.dumps([done, failed]))
"""


@pytest.mark.parametrize("spare", [0, 1, 8, 9, 50, 300, 350])
def test_space_that_runs_out_in_the_middle_of_a_record_and_comes_back_costs_nothing(tmp_path, spare) -> None:
    folder = tmp_path / "state"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), str(spare)], capture_output=True, text=True, check=True
    )
    acknowledged, refused = json.loads(done.stdout)

    documents = TinyDocuments.open(folder)
    kept = sorted(int(key) for key, _ in documents.items("t"))
    last = documents.get("u", "last")["n"]
    documents.close()
    assert (kept, last) == (acknowledged, 29)
    assert refused == list(range(10, 20))


def test_a_reader_beside_a_busy_writer_always_sees_a_whole_state(tmp_path) -> None:
    folder = tmp_path / "state"
    process = writer(folder)
    process.stdout.readline()
    seen = 0
    try:
        for _ in range(200):
            documents = TinyDocuments.read(folder)
            last = documents.get("meta", "last")["n"]
            assert last >= seen
            assert documents.get("b", str(last))["n"] == last
            seen = last
    finally:
        process.kill()
        process.communicate()
    assert seen > 1
