"""Backups as docs/operations.md says: a copy of the journal while the bridge runs, restored elsewhere."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.command import Bridge, http_sink, only, stop
from support.pages import blocks
from support.receiver import Answer
from support.until import wait_until

from bridge.store.tinydb_store import TinyDocuments

ROOT = Path(__file__).parents[2]
COPIES, MOST_COPIES = 20, 500

pytestmark = pytest.mark.filterwarnings("ignore")


def back_up(folder: Path) -> Path:
    """Copy the journal by the very command of the page; return the copy."""
    (command,) = [
        block.text for block in blocks(ROOT / "docs" / "operations.md") if "journal.copying" in block.text
    ]
    (folder / "backup").mkdir(exist_ok=True)
    subprocess.run(["/bin/sh", "-ec", command], cwd=folder, check=True)
    return folder / "backup" / "journal"


def restore(copy: Path, bridge: Bridge) -> None:
    (bridge.folder / "state").mkdir(mode=0o700)
    (bridge.folder / "state" / "journal").write_bytes(copy.read_bytes())


def test_a_backup_restored_elsewhere_loses_no_event_and_repeats_one_under_its_own_id_only(
    tmp_path, server, client, model, receiver
) -> None:
    """One had been delivered before the backup, one waited in it, one was observed after it, one after all."""
    sink = http_sink(receiver.url, more=f'{only(model)}\nfirst_retry = "100ms"\nlongest_retry = "100ms"')
    here, there = (Bridge(tmp_path / name, server.url, sink) for name in "ab")
    with here.running() as daemon:
        here.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, "1", "Staging")
        here.wait_for_log("delivery.delivered")
        receiver.answer = Answer(503)
        client.transition_model_version_stage(model, "1", "Production")
        here.wait_for_log("delivery.retry")
        copy = back_up(here.folder)
        receiver.answer = Answer()
        here.wait_for_log("delivery.delivered", 2)
        client.transition_model_version_stage(model, "1", "Archived")
        here.wait_for_log("delivery.delivered", 3)
        assert stop(daemon) == 0
    ids = {got.body["to_stage"]: got.delivery_id for got in receiver.got}
    receiver.got.clear()
    restore(copy, there)
    again = there.run("once")
    client.transition_model_version_stage(model, "1", "None")
    new = there.run("once")

    assert (again.returncode, new.returncode) == (0, 0), again.stderr + new.stderr
    assert [got.body["to_stage"] for got in receiver.got] == ["Production", "Archived", "None"]
    *repeated, last = [got.delivery_id for got in receiver.got]
    assert repeated == [ids["Production"], ids["Archived"]]
    assert last not in ids.values()


WRITER = """
import sys
from pathlib import Path
from bridge.store.tinydb_store import TinyDocuments

documents, number = TinyDocuments.open(Path("state")), 0
while True:
    number += 1
    documents.write({"meta": {"last": {"n": number}}, "a": {str(number % 50): {"n": number, "more": "x" * 20_000}}})
"""


def test_every_copy_taken_while_a_process_writes_opens_as_the_state_of_an_instant_between(tmp_path) -> None:
    """The journal is written anew meanwhile: what is copied is the old one or the new one."""
    journal = tmp_path / "state" / "journal"
    with subprocess.Popen([sys.executable, "-c", WRITER], cwd=tmp_path) as writer:
        try:
            wait_until(lambda: journal.exists() and journal.stat().st_size > 100_000)
            sizes = [journal.stat().st_size]
            while len(sizes) < COPIES or sizes == sorted(sizes):
                copy_opens(tmp_path, tmp_path / f"there-{len(sizes)}")
                sizes.append(journal.stat().st_size)
                assert len(sizes) < MOST_COPIES, "the journal was never written anew"
                assert writer.poll() is None
        finally:
            writer.kill()


def copy_opens(folder: Path, there: Path) -> None:
    before = last_commit(TinyDocuments.read(folder / "state"))
    copy = back_up(folder)
    after = last_commit(TinyDocuments.read(folder / "state"))
    there.mkdir()
    copy.rename(there / "journal")

    assert before <= last_commit(TinyDocuments.open(there)) <= after


def last_commit(documents: TinyDocuments) -> int:
    """Return the number of the last commit, which is whole."""
    try:
        last = documents.get("meta", "last")["n"]
        for number in range(max(1, last - 49), last + 1):
            assert documents.get("a", str(number % 50))["n"] == number
        return last
    finally:
        documents.close()
