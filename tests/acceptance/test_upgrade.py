"""States as earlier versions wrote them, really (`support/write_states.py`): each opens, and nothing is lost."""

import json
import shutil
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.cli import CommandLine
from support.clock import HandClock
from support.receiver import Receiver
from support.registry import FakeRegistry

from bridge import app
from bridge.config import PollSettings
from bridge.delivery.event_routing import Route
from bridge.diff.registry_changes import ChangeKind
from bridge.diff.snapshot import ModelVersion, RegisteredModel, pairs
from bridge.pipeline.clocks import SystemClock
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.metrics_observer import NullObserver
from bridge.pipeline.poll import Poll
from bridge.store.document_state import DocumentState
from bridge.store.journal_records import FORMAT, Record, encode
from bridge.store.state_metadata import Binding
from bridge.store.tinydb_store import TinyDocuments

STATES = Path(__file__).parents[1] / "states"
ERAS = sorted(about.parent for about in STATES.glob("*/*/about.json"))
HOUR_MS = 3_600_000

pytestmark = pytest.mark.filterwarnings("ignore")


@dataclass
class Era:
    """A copy of a state that an earlier version wrote, and what it should hold."""

    folder: Path
    about: dict

    @property
    def sent(self) -> list[dict]:
        """What had been sent to the one sink that took it: id and body, in order."""
        return self.about["sent"]

    @property
    def ids(self) -> list[str]:
        return [one["id"] for one in self.sent]

    @property
    def models(self) -> dict[str, RegisteredModel]:
        return {name: _model(name, facts) for name, facts in self.about["models"].items()}

    def now_ms(self) -> int:
        """An hour after it was written."""
        return max(model.updated for model in self.models.values()) + HOUR_MS


def _model(name: str, facts: dict) -> RegisteredModel:
    versions = {
        number: ModelVersion(
            number,
            one["created"],
            one["updated"],
            one["stage"],
            description=one["description"],
            tags=pairs(one["tags"]),
        )
        for number, one in facts["versions"].items()
    }
    return RegisteredModel(
        name,
        facts["created"],
        facts["updated"],
        facts["description"],
        pairs(facts["tags"]),
        pairs(facts["aliases"]),
        versions,
    )


@pytest.fixture(params=ERAS, ids=lambda one: f"{one.parent.name}/{one.name}")
def era(request, tmp_path) -> Era:
    shutil.copytree(request.param, tmp_path / "state")
    return Era(tmp_path / "state", json.loads((request.param / "about.json").read_text()))


@pytest.fixture
def command(era, monkeypatch, capsys) -> CommandLine:
    """The command line over that state, an hour after it was written."""
    ahead_ms = era.now_ms() - SystemClock().now_ms()

    class Then(SystemClock):
        def now_ms(self) -> int:
            return super().now_ms() + ahead_ms

    monkeypatch.setattr(app, "SystemClock", Then)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return CommandLine(era.folder.parent, monkeypatch, capsys)


def sinks(url: str) -> list[str]:
    return [
        f'[[sinks]]\nname = "{name}"\ntype = "http"\nurl = "{url}/{name}"\n'
        f"events = {json.dumps([kind.value for kind in ChangeKind])}"
        for name in ("takes", "refuses", "down")
    ]


def test_every_format_there_ever_was_is_here() -> None:
    assert {era.parent.name for era in ERAS} == {f"format-{number}" for number in range(1, FORMAT + 1)}


def test_what_was_pending_is_delivered_with_its_id_and_in_order(era, command) -> None:
    receiver = Receiver()
    command.configure(*sinks(receiver.url), registry=era.about["registry"])
    done = command.run("once")  # there is no registry there; what waits is delivered all the same
    receiver.stop()

    assert done.code == 69, done.err
    assert {got.path for got in receiver.got} == {"/down"}
    assert by_model([(got.delivery_id, got.body) for got in receiver.got]) == by_model(
        [(one["id"], one["body"]) for one in era.sent]
    )


def by_model(sent: list[tuple[str, dict]]) -> dict[str, list]:
    """Return what was sent of each model, in its order; but for what tells one sink from another."""
    found = defaultdict(list)
    for number, body in sent:
        found[body["model_name"]].append((number, {**body, "webhook_id": None}))
    return found


def test_commands_show_all_of_it_and_dead_letters_are_sent_again(era, command) -> None:
    receiver = Receiver()
    command.configure(*sinks(receiver.url), registry=era.about["registry"])
    status = json.loads(command.run("status", "--output", "json").out)
    events = json.loads(command.run("events", "list", "--output", "json").out)
    shown = [command.run("events", "show", number) for number in era.ids]
    outbox = [command.run("outbox", "show", str(entry.id)) for entry in command.entries()]
    redriven = command.run("outbox", "redrive", "--sink", "refuses", "--yes")
    command.run("once")
    receiver.stop()

    backlog = {sink["name"]: (sink["pending"], sink["dead"], sink["delivered"]) for sink in status["sinks"]}
    count = len(era.ids)
    assert count >= 5
    assert backlog == {"takes": (0, 0, count), "refuses": (0, count, 0), "down": (count, 0, 0)}
    assert status["registry"]["fingerprint"] == era.about["fingerprint"]
    assert {event["id"] for event in events["events"]} >= set(era.ids)
    assert {done.code for done in [*shown, *outbox, redriven]} == {0}
    assert {got.delivery_id for got in receiver.got if got.path == "/refuses"} == set(era.ids)


async def test_the_next_poll_invents_nothing_and_goes_on_with_new_ids(era) -> None:
    registry = FakeRegistry(dict(era.models), print=era.about["fingerprint"])
    state = DocumentState(TinyDocuments.open(era.folder))
    routes = [Route("takes", tuple(kind.value for kind in ChangeKind))]
    binding = Binding(era.about["registry"])
    poll = Poll(registry, state, routes, PollSettings(), binding, HandClock(era.now_ms()), NullObserver())
    nothing = await poll.run(Read.FULL)
    registry.move("fraud-detector", "1", "Archived", era.now_ms())
    registry.put(replace(registry.models["rests"], description="new"))
    something = await poll.run(Read.FULL)
    state.close()

    assert (nothing.entries, nothing.held) == ([], None)
    (archived,) = [one for one in something.entries if one.event_name == "MODEL_VERSION_TRANSITIONED_STAGE"]
    assert archived.event_id not in era.ids
    assert len(something.entries) == 2


@pytest.mark.parametrize("name", ["once", "run", "status", "diff"])
def test_a_newer_format_is_refused_with_the_mend(tmp_path, monkeypatch, capsys, name) -> None:
    command = CommandLine(tmp_path, monkeypatch, capsys)
    (tmp_path / "state").mkdir()
    newer = encode(Record(0, format=FORMAT + 1))
    (tmp_path / "state" / "journal").write_bytes(newer)
    done = command.run(name)

    assert (done.code, "use the version that wrote it, or a later one" in done.err) == (78, True)
    assert (tmp_path / "state" / "journal").read_bytes() == newer
