"""One trial of fidelity: a workload, the daemon polling beside it, and the judgement."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from bridge.config import StateSettings
from bridge.diff.registry_changes import ChangeKind
from bridge.events.event import Event
from bridge.store.document_state import DocumentState
from bridge.store.document_store_protocol import Documents
from bridge.store.tinydb_store import TinyDocuments
from support import promotions
from support.chaos.judge import Request
from support.command import Bridge, stop
from support.fidelity import THERE, Delivered, Model, Models, judge_deliveries, replay
from support.governed import TOKENS
from support.history import History, judge_history
from support.mutations import Effect
from support.promotions import PromotionChurn
from support.receiver import Receiver, lasting_port
from support.workload import Workload

_PROMOTION_PAUSE_S = 0.3
_TOKEN = "t0ken-of-the-promotions"
_TOKENS = """[
{ name = "asker", token = { env = "ASKER" }, may = ["request"] },
{ name = "mlflow", token = { env = "OF_MLFLOW" }, may = ["read"], acts_for_users = true }]"""
_POLL = """
interval = "200ms"
reconcile_interval = "2s"
reconcile_share = {share}
max_events = 1000000
max_vanished = 1.0
"""


@dataclass(frozen=True)
class Verdict:
    """What a trial came to; without ``faults``, what was delivered is what happened."""

    faults: Sequence[str]
    outcomes: Counter[str]
    unsure: Sequence[str]
    events: Counter[str]
    repeats: int
    polls: Counter[str]
    failed_polls: int
    seconds: float

    @property
    def mutations(self) -> int:
        """How many mutations took effect."""
        return sum(self.outcomes.values()) - self.outcomes["refused"] - self.outcomes["unsure"]


def trial(
    folder: Path,
    url: str,
    workload: Workload,
    port: int | None = None,
    shared: StateSettings | None = None,
    share: float = 1.0,
) -> Verdict:
    """Let the daemon watch the registry at ``url`` while ``workload`` changes it; then judge.

    A server with the plug-in expects the bridge at ``port``. The state is in a folder, or in the database ``shared``.
    Scans have this ``share`` of the time: with little of it, most are model scans, as in a large registry.
    """
    receiver = Receiver()
    workload.prepare()
    promoting = PromotionChurn(url, workload.seed, port or lasting_port(), _TOKEN, _PROMOTION_PAUSE_S)
    promoting.prepare()
    bridge = Bridge(folder, url)
    server = f'[server]\nlisten = "127.0.0.1:{promoting.port}"\ntokens = {_TOKENS}\n'
    more = f"{server}{promotions.GATE}"
    bridge.write(url, _sink(receiver.url), poll=_POLL.format(share=share), more=more, state=_state_of(shared))
    bridge.environment |= {"ASKER": _TOKEN, "OF_MLFLOW": TOKENS["mlflow"]}
    bridge.log_level = "debug"  # else polls that find nothing are not told
    baseline = read_registry(url)
    try:
        with bridge.running() as daemon:
            bridge.wait_for_log("baseline.taken")
            began = time.monotonic()
            promoting.start()
            workload.run()
            promoting.stop()
            seconds = time.monotonic() - began
            _settle(bridge)
            assert stop(daemon) == 0
    finally:
        promoting.stop()
        receiver.stop()
    documents = TinyDocuments.read(folder / "state") if shared is None else _stored_in(shared)
    recorded = events_in(documents)
    deliveries = [
        Delivered(got.delivery_id, recorded[got.delivery_id].lane, got.body, got.at) for got in receiver.got
    ]
    _keep(folder, deliveries, workload.effects)
    history, final = History(workload.effects), read_registry(url)
    free = [one for one in deliveries if not one.body["model_name"].startswith(promotions.PREFIX)]
    faults = [
        *judge_deliveries(
            deliveries,
            [key for key, one in recorded.items() if not one.model_name.startswith(promotions.PREFIX)],
        ),
        *replay(promotions.free(baseline), free, promotions.free(final), history.left_behind),
        *judge_history(free, history),
        *_judge_promotions(documents, promoting.told, deliveries, final),
        *promoting.client.unexpected,
    ]
    return Verdict(
        faults=faults,
        outcomes=workload.outcomes,
        unsure=workload.unsure,
        events=Counter(event.type.value for event in recorded.values()),
        repeats=len(deliveries) - len({one.id for one in deliveries}),
        polls=Counter(line["read"] for line in bridge.log if line["event"] == "poll.committed"),
        failed_polls=sum(line["event"] == "poll.failed" for line in bridge.log),
        seconds=seconds,
    )


def _judge_promotions(
    documents: Documents, told: Mapping[str, str], deliveries: Sequence[Delivered], final: Models
) -> list[str]:
    """Return what was told, stayed or was forgotten against the gate."""
    came = [Request("copy", one.id, json.dumps(one.body), one.at) for one in deliveries]
    stored = list(DocumentState(documents).requests())
    return [
        *promotions.told_past_the_gate(came),
        *promotions.past_the_gate(final),
        *promotions.unlike_last_told(came, final),
        *promotions.unlike_decisions(told, stored, came),
    ]


def _sink(url: str) -> str:
    kinds = json.dumps([kind.value for kind in ChangeKind])
    return (
        f'[[sinks]]\nname = "copy"\ntype = "http"\nurl = "{url}/hook"\nsignature = "none"\nevents = {kinds}\n'
    )


def _settle(bridge: Bridge, seconds: float = 120) -> None:
    """Have the daemon scan everything once more, now that nothing changes, and deliver what there is."""
    end = time.monotonic() + seconds
    for _ in range(2):  # what is decided after the first scan is made, or undone, and told after the second
        scanned = bridge.run("once", "--full", timeout=seconds)
        assert scanned.returncode in {0, 74}, scanned.stderr  # 74: something still waits to be delivered
        while not _is_settled(bridge.status()):
            assert time.monotonic() < end, bridge.status()
            time.sleep(0.2)


def _is_settled(status: Mapping[str, Any]) -> bool:
    return promotions.is_settled(status) and not status["sinks"][0]["pending"]


def _keep(folder: Path, deliveries: Sequence[Delivered], effects: Sequence[Effect]) -> None:
    """Write down what came and what was done, in the order of time, for whoever looks for a cause."""
    lines = [(one.at, {"came": {"lane": one.lane, "id": one.id, **one.body}}) for one in deliveries]
    lines += [(one.began, {"done": asdict(one)}) for one in effects]
    text = "\n".join(json.dumps({"at": at, **line}) for at, line in sorted(lines, key=itemgetter(0)))
    (folder / "evidence.jsonl").write_text(text)


def recorded_events(folder: Path) -> Mapping[str, Event]:
    """Return all that the state in a folder says that it observed."""
    return events_in(TinyDocuments.read(folder))


def events_in(documents: Documents) -> Mapping[str, Event]:
    """Return all that a state says that it observed."""
    return {event.id: event for event in DocumentState(documents).events()}


def _state_of(shared: StateSettings | None) -> str:
    if shared is None:
        return 'url = "tinydb:./state"'
    return f'url = "{shared.url}"\nschema = "{shared.schema}"'


def _stored_in(shared: StateSettings) -> Documents:
    from bridge.store.postgresql.shared_state import StateDatabase

    return StateDatabase(shared).documents()


def read_registry(url: str) -> Models:
    """Return the registry as it is, read with nothing of the bridge's own."""
    from mlflow import MlflowClient

    client, models = MlflowClient(url), {}
    for row in _all(client.search_registered_models, max_results=1_000):
        slots = {("description", None, None): row.description or ""}
        slots |= {("tag", None, key): value for key, value in row.tags.items()}
        slots |= {("alias", None, alias): str(version) for alias, version in row.aliases.items()}
        models[row.name] = Model(row.name, slots)
    for one in _all(client.search_model_versions, max_results=10_000):
        version, slots = str(one.version), models[one.name].slots
        slots["version", version, None] = THERE
        slots["stage", version, None] = one.current_stage
        slots["status", version, None] = one.status
        slots["version description", version, None] = one.description or ""
        slots |= {("version tag", version, key): value for key, value in one.tags.items()}
    return models


def _all(search, **arguments):
    token = None
    while True:
        page = search(page_token=token, **arguments)
        yield from page
        token = page.token
        if not token:
            return
