"""A night at the bridge, for the status page: what an operator finds at three in the morning."""

from dataclasses import replace

from bridge.config.file_loading import build
from bridge.daemon.status_page_snapshot import take_snapshot
from bridge.delivery.outbox_entry import Entry, Status
from bridge.delivery.sink_state import OPENS_AT, RUNNING, paused
from bridge.diff.registry_abilities import Abilities
from bridge.diff.registry_changes import ChangeKind
from bridge.events.event import Event
from bridge.server.health_probes import Probes
from bridge.server.page.status_page_data import View
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.poll_commit import PollCommit
from bridge.store.state_metadata import PollRecord, ReconcileRecord
from support.clock import HandClock
from support.done import done
from support.values import head, onto

NOW = 1_795_489_331_000  # 2026-11-24 03:02:11Z
MINUTE = 60_000
GITHUB_RUN = "https://github.com/acme/deploy/actions/runs/19583214477"

SETTINGS_OF_THE_STORY = {
    "registry": {"tracking_uri": "https://mlflow.acme.internal"},
    "sinks": [
        {"name": "ci", "type": "http", "url": "https://ci.acme.internal/hooks/mlflow", "signature": "none"},
        {
            "name": "deploy",
            "type": "github_dispatch",
            "repository": "acme/deploy",
            "event_type": "model_promoted",
            "token": {"env": "GITHUB_TOKEN"},
        },
        {"name": "governance", "type": "http", "url": "https://audit.acme.internal/in", "signature": "none"},
    ],
}


class Story:
    """A state in memory with a past, and the daemon's view of it; ``well`` is one where nothing is wrong."""

    def __init__(self, *, well: bool = False) -> None:
        self.settings = build(SETTINGS_OF_THE_STORY, SETTINGS)
        self.state = DocumentState(MemoryDocuments())
        self.clock = HandClock(wall_ms=NOW)
        self.probes = Probes(self.clock, 120.0, next_poll_in_s=lambda: 18.0)
        self._number = 0
        self._tell(well=well)

    def view(self) -> View:
        return take_snapshot(self.settings, self.state, self.probes)

    def happen(
        self, minutes_ago: int, model: str, version: str | None, kind: ChangeKind, **changed
    ) -> list[Entry]:
        """Have something observed so long ago; return its entries, one a sink."""
        self._number += 1
        at = NOW - minutes_ago * MINUTE
        lane = changed.pop("lane", model)
        event = Event(f"event-{self._number}", kind, at, at, lane, model, version, None, changed)
        commit = PollCommit(
            head=head(uri="https://mlflow.acme.internal"),
            record=PollRecord(at, "ok", at, 41, 214, 1893, 1, kind="fast"),
            removed=(),
            models={},
            events=[event],
            routed=[_routed(event, sink.name) for sink in self.settings.sinks],
            at=at,
            reconciled=ReconcileRecord(NOW - 6 * MINUTE, 3_140, went_well=True),
            abilities=Abilities("3.17.2"),
        )
        return done(self.state.commit_poll(onto(self.state, commit)))

    def moved(self, minutes_ago: int, model: str, version: str, before: str, after: str) -> list[Entry]:
        return self.happen(
            minutes_ago, model, version, ChangeKind.TRANSITIONED, to_stage=after, from_stage=before
        )

    def delivered(self, *entries: Entry, link: str = "") -> None:
        self._settle(
            *entries, status=Status.DELIVERED, reason="ok", http_status=204, duration_ms=48, link=link
        )

    def _settle(self, *entries: Entry, **outcome) -> None:
        for one in entries:
            at = outcome.get("last_attempt_at", one.created_at + 1_200)
            values = {"attempts": one.attempts + 1, "first_attempt_at": at, "last_attempt_at": at, **outcome}
            done(self.state.settle([replace(self.state.entry(one.id) or one, **values)]))

    def failed(self, entry: Entry, detail: str, minutes_ago: int, **outcome) -> None:
        before = self.state.entry(entry.id) or entry
        at = NOW - minutes_ago * MINUTE
        values = {"reason": "connect", "detail": detail, "wait_ms": 10 * MINUTE, "duration_ms": 31, **outcome}
        self._settle(before, last_attempt_at=at, **values)

    def _tell(self, *, well: bool) -> None:
        ci, deploy, governance = self.moved(610, "churn", "12", "None", "Staging")
        self.delivered(ci, governance)
        self.delivered(deploy, link=GITHUB_RUN)
        for version, before, after in (("12", "Production", "Archived"), ("13", "Staging", "Production")):
            ci, deploy, governance = self.moved(333, "churn", version, before, after)
            self.delivered(ci, governance)
            self.delivered(deploy, link=GITHUB_RUN)
        self.delivered(*self.happen(95, "price-elasticity", "4", ChangeKind.VERSION_CREATED))
        ci, deploy, governance = self.moved(61, "fraud-detector", "7", "Staging", "Production")
        self.delivered(ci)
        self.delivered(deploy, link=GITHUB_RUN)
        if well:
            self.delivered(governance)
        else:
            refused = 'HTTP 422: {"error": "risk_class is required for Production"}'
            self.failed(
                governance, refused, 60, status=Status.DEAD, reason="refused", http_status=422, wait_ms=0
            )
        later = self.happen(
            44, "fraud-detector", "7", ChangeKind.ALIAS_SET, alias="champion", previous_version="6"
        )
        last = self.moved(34, "support-triage", "3", "None", "Staging")
        for ci, deploy, governance in (later, last):
            self.delivered(deploy, link=GITHUB_RUN)
            self.delivered(governance)
            if well:
                self.delivered(ci)
            else:
                for minutes in (33, 21, 9):
                    self.failed(ci, "connection refused: ci.acme.internal port 443", minutes)
        self._end(well=well)

    def _end(self, *, well: bool) -> None:
        if not well:
            lanes = tuple(f"lane-{n}" for n in range(OPENS_AT))
            failing = replace(
                RUNNING, failing=lanes, failures=3, rested_at=NOW - 9 * MINUTE, rest_ms=10 * MINUTE
            )
            done(self.state.settle([], {"ci": failing}))
        record = self.state.last_poll
        done(self.state.record_poll(replace(record, attempted_at=NOW - 12_000, succeeded_at=NOW - 12_000)))

    def pause(self, sink: str, minutes_ago: int) -> None:
        done(self.state.settle([], {sink: paused(RUNNING, NOW - minutes_ago * MINUTE)}))


def _routed(event: Event, sink: str):
    from bridge.delivery.event_routing import Routed

    return Routed(event, sink, event.type.value)
