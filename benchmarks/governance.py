"""Whether judging transition requests delays other deliveries.

    python benchmarks/governance.py [--short]

Plain events are delivered one after the other, in peace and while a gate judges requests by the metrics of their
runs. The answers are of a real `mlflow server`: given again by a process that takes as long as the server did and
next to nothing of this machine, as a registry elsewhere would (`recorded_registry.py`); and by the server itself,
which takes what it needs of this machine, as it does while another process reads as many runs. All take turns, in
one process with its state on the disk that `TMPDIR` is on.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from measure import table
from outbox import HOSTS, REGISTRY, SECRET, Running, configuration, events, opened, running, url_of
from workers import Worker, worker

from bridge.operations.request_execution import Requester, Requests
from bridge.pipeline.clocks import SystemClock

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from mlflow import MlflowClient
from support.mlflow_server import MlflowServer

SHORT = "--short" in sys.argv
ROUNDS, REQUESTS, EVENTS = (1, 20, 20) if SHORT else (5, 200, 400)
VERSIONS_A_MODEL = 10
PREFIX, PLAIN = "judged ", "plain"
PAUSE_S = 0.005
PEACE = "in peace"
ELSEWHERE = "while judging, MLflow elsewhere"
READS = "while another process reads"
JUDGEMENT = "while judging, MLflow on this machine"
MOST = 1.5
GATE = f"""
[governance]
max = 10000
[[gates]]
name = "accuracy"
models = ["{PREFIX}*"]
to_stages = ["Production"]
checks = [{{ name = "accuracy", require = "run.metrics.accuracy >= `0.9`" }}]
"""


def fill(url: str) -> None:
    """Make a version for each request; all are of one run, which fails the gate."""

    client = MlflowClient(url)
    run = client.create_run("0")
    client.log_metric(run.info.run_id, "accuracy", 0.5)
    for number in range(ROUNDS * REQUESTS):
        name, version = place(number)
        if version == 1:
            client.create_registered_model(name)
        client.create_model_version(name, "s3://b/x", run_id=run.info.run_id, await_creation_for=0)


def place(number: int) -> tuple[str, int]:
    """Return the model and the version of which the request of this number is."""
    return f"{PREFIX}{number // VERSIONS_A_MODEL}", 1 + number % VERSIONS_A_MODEL


class Sender:
    """Delivers plain events, and tells how long each took from before its commit to its arrival."""

    def __init__(self, bridge: Running, receiver: Worker) -> None:
        self._bridge, self._receiver = bridge, receiver

    async def latencies(self, judging: asyncio.Task[None] | None = None) -> list[float]:
        """Return the seconds of each; while ``judging`` goes on, or of ``EVENTS`` of them."""
        began: list[float] = []
        while len(began) < EVENTS if judging is None else not judging.done():
            observed = events(1, [PLAIN])
            began.append(time.monotonic())
            self._bridge.commit(observed)
            await self._bridge.delivered()
            await asyncio.sleep(PAUSE_S)
        arrivals = await asyncio.to_thread(self._receiver.say, f"take {len(began)}")
        return [came - start for start, came in zip(began, arrivals["arrivals"], strict=True)]


def read_runs(url: str) -> None:
    """Read the run as often as a round's requests do."""
    client = MlflowClient(url)
    (run,) = client.search_runs(["0"])
    for _ in range(REQUESTS):
        client.get_run(run.info.run_id)


async def ask(bridge: Running, first: int, number: int) -> None:
    """Ask for ``number`` versions, from ``first`` on."""
    app = bridge.app
    requests = Requests(app.state, app.ledger, app.settings, SystemClock(), app.poll.run)
    for one in range(first, first + number):
        name, version = place(one)
        given = {"name": name, "version": str(version), "stage": "Production"}
        await requests.create(given, Requester("ann", "ann"))


async def judge(bridge: Running) -> None:
    """Return when all that was asked for is decided."""
    stop = asyncio.Event()
    loop = asyncio.create_task(bridge.app.governance.run(stop))
    while bridge.app.state.governance().requests.get("pending"):  # noqa: ASYNC110 - nothing tells when it is over
        await asyncio.sleep(0.05)
    stop.set()
    await loop


async def watch_reads(url: str) -> None:
    """Return when another process has read the runs."""
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, "--reads", url)
    await process.wait()


class Bridge:
    """A bridge whose registry is at ``url``, and what was measured of it."""

    def __init__(self, folder: Path, url: str, receiver: Worker) -> None:
        self._config = gated(folder, url, receiver)
        self._url = url
        self._receiver = receiver

    async def __aenter__(self) -> Self:
        self._left = AsyncExitStack()
        settings, state = self._left.enter_context(opened(self._config))
        self._bridge = await self._left.enter_async_context(running(settings, state))
        await self._bridge.app.poll.run()
        self._sender = Sender(self._bridge, self._receiver)
        await self._sender.latencies()  # opens the connection
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._left.aclose()

    async def in_peace(self) -> list[float]:
        return await self._sender.latencies()

    async def beside_reads(self) -> list[float]:
        return await self._sender.latencies(asyncio.create_task(watch_reads(self._url)))

    async def judging(self, first: int, number: int = REQUESTS) -> list[float]:
        await ask(self._bridge, first, number)
        return await self._sender.latencies(asyncio.create_task(judge(self._bridge)))


async def measured(
    folder: Path, here: str, elsewhere: str, receiver: Worker
) -> tuple[dict[str, list[float]], float]:
    """Return the latencies by what was under way, and how many requests were judged a second on this machine."""
    taken: dict[str, list[float]] = defaultdict(list)
    seconds = 0.0
    async with Bridge(folder / "first", elsewhere, receiver) as bridge:
        await bridge.judging(0, ROUNDS * REQUESTS)  # has the answers recorded
    async with Bridge(folder / "elsewhere", elsewhere, receiver) as bridge:
        for one in range(ROUNDS):
            taken[PEACE] += await bridge.in_peace()
            taken[ELSEWHERE] += await bridge.judging(one * REQUESTS)
    async with Bridge(folder / "here", here, receiver) as bridge:
        for one in range(ROUNDS):
            taken[PEACE] += await bridge.in_peace()
            taken[READS] += await bridge.beside_reads()
            began = time.monotonic()
            taken[JUDGEMENT] += await bridge.judging(one * REQUESTS)
            seconds += time.monotonic() - began
    return taken, ROUNDS * REQUESTS / seconds


def report(taken: dict[str, list[float]], judged: float) -> None:
    high = {name: statistics.quantiles(one, n=100)[98] for name, one in taken.items()}
    rows = [("requests judged", f"{judged:,.0f} /s", "")]
    for name, one in taken.items():
        rows += [
            (f"a plain delivery {name}, median", f"{statistics.median(one) * 1e3:.1f} ms", ""),
            (f"a plain delivery {name}, p99", f"{high[name] * 1e3:.1f} ms", ""),
        ]
    ratio = high[JUDGEMENT] / high[READS]
    missed = "   missed" if ratio > MOST and not SHORT else ""
    rows += [
        (f"p99 {ELSEWHERE} / {PEACE}", f"{high[ELSEWHERE] / high[PEACE]:.2f}", ""),
        (f"p99 {JUDGEMENT} / {READS}", f"{ratio:.2f}", f"<= {MOST:.2f}{missed}"),
    ]
    table([("governance", "figure", "to reach"), *rows])


def gated(folder: Path, registry: str, receiver: Worker) -> Path:
    """Write the configuration of a bridge whose gate rejects every request."""
    config = configuration(folder, [url_of(0, receiver.say("port")["port"])])
    text = config.read_text().replace(REGISTRY, registry)
    sink = 'type = "http"'
    config.write_text(
        text.replace("[[sinks]]", f"{GATE}[[sinks]]").replace(sink, f'{sink}\nmodels = ["{PLAIN}"]')
    )
    return config


def main() -> None:
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", SECRET: "secret"}
    with tempfile.TemporaryDirectory() as name, worker("receiver", str(HOSTS), (), "receiver.py") as receiver:
        server = MlflowServer(Path(name) / "mlflow").start()
        try:
            fill(server.url)
            with worker("registry", server.url, (), "recorded_registry.py") as recorded:
                elsewhere = f"http://127.0.0.1:{recorded.say('port')['port']}"
                taken, judged = asyncio.run(measured(Path(name), server.url, elsewhere, receiver))
        finally:
            server.stop()
    report(taken, judged)


if "--reads" in sys.argv:
    read_runs(sys.argv[sys.argv.index("--reads") + 1])
else:
    main()
