"""The command line in this process, over a state that the test wrote."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.delivery.webhook import Webhook
from bridge.governance.transition_request import TransitionRequest
from bridge.store.base import GovernanceCommit
from bridge.store.document_state import DocumentState
from bridge.store.poll_commit import PollCommit
from bridge.store.tinydb_store import TinyDocuments
from support.done import done
from support.values import onto


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


class CommandLine:
    """A configuration in a folder, and the commands run on it; ``registry`` is where its state is from."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.configure()

    def configure(self, *sinks: str, registry: str = "http://registry") -> None:
        parts = [f'[registry]\ntracking_uri = "{registry}"', '[state]\nurl = "tinydb:./state"', *sinks]
        (self.folder / "config.toml").write_text("\n".join(parts))

    def commit(self, *commits: PollCommit) -> list:
        state = DocumentState(TinyDocuments.open(self.folder / "state"))
        entries = [entry for one in commits for entry in done(state.commit_poll(onto(state, one)))]
        state.close()
        return entries

    def keep(self, *webhooks: Webhook) -> None:
        state = DocumentState(TinyDocuments.open(self.folder / "state"))
        done(state.keep_webhooks(webhooks, []))
        state.close()

    def ask(self, *requests: TransitionRequest) -> None:
        state = DocumentState(TinyDocuments.open(self.folder / "state"))
        done(state.commit_governance(GovernanceCommit(2_000, requests)))
        state.close()

    def settle(self, entries: Iterable) -> None:
        state = DocumentState(TinyDocuments.open(self.folder / "state"))
        done(state.settle(list(entries)))
        state.close()

    def entries(self) -> list:
        state = DocumentState(TinyDocuments.read(self.folder / "state"))
        found = list(state.entries())
        state.close()
        return found

    def run(self, *arguments: str) -> Done:
        config = str(self.folder / "config.toml")
        self._monkeypatch.setattr(sys, "argv", ["mlflow-bridge", *arguments, "--config", config])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = self._capsys.readouterr()
        return Done(int(exit_.value.code), captured.out, captured.err)
