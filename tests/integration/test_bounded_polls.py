"""No server can hold a poll beyond its deadline, nor the polls after it."""

import pytest
from support.clock import HandClock
from support.receiver import RawReceiver
from support.until import eventually

from bridge.config import PollSettings, RegistrySettings
from bridge.errors import RegistryUnreachable
from bridge.pipeline.metrics_observer import NullObserver
from bridge.pipeline.poll import Poll
from bridge.registry.mlflow_reader import MlflowRegistry
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.state_metadata import Binding

pytestmark = pytest.mark.filterwarnings("ignore")


async def test_a_server_that_trickles_is_cut_off_and_asked_again_at_the_next_poll(monkeypatch) -> None:
    """Each byte comes within the timeout, so MLflow's client would wait for the last one: for hours."""
    monkeypatch.setattr("bridge.pipeline.read_deadline.GRACE_S", 0.2)
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n" + b"3" * 100_000
    trickle = RawReceiver(answer, drip=0.1)
    poll = Poll(
        MlflowRegistry(RegistrySettings(tracking_uri=trickle.url, timeout="5s")),
        DocumentState(MemoryDocuments()),
        (),
        PollSettings(deadline="1500ms"),
        Binding(trickle.url),
        HandClock(),
        NullObserver(),
    )
    for _ in range(2):
        with pytest.raises(RegistryUnreachable, match="did not answer everything in time"):
            await poll.run()
        await eventually(lambda: not any(one.is_running() for one in poll._bounded._left))
    trickle.stop()
