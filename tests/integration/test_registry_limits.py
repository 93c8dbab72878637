"""A registry that asks to be left alone for a while: nothing sleeps inside of a poll, and the next one goes on."""

import asyncio
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from support.clock import HandClock
from support.gateway import Gateway
from support.patience import patience
from support.receiver import Answer, WebServer

from bridge.config import PollSettings, RegistrySettings
from bridge.config.file_loading import build
from bridge.diff.known_snapshot import PlainModels
from bridge.errors import RegistryBusy, RegistryError, RegistryUnreachable
from bridge.operations.registry_check import ask_registry
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.metrics_observer import NullObserver
from bridge.pipeline.poll import Poll
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry
from bridge.registry.retry_after import asked_wait_s
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.state_metadata import Binding

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def environment_restored():
    """MLflow's client takes its settings from the process' environment."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def in_an_hour() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


def failure(answer: Answer) -> RegistryError:
    """Return what a scan of a registry that always gives ``answer`` comes to."""
    registry = WebServer(answer)
    reader = MlflowRegistry(RegistrySettings(tracking_uri=registry.url, timeout="5s"))
    try:
        with pytest.raises(RegistryError) as caught:
            reader.scan(PlainModels(), Deadline.after(60_000), with_facts=True)
    finally:
        registry.stop()
    return caught.value


@pytest.mark.parametrize(
    ("status", "header", "least", "most"),
    [
        (429, "600", 600, 600),
        (429, " 7 ", 7, 7),
        (503, "600", 600, 600),
        (503, in_an_hour, 3_000, 3_600),
        (429, "Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
        (502, "30", 30, 30),
        (504, "30", 30, 30),
        (500, "30", 30, 30),
        (408, "1", 1, 1),
        (429, "99999999999999999999", 86_400, 86_400),
        (503, "0", 0, 0),
    ],
)
def test_how_long_the_registry_asks_to_wait_is_told_at_once(status, header, least, most) -> None:
    began = time.monotonic()
    header = header() if callable(header) else header
    error = failure(Answer(status, {"Retry-After": header}, b"slow down"))

    assert time.monotonic() - began < 300
    assert isinstance(error, RegistryBusy)
    assert least <= error.wait_s <= most
    assert f"asks to wait {error.wait_s} s (HTTP {status}, Retry-After)" in str(error)


@pytest.mark.parametrize("header", ["soon", "-1", "1.5", ""])
def test_a_limit_that_does_not_say_how_long_is_a_limit_all_the_same(header) -> None:
    error = failure(Answer(429, {"Retry-After": header}, b""))

    assert isinstance(error, RegistryBusy)
    assert error.wait_s is None
    assert "is busy (HTTP 429)" in str(error)


@pytest.mark.parametrize("status", [500, 503])
def test_a_fault_that_asks_for_nothing_is_no_limit(status) -> None:
    error = failure(Answer(status, {}, b"{}"))

    assert isinstance(error, RegistryUnreachable)
    assert not isinstance(error, RegistryBusy)


def test_an_error_without_an_answer_asks_for_nothing() -> None:
    error = ValueError("no response here")
    error.__cause__ = error
    assert asked_wait_s(error) is None


async def test_check_ends_at_once_and_says_who_limits() -> None:
    registry = WebServer(Answer(429, {"Retry-After": "600"}, b"slow down"))
    settings = build({"registry": {"tracking_uri": registry.url}}, SETTINGS)
    async with asyncio.timeout(patience()):
        with pytest.raises(RegistryBusy, match="600 s"):
            await ask_registry(settings)
    registry.stop()


async def test_check_of_a_registry_that_hangs_ends_by_the_deadline(monkeypatch) -> None:
    monkeypatch.setattr("bridge.operations.registry_check._GRACE_S", 0.1)
    release = threading.Event()

    def scan(*_args, **_how) -> None:
        while not release.wait(0.05):  # in steps, as under a tracer nothing cuts off a single wait
            pass

    monkeypatch.setattr(MlflowRegistry, "scan", scan)
    settings = build({"registry": {"tracking_uri": "http://h"}, "poll": {"deadline": "200ms"}}, SETTINGS)
    with pytest.raises(
        RegistryUnreachable, match=r"http://h did not answer everything in time \(poll.deadline\)"
    ):
        await ask_registry(settings)
    release.set()


def poll_of(url: str, **settings) -> Poll:
    return Poll(
        MlflowRegistry(RegistrySettings(tracking_uri=url, timeout="5s")),
        DocumentState(MemoryDocuments()),
        (),
        PollSettings(**settings),
        Binding(url),
        HandClock(),
        NullObserver(),
    )


async def test_the_first_poll_after_a_limit_was_lifted_reads_the_registry(server, model) -> None:
    limited = threading.Event()
    gateway = Gateway(
        server.url,
        lambda got: Answer(429, {"Retry-After": "600"}, b"slow down") if limited.is_set() else None,
    )
    poll = poll_of(gateway.url)
    await poll.run()
    limited.set()
    for read in (Read.FAST, Read.FULL):
        with pytest.raises(RegistryBusy):
            await poll.run(read)
    limited.clear()
    for read in (Read.FAST, Read.FULL):
        await poll.run(read)
    gateway.stop()
