"""Values that many tests need."""

from dataclasses import replace

from bridge.delivery.event_routing import Routed
from bridge.delivery.outbox_entry import Entry
from bridge.diff.registry_changes import ChangeKind
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.events.event import Event
from bridge.events.event_synthesis import Identity
from bridge.governance.transition_request import TransitionRequest
from bridge.governance.transition_target import Target
from bridge.store.document_state import DocumentState
from bridge.store.poll_commit import PollCommit
from bridge.store.state_metadata import Head, PollRecord

STATE_ID = "00000000-0000-0000-0000-000000000001"


def transition(number: int = 1, model: str = "m", **fields) -> Event:
    values = {
        "id": f"event-{number}",
        "type": ChangeKind.TRANSITIONED,
        "timestamp": 1_000,
        "observed_at": 2_000,
        "lane": model,
        "model_name": model,
        "model_version": "1",
        "user_id": None,
        "changed": {"to_stage": "Production", "from_stage": "Staging"},
    }
    return Event(**{**values, **fields})


def entry(number: int = 1, sink: str = "ci", lane: str = "m", **fields) -> Entry:
    return Entry(number, sink, lane, f"event-{number}", "MODEL_VERSION_TRANSITIONED_STAGE", 2_000, **fields)


def model(name: str = "m", stage: str = "None", versions: int = 1, **fields) -> RegisteredModel:
    owned = {str(n): ModelVersion(str(n), 100 + n, 200 + n, stage=stage) for n in range(1, versions + 1)}
    return RegisteredModel(name, 100, 200, versions=owned, **fields)


def request(identity: str = "tr_1", **fields) -> TransitionRequest:
    values = {
        "model_name": "m",
        "version": "1",
        "lane": "m",
        "version_created": 101,
        "target": Target("Staging"),
        "before": "None",
        "creator": "ann",
        "comment": "please",
        "archives": False,
        "created_at": 2_000,
        "updated_at": 2_000,
        "expires_at": 2_000 + 7 * 86_400_000,
    }
    return TransitionRequest(identity, **{**values, **fields})


def head(**fields) -> Head:
    return Head(**{"state_id": STATE_ID, "baseline_at": 1, "uri": "http://registry", **fields})


def onto(state: DocumentState, made: PollCommit) -> PollCommit:
    """Return ``made`` as a poll would make it that began from what ``state`` is now."""
    revision = state.head.revision if state.head else 0
    return replace(made, head=replace(made.head, revision=revision))


def commit(*events: Event, sinks=("ci",), models=(), removed=(), at: int = 2_000, **fields) -> PollCommit:
    return PollCommit(
        head=head(**fields),
        record=PollRecord(at, "ok", at),
        removed=tuple(removed),
        models={one.name: (one, Identity(one.name, 0)) for one in models},
        events=events,
        routed=[Routed(event, sink, event.type.value) for event in events for sink in sinks],
        at=at,
    )
