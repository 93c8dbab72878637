"""The state, after a kill at every call by which a commit becomes durable."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.chaos import launcher
from support.chaos.schedule import POINTS

from bridge.store.tinydb_store import TinyDocuments

WRITER = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from launcher import plant
faults = json.loads(sys.argv[3])
plant(faults)
from bridge.errors import StateUnwritable
from bridge.store import tinydb_journal_storage
from bridge.store.tinydb_store import TinyDocuments
tinydb_journal_storage._SLACK_FACTOR, tinydb_journal_storage._SLACK_BYTES = 1, 400
tinydb_journal_storage._LARGE_BYTES = int(sys.argv[4])
documents = TinyDocuments.open(Path(sys.argv[1]))
number = (documents.get("meta", "last") or {"n": 0})["n"]
for number in range(number + 1, number + 500):
    try:
        documents.write({"meta": {"last": {"n": number}}, "rows": {str(number): {"n": number}}})
    except StateUnwritable:
        continue
    print(number, flush=True)
"""
BESIDE = Path(launcher.__file__).parent


def killed(folder: Path, faults: dict, large: int) -> list[int]:
    """Write until the fault kills the writer; return the commits that it was told are durable.

    A journal of ``large`` bytes is compacted in a thread.
    """
    command = [sys.executable, "-P", "-c", WRITER, str(folder), str(BESIDE), json.dumps(faults), str(large)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, (done.returncode, done.stderr)
    return [int(line) for line in done.stdout.split()]


@pytest.mark.parametrize("large", [1_000_000, 0], ids=["at once", "in a thread"])
@pytest.mark.parametrize(("call", "how"), POINTS)
def test_killed_there_again_and_again_every_acknowledged_commit_is_kept(tmp_path, call, how, large) -> None:
    folder, acknowledged = tmp_path / "state", set()
    for kills, number in enumerate((1, 2, 4), start=1):
        faults = {"kill": [call, how, number]}
        if call == "ftruncate":
            faults["no_space"] = [2, 12]
        acknowledged |= set(killed(folder, faults, large))
        documents = TinyDocuments.open(folder)
        kept = {int(key) for key, _ in documents.items("rows")}
        documents.close()
        assert acknowledged <= kept
        assert len(kept - acknowledged) <= kills  # what was under way at each
    assert acknowledged
