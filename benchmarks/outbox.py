"""The bridge's side of `relay.py`: a state on the real disk, and the relay over it, as the daemon wires it."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.done import done
from support.values import STATE_ID, transition

from bridge.app import App, wired
from bridge.config import Settings, routes_of
from bridge.delivery.event_routing import route
from bridge.delivery.outbox_entry import Entry
from bridge.events.event import Event
from bridge.operations.verified_configuration import load_settings
from bridge.pipeline.clocks import SystemClock
from bridge.server.prometheus_metrics import Metrics
from bridge.store.document_state import DocumentState
from bridge.store.poll_commit import PollCommit
from bridge.store.state_metadata import Head, PollRecord
from bridge.store.tinydb_store import TinyDocuments

AT_A_TIME = 16
"""What the bridge allows itself at one sink, unless told otherwise."""

HOSTS = 100
REGISTRY = "http://127.0.0.1:9"
"""Nothing listens there: what a daemon polls in vain."""

SECRET = "RELAY_BENCHMARK_SECRET"
_PATIENCE_S = 180.0
_numbers = count(1)


def url_of(sink: int, port: int) -> str:
    return f"http://127.0.0.{1 + sink % HOSTS}:{port}/hooks/{sink}"


def configuration(folder: Path, urls: Sequence[str], *, each_its_models: bool = False) -> Path:
    """Write a configuration with a sink for each URL, all signed; the n-th may take models ``n-*`` alone."""
    folder.mkdir(parents=True)
    sinks = (
        f'[[sinks]]\nname = "sink-{n}"\ntype = "http"\nurl = "{url}"\nsecret = {{ env = "{SECRET}" }}\n'
        + (f'models = ["{n}-*"]\n' if each_its_models else "")
        for n, url in enumerate(urls)
    )
    path = folder / "config.toml"
    path.write_text(f'[registry]\ntracking_uri = "{REGISTRY}"\n{"".join(sinks)}')
    return path


def events(number: int, models: Sequence[str]) -> list[Event]:
    """Return transitions, going round the models."""
    now_ms = time.time_ns() // 1_000_000
    return [
        transition(0, models[n % len(models)], id=str(uuid4()), timestamp=now_ms, observed_at=now_ms)
        for n in range(number)
    ]


def commit(state: DocumentState, settings: Settings, observed: Sequence[Event]) -> list[Entry]:
    """Route and commit, as the end of a poll does."""
    now_ms = time.time_ns() // 1_000_000
    head = state.head or Head(STATE_ID, now_ms, REGISTRY)
    record = PollRecord(now_ms, "ok", now_ms, events=len(observed))
    routed = route(observed, routes_of(settings))
    return done(state.commit_poll(PollCommit(head, record, (), {}, observed, routed, now_ms)))


@contextmanager
def opened(config: Path) -> Iterator[tuple[Settings, DocumentState]]:
    settings = load_settings(config)
    state = DocumentState(TinyDocuments.open(config.parent / "state"))
    try:
        yield settings, state
    finally:
        state.close()


@dataclass(frozen=True)
class Running:
    """The application with its relay at work."""

    app: App
    task: asyncio.Task[None]

    def commit(self, observed: Sequence[Event]) -> list[Entry]:
        return commit(self.app.state, self.app.settings, observed)

    async def delivered(self) -> None:
        """Return when every entry that was committed is settled, durably."""
        resting = asyncio.create_task(self.app.relay.rest(_PATIENCE_S))
        await asyncio.wait({resting, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if self.app.relay.waiting:
            raise SystemExit(f"{self.app.relay.waiting} entries were not delivered")


def counting(state: DocumentState) -> Metrics:
    """Return who watches the loops of a daemon that has a server."""
    return Metrics(state.summaries, state.conditions, SystemClock())


@asynccontextmanager
async def running(settings: Settings, state: DocumentState) -> AsyncIterator[Running]:
    """Wire and run the relay; what is counted and logged is what the daemon counts and logs."""
    stop = asyncio.Event()
    async with wired(settings, state, counting(state)) as app:
        await app.relay.load()
        task = asyncio.create_task(app.relay.run(stop))
        try:
            yield Running(app, task)
        finally:
            stop.set()
            await task
            await app.relay.drain(5)
