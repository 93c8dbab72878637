"""One way to deliver, in a process of its own: a word in, the work once, a line of JSON out.

    python benchmarks/senders.py ROLE FOLDER:PORT

Started by `relay.py`. Times are of the monotonic clock, which the receiver's process shares.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from outbox import AT_A_TIME, SECRET, configuration, events, opened, running, url_of
from processes import forget_peak, memory_mb

from bridge.cli.log_setup import configure
from bridge.events.delivery_signatures import DELIVERY_ID_HEADER, SIGNATURES
from bridge.events.formats import mlflow_body

EVENTS_A_MODEL = 10
WARMING = 2 * AT_A_TIME
"""Deliveries that open the connections before anything is measured; and models enough to fill the places."""

Answer = dict[str, Any]

_runs = count(1)


class Relay:
    """The bridge: its state on the disk, every outcome durable before the next attempt of its lane."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        configure("info", "json")

    def _config(self, sinks: int, *, each_its_models: bool = False) -> Path:
        urls = [url_of(n, self._port) for n in range(sinks)]
        folder = self._folder / f"run-{os.getpid()}-{next(_runs)}"
        return configuration(folder, urls, each_its_models=each_its_models)

    async def throughput(self, sinks: int, number: int) -> Answer:
        """Warm: connections are open, and the entries committed; then until every outcome is durable."""
        models = [f"model-{n}" for n in range(max(WARMING, number // sinks // EVENTS_A_MODEL))]
        with opened(self._config(sinks)) as (settings, state):
            async with running(settings, state) as relay:
                relay.commit(events(WARMING, models))
                await relay.delivered()
                relay.commit(events(number // sinks, models))
                began, busy = time.monotonic(), time.process_time()
                await relay.delivered()
                return {**_since(began), "cpu": time.process_time() - busy, "warm": WARMING * sinks}

    async def single(self, sinks: int, trials: int) -> Answer:
        """Many sinks, and one of them matches: one event after the other, each from before its commit."""
        began = []
        with opened(self._config(sinks, each_its_models=True)) as (settings, state):
            async with running(settings, state) as relay:
                for n in range(trials):
                    event = events(1, [f"{n % sinks}-model"])
                    began.append(time.monotonic())
                    relay.commit(event)
                    await relay.delivered()
        return {"began": began}

    async def burst(self, sinks: int, _: int) -> Answer:
        """Cold: from before the commit of one event that every sink wants; the client opens itself then."""
        with opened(self._config(sinks)) as (settings, state):
            async with running(settings, state) as relay:
                event = events(1, ["model"])
                began = time.monotonic()
                relay.commit(event)
                await relay.delivered()
                return _since(began)

    async def drain(self, sinks: int, each: int) -> Answer:
        """Many sinks, each with some events waiting: memory before, after and at the most."""
        with opened(self._config(sinks)) as (settings, state):
            async with running(settings, state) as relay:
                relay.commit(events(1, ["warm"]))
                await relay.delivered()
                relay.commit(events(each, ["model"]))
                forget_peak()
                before, began = memory_mb()["now"], time.monotonic()
                await relay.delivered()
                return {**_since(began), **memory_mb(), "before": before, "warm": sinks}


class Bare:
    """What anybody would write with httpx: so many coroutines over one list; nothing survives them."""

    def __init__(self, _: Path, port: int) -> None:
        self._port = port
        (event,) = events(1, ["model-1"])
        self._body = mlflow_body(event, event.type.value, "sink-0")
        signed = SIGNATURES["mlflow"].sign(["secret"], event.id, 1, self._body)
        self._headers = {"Content-Type": "application/json", DELIVERY_ID_HEADER: event.id, **signed}

    def _client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        return httpx.AsyncClient(limits=limits)

    async def _post(self, client: httpx.AsyncClient, sink: int) -> None:
        url = url_of(sink, self._port)
        answer = await client.post(url, content=self._body, headers=self._headers)
        answer.raise_for_status()

    async def _each(self, client: httpx.AsyncClient, number: int, sinks: int) -> None:
        """So many at a time to each sink."""
        left = [number // sinks] * sinks

        async def worker(sink: int) -> None:
            while left[sink]:
                left[sink] -= 1
                await self._post(client, sink)

        await asyncio.gather(*(worker(sink) for sink in range(sinks) for _ in range(AT_A_TIME)))

    async def throughput(self, sinks: int, number: int) -> Answer:
        async with self._client() as client:
            await self._each(client, WARMING * sinks, sinks)
            began, busy = time.monotonic(), time.process_time()
            await self._each(client, number, sinks)
            return {**_since(began), "cpu": time.process_time() - busy, "warm": WARMING * sinks}

    async def single(self, sinks: int, trials: int) -> Answer:
        began = []
        async with self._client() as client:
            for n in range(trials):
                began.append(time.monotonic())
                await self._post(client, n % sinks)
        return {"began": began}

    async def burst(self, sinks: int, _: int) -> Answer:
        began = time.monotonic()
        async with self._client() as client:
            await asyncio.gather(*(self._post(client, sink) for sink in range(sinks)))
            return _since(began)


def _since(began: float) -> Answer:
    return {"began": began, "seconds": time.monotonic() - began}


def _mlflow(folder: Path, port: int) -> Any:
    from webhooks import Webhooks  # noqa: PLC0415 - all of MLflow, which the others must not hold

    return Webhooks(folder, port)


ROLES: dict[str, Callable[[Path, int], Any]] = {"relay": Relay, "bare": Bare, "mlflow": _mlflow}


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # answers are all that may go there
    os.environ[SECRET] = "secret"
    role, (folder, port) = sys.argv[1], sys.argv[2].rsplit(":", 1)
    log_path = Path(folder) / f"{role}-{os.getpid()}.log"
    with log_path.open("w") as log, asyncio.Runner() as runner:
        sender = ROLES[role](Path(folder), int(port))
        for line in sys.stdin:
            word, *numbers = line.split()
            with redirect_stderr(log):
                answer = runner.run(getattr(sender, word)(*map(int, numbers)))
            print(json.dumps(answer), file=answers, flush=True)


main()
