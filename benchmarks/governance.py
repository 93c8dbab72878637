"""Whether judging transition requests delays other deliveries.

    python benchmarks/governance.py [--short]

Plain events are delivered one after the other: in peace; while another process reads as many runs of a real
`mlflow server` (which takes what it needs of this machine); and while a gate judges as many requests by them.
All take turns, in one process with its state on the disk that `TMPDIR` is on.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from measure import table
from outbox import HOSTS, SECRET, Running, configuration, events, opened, running, url_of
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
PEACE, READS, JUDGEMENT = "in peace", "beside reads by another process", "beside the judgement"
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


async def ask(bridge: Running, first: int) -> None:
    """Ask for as many versions as a round has, from ``first`` on."""
    app = bridge.app
    requests = Requests(app.state, app.ledger, app.settings, SystemClock(), app.poll.run)
    for number in range(first, first + REQUESTS):
        name, version = place(number)
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


async def measured(config: Path, receiver: Worker) -> tuple[dict[str, list[float]], float]:
    """Return the latencies by what was under way, and how many requests were judged a second."""
    taken: dict[str, list[float]] = {PEACE: [], READS: [], JUDGEMENT: []}
    seconds = 0.0
    with opened(config) as (settings, state):
        async with running(settings, state) as bridge:
            await bridge.app.poll.run()
            sender = Sender(bridge, receiver)
            await sender.latencies()  # opens the connection
            for one in range(ROUNDS):
                print(f"round {one + 1} of {ROUNDS}", file=sys.stderr)
                taken[PEACE] += await sender.latencies()
                reading = asyncio.create_task(watch_reads(settings.registry.tracking_uri))
                taken[READS] += await sender.latencies(reading)
                await ask(bridge, one * REQUESTS)
                began = time.monotonic()
                taken[JUDGEMENT] += await sender.latencies(asyncio.create_task(judge(bridge)))
                seconds += time.monotonic() - began
    return taken, ROUNDS * REQUESTS / seconds


def report(taken: dict[str, list[float]], judged: float) -> None:
    high = {name: statistics.quantiles(one, n=100)[98] for name, one in taken.items()}
    ratio = high[JUDGEMENT] / high[READS]
    missed = "   missed" if ratio > MOST and not SHORT else ""
    rows = [("requests judged", f"{judged:,.0f} /s", "")]
    for name, one in taken.items():
        rows += [
            (f"a plain delivery {name}, median", f"{statistics.median(one) * 1e3:.1f} ms", ""),
            (f"a plain delivery {name}, p99", f"{high[name] * 1e3:.1f} ms", ""),
        ]
    table(
        [
            ("governance", "figure", "to reach"),
            *rows,
            (f"p99 {JUDGEMENT} / {PEACE}", f"{high[JUDGEMENT] / high[PEACE]:.2f}", ""),
            (f"p99 {JUDGEMENT} / {READS}", f"{ratio:.2f}", f"<= {MOST:.2f}{missed}"),
        ]
    )


def main() -> None:
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", SECRET: "secret"}
    with tempfile.TemporaryDirectory() as name, worker("receiver", str(HOSTS), (), "receiver.py") as receiver:
        server = MlflowServer(Path(name) / "mlflow").start()
        try:
            fill(server.url)
            config = configuration(Path(name) / "bridge", [url_of(0, receiver.say("port")["port"])])
            text = config.read_text().replace("http://127.0.0.1:9", server.url)
            config.write_text(
                text.replace("[[sinks]]", f"{GATE}[[sinks]]").replace(
                    'type = "http"', f'type = "http"\nmodels = ["{PLAIN}"]'
                )
            )
            taken, judged = asyncio.run(measured(config, receiver))
        finally:
            server.stop()
    report(taken, judged)


if "--reads" in sys.argv:
    read_runs(sys.argv[sys.argv.index("--reads") + 1])
else:
    main()
