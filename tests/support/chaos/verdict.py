"""What a storm came to: the evidence of it, and the judgement."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge.errors import StateError
from bridge.events.event import Event
from bridge.governance.transition_request import TransitionRequest
from bridge.store.document_state import DocumentState
from bridge.store.tinydb_store import TinyDocuments
from support import promotions
from support.chaos import hooks, judge
from support.chaos.churn import Churn
from support.chaos.daemon import instant_of, log_lines
from support.chaos.hooks import Told
from support.chaos.judge import Due, Noted, Request
from support.chaos.sinks import SECRET, SINKS
from support.chaos.storm import Measure, Storm
from support.fidelity import Delivered, Models, replay
from support.history import History
from support.mlflow_server import MlflowServer
from support.trial import read_registry, recorded_events


@dataclass(frozen=True)
class Evidence:
    """What everybody wrote down: receivers, the state, the daemon, and the registry."""

    requests: Sequence[Request]
    events: Mapping[str, Event]
    due: Sequence[Due]
    noted: Sequence[Noted]
    baseline: Models
    final: Models
    history: History
    unreadable: Sequence[str] = ()
    told: Mapping[str, Told] = field(default_factory=dict)
    stored: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    decided: Sequence[TransitionRequest] = ()


@dataclass(frozen=True)
class Verdict:
    """The evidence, what is wrong with it (told under what it is a case of), and how the storm was."""

    evidence: Evidence
    storm: Storm
    mutations: int
    last_recovery: float
    seconds: float

    @property
    def faults(self) -> dict[str, Sequence[str]]:
        return {"a life went wrong": self.storm.faults, **faults_of(self.evidence)}

    @property
    def all_faults(self) -> list[str]:
        return [f"{kind}: {fault}" for kind, faults in self.faults.items() for fault in faults]

    @property
    def answers(self) -> Counter[str]:
        """How the receivers answered, or didn't."""
        return Counter(one.does for one in self.evidence.requests)


def trial(
    folder: Path,
    server: MlflowServer,
    seed: int,
    churn: Churn,
    measure: Measure,
    plug_in_port: int | None = None,
) -> Verdict:
    """Let a storm rage over the registry at ``server`` while ``churn`` changes it; then judge."""
    churn.prepare()
    storm = Storm(folder, server, seed, churn, restarts=measure.restarts, plug_in_port=plug_in_port)
    began = time.monotonic()
    try:
        storm.begin()
        baseline = read_registry(server.url)
        storm.rage(measure)
        last_recovery = storm.calm()
    finally:
        storm.stop()
    seconds = time.monotonic() - began
    evidence = _evidence(storm, baseline, read_registry(server.url), History(churn.effects))
    return Verdict(evidence, storm, churn.mutations, last_recovery, seconds)


def _evidence(storm: Storm, baseline: Models, final: Models, history: History) -> Evidence:
    events: Mapping[str, Event] = {}
    due, unreadable, stored, decided = [], [], {}, []
    try:
        events, due = recorded_events(storm.folder / "state"), _due(storm.folder / "state")
        state = DocumentState(TinyDocuments.read(storm.folder / "state"))
        stored = {one.id: one.description for one in state.webhooks()}
        decided = list(state.requests())
    except StateError as error:
        unreadable.append(str(error))
    requests = storm.receivers.requests()
    return Evidence(
        requests,
        events,
        due,
        _noted(storm.logs),
        baseline,
        final,
        history,
        unreadable,
        storm.hooks.told,
        stored,
        storm.promotions.told,
        decided,
    )


def _due(folder: Path) -> list[Due]:
    """Return what the state says has to come, or had to."""
    entries = DocumentState(TinyDocuments.read(folder)).entries()
    return [Due(entry.sink, entry.event_id, entry.lane, entry.id) for entry in entries]


def _noted(logs: Sequence[Path]) -> list[Noted]:
    """Return what the daemon said it had noted as delivered; it says so after the commit."""
    return [
        Noted(line["sink"], line["event_id"], instant_of(line))
        for log in logs
        for line in log_lines(log)
        if line["event"] == "delivery.delivered"
    ]


def faults_of(evidence: Evidence) -> dict[str, Sequence[str]]:
    """Return all that is wrong; with a state that nobody can read, nothing else can be said."""
    if evidence.unreadable:
        return {"unreadable state": evidence.unreadable}
    requests, due = evidence.requests, evidence.due
    told = evidence.told
    # Of a governed model, what a gate refused comes to nobody; the replay says whether the rest came.
    free = {
        key: event
        for key, event in evidence.events.items()
        if not event.model_name.startswith(promotions.PREFIX)
    }
    wanted = [
        *((sink.name, key) for key, event in free.items() for sink in SINKS if sink.wants(event)),
        *hooks.wanted_by(told, free),
    ]
    return {
        "unreadable state": (),
        "lost": judge.lost(requests, hooks.due_of(told, due), wanted),
        "out of order": judge.out_of_order(requests, due),
        "altered": judge.altered(requests, due),
        "forged": judge.forged(requests, SECRET),
        "carried over": judge.carried_over(requests),
        "forgotten": judge.forgotten(requests, evidence.noted),
        "unlike the registry": _replayed(evidence),
        "after a webhook's deletion": hooks.after_deletion(told, requests),
        "webhooks unlike what was acknowledged": hooks.unlike_told(told, evidence.stored),
        "told past the gate": promotions.told_past_the_gate(requests),
        "past the gate": promotions.past_the_gate(evidence.final),
        "requests unlike their decisions": promotions.unlike_decisions(
            evidence.asked, evidence.decided, requests
        ),
    }


def _replayed(evidence: Evidence) -> list[str]:
    """Apply what the sink that gets everything took to the baseline: it has to give the registry."""
    copied = [
        Delivered(one.id, evidence.events[one.id].lane, one.body, one.at)
        for one in judge.first_takes(evidence.requests, SINKS[0].name)
        if one.id in evidence.events and not one.body["model_name"].startswith(promotions.PREFIX)
    ]
    governed = judge.first_takes(evidence.requests, SINKS[0].name)
    return [
        *replay(
            promotions.free(evidence.baseline),
            copied,
            promotions.free(evidence.final),
            evidence.history.left_behind,
        ),
        *promotions.unlike_last_told(governed, evidence.final),
    ]
