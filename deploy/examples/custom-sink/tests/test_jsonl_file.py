"""The contract that the bridge's own sinks are held to, and what is particular to this one."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from bridge.testing import SinkContract
from mlflow_bridge_jsonl.append import append


class TestJsonlFile(SinkContract):
    type = "jsonl_file"

    def settings(self, place):
        return {"file": f"{place}/events.jsonl"}

    def arrived(self, place):
        file = Path(place, "events.jsonl")
        return [json.loads(line)["delivery_id"] for line in file.open()] if file.exists() else []

    def break_down(self, place):
        Path(place, "events.jsonl").mkdir()

    def hang(self, place):
        self.held = os.open(f"{place}/events.jsonl", os.O_RDWR | os.O_CREAT)
        fcntl.flock(self.held, fcntl.LOCK_EX)


def test_a_line_that_a_crash_cut_off_swallows_none(tmp_path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b'{"half": ')

    append(str(file), b"{}", 1.0)

    assert file.read_bytes() == b'{"half": \n{}\n'


def test_a_full_disk_leaves_no_half_of_a_line(tmp_path, monkeypatch) -> None:
    file = tmp_path / "events.jsonl"
    append(str(file), b'{"whole": 1}', 1.0)
    real = os.write
    monkeypatch.setattr(os, "write", lambda opened, text: real(opened, text[:5]))

    with pytest.raises(OSError, match="No space left on device"):
        append(str(file), b'{"other": 2}', 1.0)

    assert file.read_bytes() == b'{"whole": 1}\n'
