"""Registries that give large pages late or never, and scans that take longer than a poll may."""

import asyncio
import itertools
import json
import os
from contextlib import contextmanager, suppress

import pytest
from support.patience import patience
from support.receiver import Answer, RawReceiver
from support.slow_registry import BORN, SlowRegistry

from bridge.app import wire_poll
from bridge.cli.commands.status import _scan
from bridge.config import RegistrySettings
from bridge.config.file_loading import build
from bridge.diff.known_snapshot import PlainModels
from bridge.errors import RegistryError, RegistryRefused, RegistryUnreachable, ScanUnfinished
from bridge.events.change_hints import Hint
from bridge.operations.poll_requests import PollOrder
from bridge.operations.registry_check import ask_registry
from bridge.operations.single_run import run_once
from bridge.operations.status_report import full_scan
from bridge.pipeline.clocks import SystemClock
from bridge.pipeline.incremental_read import Read
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.state_opening import owned_state, read_state

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def environment_restored():
    """MLflow's client takes its settings from the process' environment."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@contextmanager
def registry(models: int, versions: int = 1):
    served = SlowRegistry(models, versions)
    try:
        yield served
    finally:
        served.stop()


def reader(url: str, timeout: str = "2s") -> MlflowRegistry:
    return MlflowRegistry(RegistrySettings(tracking_uri=url, timeout=timeout))


def scan(of: MlflowRegistry):
    return of.scan(PlainModels(), Deadline.after(120_000), with_facts=True)


def refusal(**document) -> Answer:
    return Answer(400, {"Content-Type": "application/json"}, json.dumps(document).encode())


LARGE_PAGES = {
    "late": Answer(200, {}, b"{}", delay=20),
    "413": Answer(413, {}, b"too large"),
    "500": Answer(500, {}, b""),
    "502": Answer(502, {}, b"<h1>Bad Gateway</h1>"),
    "503": Answer(503, {}, b""),
    "504": Answer(504, {}, b""),
    "524 of a CDN": Answer(524, {}, b""),
    "broken off in the midst": Answer(
        200, {"Content-Length": "9000"}, b'{"registered_models": [', delay=0.01
    ),
    "cut short": Answer(200, {"Content-Type": "application/json"}, b'{"registered_models": [{"name": "m0'),
    "a limit": refusal(error_code="INVALID_PARAMETER_VALUE", message="max_results must be at most 300"),
}


@pytest.mark.parametrize("large", LARGE_PAGES.values(), ids=LARGE_PAGES)
def test_a_page_that_is_too_large_for_the_server_or_a_proxy_is_asked_for_in_parts(large, monkeypatch) -> None:
    monkeypatch.setattr("bridge.registry.mlflow_searches.VERSIONS_PAGE", 1_000)
    with registry(400, 2) as served:
        served.fault = lambda rows: large if rows > 300 else None
        bridge = reader(served.url, timeout="1s")
        listing = scan(bridge)

        assert sorted(listing.models) == served.names
        assert listing.counted == (400, 800)
        assert all(asked <= 300 for _, _, asked in served.pages)
        given = len(served.pages)
        assert scan(bridge).counted == (400, 800)
        assert len(served.pages) - given < 20  # it is remembered, and pages do not stay small


def test_pages_grow_again_when_the_server_is_quick_again() -> None:
    with registry(600) as served:
        bridge = reader(served.url)
        served.fault = lambda rows: Answer(504) if rows > 20 else None
        assert scan(bridge).counted == (600, 600)
        assert max(asked for _, _, asked in served.pages) <= 20
        served.fault = lambda rows: None
        for _ in range(3):
            served.pages.clear()
            scan(bridge)
        assert max(asked for of, _, asked in served.pages if of == "models") >= 600


@pytest.mark.parametrize("answer", [Answer(504), Answer(403), Answer(200, {}, b"<h1>Sign in</h1>")])
def test_a_server_that_gives_no_page_at_all_is_given_up_soon(answer) -> None:
    with registry(50) as served:
        bridge = reader(served.url)
        scan(bridge)
        asked = []
        served.fault = lambda rows: asked.append(rows) or answer
        with pytest.raises(RegistryError):
            scan(bridge)
        assert len(asked) <= 8


def settings_of(served: SlowRegistry, folder, deadline: str = "3s"):
    return build(
        {
            "registry": {"tracking_uri": served.url, "timeout": "20s"},
            "poll": {"deadline": deadline},
            "state": {"url": f"tinydb:{folder}/state"},
        },
        SETTINGS,
    )


def slow_pages(monkeypatch, served: SlowRegistry, rows: int, seconds: float) -> None:
    """Have a page of ``rows`` models take so long; larger ones are not asked for."""
    monkeypatch.setattr("bridge.registry.mlflow_searches.MODELS_PAGE", rows)
    monkeypatch.setattr("bridge.registry.mlflow_searches.VERSIONS_PAGE", rows)
    served.seconds_a_row = seconds / rows


def hang_after(served: SlowRegistry, pages: int) -> None:
    """Give so many more pages of a scan, which have ten rows, and then none."""
    count = itertools.count()
    served.fault = lambda rows: Answer(504, delay=60) if rows == 10 and next(count) >= pages else None


async def test_once_takes_a_baseline_however_long_the_scan_as_long_as_it_comes_further(
    tmp_path, monkeypatch
) -> None:
    with registry(80) as served:
        slow_pages(monkeypatch, served, 10, 0.4)
        done = await run_once(settings_of(served, tmp_path))
        assert done.errors == ()
        scanned = [(of, start) for of, start, asked in served.pages if asked == 10 or start]
        with read_state(settings_of(served, tmp_path)) as state:
            assert len(state.known()) == 80
            assert state.unfinished_scan is None
            assert state.last_reconcile.went_well
            assert state.last_reconcile.duration_ms > 2_000  # all its parts: the share is reckoned by it
    again = [one for one in scanned if scanned.count(one) > 1 and one[1]]
    assert len(again) <= len(scanned) / 3  # a page that was under way when the time was over, no more


def rows_kept(state) -> list[str]:
    """Return the names of the models that are stored of the unfinished scan."""
    return [
        row for name in state.unfinished_scan["progress"]["parts"] for row in state.scan_part(name)["rows"]
    ]


async def test_once_with_a_deadline_goes_on_where_it_was_cut_off(tmp_path, monkeypatch) -> None:
    with registry(60, 2) as served:
        slow_pages(monkeypatch, served, 10, 0.3)
        settings = settings_of(served, tmp_path, "60s")
        progress = []
        for _ in range(30):
            done = await run_once(settings, PollOrder(deadline_ms=2_000))
            if not done.errors:
                break
            assert isinstance(done.errors[0], RegistryUnreachable)
            with read_state(settings) as state:
                kept = state.unfinished_scan
                progress.append(kept["progress"]["totals"]["versions"] if kept else -1)
        assert done.errors == ()
        assert progress == sorted(progress)
        assert len(set(progress)) > 1
        with read_state(settings) as state:
            assert sum(len(model.versions) for model in state.known().values()) == 120


async def test_a_scan_that_goes_on_tells_so_and_is_no_failure_of_the_polls_beside_it(
    tmp_path, monkeypatch
) -> None:
    with registry(60) as served:
        slow_pages(monkeypatch, served, 10, 0.0)
        settings = settings_of(served, tmp_path)
        async with owned_state(settings) as state:
            poll = wire_poll(settings, state, SystemClock())
            await poll.run(Read.FULL)
            before = state.last_poll
            hang_after(served, 3)
            with pytest.raises(
                ScanUnfinished, match=r"is not over: 30 models and 0 versions .* goes on from there"
            ):
                await poll.run(Read.FULL, within_ms=5_000)
            assert state.last_poll == before
            assert state.last_reconcile.unfinished
            assert (await poll.due()) == [Read.FAST, Read.FULL]
            told = full_scan(settings, state, SystemClock().now_ms())
            assert (told["is_over"], told["went_well"], told["next_in_ms"]) == (False, True, 0)
            assert _scan(told).startswith("goes on, took ")

            # What a fast read saw meanwhile is not undone by the older pages of the scan.
            served.fault = lambda rows: None
            served.move("m00001", "Production", BORN + 5_000_000)
            entries = await poll.run(Read.FAST)
            assert state.known()["m00001"].versions["1"].stage == "Production"
            polled = await poll.run(Read.FULL)
            assert (entries.entries, polled.entries) == ([], [])
            assert [event.type.value for event in state.events()] == ["MODEL_VERSION_TRANSITIONED_STAGE"]
            assert state.known()["m00001"].versions["1"].stage == "Production"
            assert (state.last_reconcile.unfinished, state.unfinished_scan) == (False, None)


async def test_an_order_for_a_full_scan_begins_afresh(tmp_path, monkeypatch) -> None:
    with registry(60) as served:
        slow_pages(monkeypatch, served, 10, 0.0)
        settings = settings_of(served, tmp_path)
        async with owned_state(settings) as state:
            poll = wire_poll(settings, state, SystemClock())
            await poll.run(Read.FULL)
            hang_after(served, 3)
            with pytest.raises(ScanUnfinished):
                await poll.run(Read.FULL, within_ms=5_000)
            served.fault = lambda rows: None
            served.pages.clear()
            await poll.run(Read.FULL, afresh=True)
            assert ("models", 0, 10) in served.pages


async def test_rebaseline_preview_and_check_take_as_long_as_the_scan_comes_further(
    tmp_path, monkeypatch
) -> None:
    with registry(40) as served:
        slow_pages(monkeypatch, served, 10, 0.0)
        settings = settings_of(served, tmp_path)
        async with owned_state(settings) as state:
            poll = wire_poll(settings, state, SystemClock())
            await poll.run(Read.FULL)
            served.seconds_a_row = 0.05
            assert (await poll.preview()).plan.events == ()
            assert (await poll.rebaseline()).counted == (40, 40)
        assert "40 models, 40 versions" in (await ask_registry(settings)).told


async def test_a_stop_in_the_midst_of_a_scan_keeps_what_was_read(tmp_path, monkeypatch) -> None:
    with registry(60) as served:
        slow_pages(monkeypatch, served, 10, 0.3)
        settings = settings_of(served, tmp_path, "60s")
        async with owned_state(settings) as state:
            poll = wire_poll(settings, state, SystemClock())
            polling = asyncio.create_task(poll.run(Read.FULL))
            async with asyncio.timeout(patience()):
                while len([one for one in served.pages if one[1]]) < 2:  # noqa: ASYNC110 - a server's thread counts
                    await asyncio.sleep(0.02)
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling
            assert rows_kept(state)


async def test_a_stop_while_a_slice_is_stored_waits_until_it_is(tmp_path, monkeypatch) -> None:
    with registry(60) as served:
        slow_pages(monkeypatch, served, 10, 0.3)
        async with owned_state(settings_of(served, tmp_path, "1s")) as state:
            poll, storing, keep_scan = (
                wire_poll(settings_of(served, tmp_path, "1s"), state, SystemClock()),
                asyncio.Event(),
                state.keep_scan,
            )

            async def slowly(*given) -> None:
                storing.set()
                await asyncio.sleep(0.05)
                await keep_scan(*given)

            monkeypatch.setattr(state, "keep_scan", slowly)
            polling = asyncio.create_task(poll.run(Read.FULL))
            async with asyncio.timeout(patience()):
                await storing.wait()
            polling.cancel()
            await asyncio.wait({polling})
            assert rows_kept(state)


async def test_a_registry_that_refuses_later_on_is_told_and_what_was_read_is_kept(
    tmp_path, monkeypatch
) -> None:
    with registry(60) as served:
        slow_pages(monkeypatch, served, 10, 0.0)
        settings = settings_of(served, tmp_path, "60s")
        count = itertools.count()
        served.fault = lambda rows: Answer(401) if rows == 10 and next(count) > 4 else None
        async with owned_state(settings) as state:
            poll = wire_poll(settings, state, SystemClock())
            with pytest.raises(RegistryRefused, match="credentials"):
                await poll.run(Read.FULL)
            assert not state.last_reconcile.unfinished
            assert len(rows_kept(state)) >= 10
            served.fault = lambda rows: None
            await poll.run(Read.FULL)
            assert len(state.known()) == 60


async def test_nothing_is_kept_of_a_registry_that_gives_nothing(tmp_path) -> None:
    trickle = RawReceiver(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"3" * 1_000, drip=0.1)
    settings = build(
        {
            "registry": {"tracking_uri": trickle.url, "timeout": "2s"},
            "poll": {"deadline": "1s"},
            "state": {"url": f"tinydb:{tmp_path}/state"},
        },
        SETTINGS,
    )
    done = await run_once(settings, PollOrder(deadline_ms=2_000))
    assert "did not answer everything in time" in str(done.errors[0])
    with read_state(settings) as state:
        assert state.unfinished_scan is None
    trickle.stop()


async def test_a_full_scan_gives_way_to_hints_between_two_pages_and_goes_on(tmp_path, monkeypatch) -> None:
    with registry(60) as served:
        slow_pages(monkeypatch, served, 10, 0.0)
        settings = settings_of(served, tmp_path)
        async with owned_state(settings) as state:
            poll = wire_poll(settings, state, SystemClock())
            await poll.run(Read.FULL)
            poll.gives_way = lambda: bool(poll.hints)
            poll.hints.add([Hint("m00001")])
            with pytest.raises(ScanUnfinished, match="before a hint came first"):
                await poll.run(Read.FULL)
            assert state.last_reconcile.unfinished
            served.move("m00001", "Production", BORN + 5_000_000)
            await poll.run(Read.FAST)
            assert not poll.hints
            await poll.run(Read.FULL)
            assert (state.last_reconcile.unfinished, state.unfinished_scan) == (False, None)
            assert [event.type.value for event in state.events()] == ["MODEL_VERSION_TRANSITIONED_STAGE"]


async def test_once_hints_come_the_pages_of_a_scan_take_half_a_second_or_so(tmp_path) -> None:
    with registry(1_200) as served:
        settings = settings_of(served, tmp_path, "60s")
        async with owned_state(settings) as state:
            poll = wire_poll(settings, state, SystemClock())
            await poll.run(Read.FULL)
            assert max(asked for _, _, asked in served.pages) == 5_000
            poll.hints.add([Hint("m00001")])
            await poll.run(Read.FAST)
            served.pages.clear()
            served.seconds_a_row = 0.005
            await poll.run(Read.FULL)
            of_models = [asked for of, _, asked in served.pages if of == "models"]
            assert of_models[0] == 250
            assert 60 <= of_models[-1] <= 200
            assert len(state.known()) == 1_200


async def test_the_first_scan_gives_way_to_nothing(tmp_path, monkeypatch) -> None:
    with registry(20) as served:
        slow_pages(monkeypatch, served, 10, 0.0)
        settings = settings_of(served, tmp_path)
        async with owned_state(settings) as state:
            poll = wire_poll(settings, state, SystemClock())
            poll.gives_way = lambda: True
            await poll.run(Read.FULL)
            assert len(state.known()) == 20
