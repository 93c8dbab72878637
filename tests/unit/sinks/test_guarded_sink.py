"""Whatever a package's sink does, an outcome comes of it in time, and everybody else goes on."""

import asyncio
import threading

import pytest
from support.packages import Packages
from support.patience import patience
from support.receiver import Receiver
from support.until import eventually
from support.values import commit, transition

from bridge.app import wired
from bridge.config import Secret, SinkSettings
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict, delivered, rejected, retryable
from bridge.operations.verified_configuration import load_settings
from bridge.pipeline.metrics_observer import NullObserver
from bridge.sinks.plugins import guarded_sink
from bridge.sinks.plugins.guarded_sink import GuardedSink
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.testing import sample

SECRET = "hunter2-hunter2"


class Settings(SinkSettings):
    token: Secret | None = None


@pytest.fixture(autouse=True)
def brief(monkeypatch) -> None:
    monkeypatch.setattr(guarded_sink, "_SPARE_S", 0.05)
    monkeypatch.setattr(guarded_sink, "_GRACE_S", 0.05)
    monkeypatch.setenv("TOKEN", SECRET)


def around(deliver, timeout_ms: int = 20_000, **more) -> GuardedSink:
    made = type("Made", (), {"deliver": staticmethod(deliver), **more})
    settings = Settings(name="ci", type="acme", token=Secret(env="TOKEN"))
    return GuardedSink(settings, "acme 1.2", made, timeout_ms)


def raising(error: BaseException):
    async def deliver(_delivery):
        raise error

    return deliver


def returning(value):
    async def deliver(_delivery):
        return value

    return deliver


async def hanging(_delivery):
    await asyncio.sleep(3_600)


async def cancelling_itself(_delivery):
    asyncio.current_task().cancel()
    await asyncio.sleep(3_600)


def stubborn(until: asyncio.Event):
    async def deliver(_delivery):
        while not until.is_set():
            try:
                await until.wait()
            except asyncio.CancelledError:
                continue
        return delivered()

    return deliver


@pytest.mark.parametrize("outcome", [delivered(200), rejected(Reason.LIMIT), retryable(Reason.CONNECT, "no")])
async def test_an_outcome_passes_as_it_is(outcome) -> None:
    assert await around(returning(outcome)).deliver(sample()) == outcome


FAULTS = {
    "raises": (raising(ValueError(SECRET)), "ValueError"),
    "exits": (raising(SystemExit(3)), "SystemExit"),
    "raises a cancellation": (raising(asyncio.CancelledError()), "its attempt was cancelled from within"),
    "cancels itself": (cancelling_itself, "its attempt was cancelled from within"),
    "returns nothing": (returning(None), "deliver returned a NoneType, no outcome"),
    "returns a text": (returning("ok"), "deliver returned a str, no outcome"),
    "is no coroutine": (lambda _: delivered(), "TypeError"),
    "a verdict in words": (returning(Outcome("delivered", Reason.OK)), "values of wrong types"),
    "a reason of its own": (returning(Outcome(Verdict.RETRYABLE, "mood")), "values of wrong types"),
    "a detail that is none": (returning(retryable(Reason.CONNECT, {"a": 1})), "values of wrong types"),
    "a wait in words": (returning(retryable(Reason.CONNECT, "", 500, "7")), "values of wrong types"),
    "delivered, but no": (
        returning(Outcome(Verdict.DELIVERED, Reason.TIMEOUT)),
        "deliver returned 'delivered' for the reason 'timeout'",
    ),
    "not delivered, but ok": (
        returning(retryable(Reason.OK)),
        "deliver returned 'retryable' for the reason 'ok'",
    ),
}


@pytest.mark.parametrize(("deliver", "told"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_is_a_failed_attempt_that_names_the_package(deliver, told) -> None:
    outcome = await around(deliver).deliver(sample())

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.INTERNAL)
    assert outcome.detail.startswith("a fault in acme 1.2: ")
    assert told in outcome.detail
    assert SECRET not in outcome.detail


async def test_an_attempt_that_hangs_is_cut_off() -> None:
    outcome = await asyncio.wait_for(around(hanging, timeout_ms=50).deliver(sample()), patience())

    assert outcome == retryable(Reason.TIMEOUT, "no outcome within 0.05 s: cut off")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_cancelled_attempt_cancels_what_it_waits_for() -> None:
    attempt = asyncio.create_task(around(hanging).deliver(sample()))
    await eventually(lambda: len(asyncio.all_tasks()) == 3)

    attempt.cancel()

    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_attempts_that_do_not_end_are_left_and_in_the_end_no_more_are_made() -> None:
    until = asyncio.Event()
    sink = around(stubborn(until), timeout_ms=10)

    given_up = await asyncio.gather(*(sink.deliver(sample(number)) for number in range(8)))
    refused = await sink.deliver(sample())

    assert {one.reason for one in given_up} == {Reason.TIMEOUT}
    assert refused.reason is Reason.INTERNAL
    assert "8 earlier attempts do not end: restart the bridge" in refused.detail
    until.set()
    await eventually(lambda: not sink._strays)
    assert (await sink.deliver(sample())).verdict is Verdict.DELIVERED


def test_the_end_of_the_bridge_does_not_wait_for_an_attempt_that_does_not_end() -> None:
    async def for_ever(_delivery):
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                continue

    done: list[Outcome] = []

    def life() -> None:
        done.append(asyncio.run(around(for_ever, timeout_ms=10).deliver(sample())))

    thread = threading.Thread(target=life, daemon=True)
    thread.start()
    thread.join(patience())

    assert not thread.is_alive()
    assert [one.reason for one in done] == [Reason.TIMEOUT]


async def test_no_secret_and_no_control_character_is_kept_of_a_detail() -> None:
    detail = f"refused {SECRET}\n\x1b[31m\ud800" + "x" * 10_000

    outcome = await around(returning(retryable(Reason.REFUSED, detail, 400))).deliver(sample())

    assert outcome.detail.startswith("refused ***  [31m xxx")
    assert len(outcome.detail) <= 500


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("https://ci.example.com/7", "https://ci.example.com/7"),
        (f"https://ci.example.com/7?key={SECRET}", "https://ci.example.com/7?key=***"),
        ("javascript:alert(1)", ""),
    ],
)
async def test_a_link_is_kept_as_any_other(link, kept) -> None:
    assert (await around(returning(delivered(201, link))).deliver(sample())).link == kept


@pytest.mark.parametrize(("asked", "kept"), [(-5, 0), (7, 7), (10**15, 86_400_000)])
async def test_a_wait_is_bounded(asked, kept) -> None:
    outcome = await around(returning(retryable(Reason.RATE_LIMITED, "", 429, asked))).deliver(sample())

    assert outcome.retry_after_ms == kept


async def test_a_sink_that_cannot_be_made_says_so_at_each_attempt() -> None:
    def broken():
        raise ValueError(SECRET)

    sink = GuardedSink(Settings(name="ci", type="acme"), "acme 1.2", broken, 1_000)

    outcome = await sink.deliver(sample())
    await sink.aclose()

    assert outcome == retryable(Reason.INTERNAL, "acme 1.2 cannot make the sink: ValueError")


@pytest.mark.parametrize("how", [raising(ValueError(SECRET)), raising(SystemExit()), hanging])
async def test_a_sink_that_cannot_be_closed_holds_up_nothing(how, capsys) -> None:
    closing = around(hanging, timeout_ms=50, aclose=how)

    await asyncio.wait_for(closing.aclose(), patience())

    assert SECRET not in capsys.readouterr().err


SOURCE = """
import asyncio, os, pathlib

class Settings(SinkSettings):
    fault: str

class Odd:
    def __init__(self, settings, transport, timeout_ms):
        self.fault = settings.fault
        if self.fault == "made":
            raise RuntimeError

    async def deliver(self, delivery):
        match self.fault:
            case "raises":
                raise RuntimeError
            case "exits":
                raise SystemExit(9)
            case "cancels":
                asyncio.current_task().cancel()
                await asyncio.sleep(3600)
            case "hangs":
                await asyncio.sleep(3600)
            case "stubborn":
                for _ in range(2):
                    try:
                        await asyncio.sleep(3600)
                    except asyncio.CancelledError:
                        pass
            case "lies":
                return "delivered"

    async def aclose(self):
        pathlib.Path(os.environ["CLOSED"]).touch()

KIND = Kind(Settings, Odd)
"""


@pytest.mark.parametrize("fault", ["made", "raises", "exits", "cancels", "hangs", "stubborn", "lies"])
async def test_a_faulty_sink_ends_no_relay_and_holds_up_no_other(fault, tmp_path, monkeypatch) -> None:
    receiver = Receiver()
    Packages(tmp_path / "site", monkeypatch).install(SOURCE)
    monkeypatch.setenv("CLOSED", str(tmp_path / "closed"))
    path = tmp_path / "config.toml"
    path.write_text(f"""
        registry.tracking_uri = "http://r"
        sinks = [
          {{ name = "odd", type = "acme", fault = "{fault}", timeout = "50ms", first_retry = "1h" }},
          {{ name = "ci", type = "http", url = "{receiver.url}/hook" }},
        ]
    """)
    state = DocumentState(MemoryDocuments())
    events = [transition(number, f"m{number}") for number in (1, 2)]
    await state.commit_poll(commit(*events, sinks=("odd", "ci")))

    async with wired(load_settings(path), state, NullObserver()) as app:
        await app.relay.load()
        stop = asyncio.Event()
        running = asyncio.create_task(app.relay.run(stop))
        await eventually(lambda: len(receiver.got) == 2)
        await eventually(lambda: all(one.attempts for one in state.entries() if one.sink == "odd"))
        assert not running.done()
        stop.set()
        await running
        await app.relay.drain(1.0)

    receiver.stop()
    odd = [one for one in state.entries() if one.sink == "odd"]
    assert {one.status.value for one in odd} == {"pending"}
    assert (tmp_path / "closed").exists() == (fault != "made")
