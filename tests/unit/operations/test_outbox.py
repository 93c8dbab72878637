"""Operators' changes that are made in parts."""

import pytest

from bridge.errors import StateUnwritable
from bridge.operations import outbox


def test_what_breaks_off_says_how_much_of_it_was_done(monkeypatch) -> None:
    made: list[int] = []

    def carry_out(_settings, _name, arguments):
        if made:
            msg = "the disk is full"
            raise StateUnwritable(msg)
        made.extend(arguments["entries"])
        return {"entries": arguments["entries"]}

    monkeypatch.setattr(outbox, "_carry_out", carry_out)

    with pytest.raises(StateUnwritable, match=r"the disk is full .after 5000 of 5001 had been done: redrive"):
        outbox.redrive(None, list(range(5_001)))
