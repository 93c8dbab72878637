"""The daemon for half an hour under a steady workload: does what it takes stay as it is?

    python benchmarks/soak.py [--minutes 30] [--rate 1.5] [--share 0.05] [--spare 2] [--keep FOLDER]

A real `mlflow server`, three sinks (one is slow, one fails now and then), a reload every two minutes, metrics
scraped all the time. Exits 1 if memory, open files or threads grow or shrink after the warm-up, on any warning
but the planted ones, and on anything that was not delivered.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from measure import table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.command import Bridge, stop
from support.mlflow_server import MlflowServer
from support.receiver import Answer, Receiver, free_port
from support.soak import FLAKY, Course, Flaky, Sample, Steady, course, growth_faults, log_faults, sample
from support.until import wait_until

_EVENTS = '["MODEL_VERSION_TRANSITIONED_STAGE", "MODEL_VERSION_CREATED", "MODEL_VERSION_DELETED", '
_EVENTS += '"MODEL_VERSION_TAG_SET", "MODEL_VERSION_ALIAS_SET"]'
_RELOAD_EVERY_S, _FLAKY_FOR = 120.0, 0.15
_HISTORY = "2m"
"""What is kept of the past is memory, too: as much is forgotten as comes in, once it is as old as this."""


@dataclass
class Soak:
    """One run: what was sampled, and what else was seen."""

    bridge: Bridge
    receivers: dict[str, Receiver]
    port: int
    seconds: float
    samples: list[Sample] = field(default_factory=list)
    scrapes: int = 0
    reloads: int = 0

    def configure(self, registry: str, interval: str) -> None:
        sinks = [
            f'[[sinks]]\nname = "{name}"\ntype = "http"\nurl = "{receiver.url}/hook"\nevents = {_EVENTS}\n'
            'secret = { env = "CI_SECRET" }\nfirst_retry = "1s"\nlongest_retry = "5s"\n'
            for name, receiver in self.receivers.items()
        ]
        parts = [
            f'[registry]\ntracking_uri = "{registry}"\n',
            f'[poll]\ninterval = "{interval}"\nreconcile_interval = "30s"\n',
            f'[state]\nurl = "tinydb:./state"\nhistory = "{_HISTORY}"\ndead_history = "{_HISTORY}"\n',
            f'[server]\nlisten = "127.0.0.1:{self.port}"\n',
            *sinks,
        ]
        self.bridge.config.write_text("\n".join(parts))

    def run(self, url: str, rate: float) -> int:
        """Work, sample and reload until the time is over; return the daemon's exit code."""
        workload = Steady(url)
        self.configure(url, "1s")
        with self.bridge.running() as daemon:
            self.bridge.wait_for_log("baseline.taken")
            began = time.monotonic()
            while (passed := time.monotonic() - began) < self.seconds:
                until = time.monotonic() + 1 / rate
                workload.mutate()
                if passed > (self.reloads + 1) * min(_RELOAD_EVERY_S, self.seconds / 3):
                    self.reload(url, daemon)
                self.scrape()
                self.samples.append(sample(daemon.pid))
                time.sleep(max(0.0, until - time.monotonic()))
            self.receivers[FLAKY].answer.heals = True
            self.wait_until_empty()
            self.made = workload.made
            return stop(daemon)

    def reload(self, url: str, daemon) -> None:
        self.reloads += 1
        self.configure(url, "1s" if self.reloads % 2 == 0 else "900ms")
        daemon.send_signal(signal.SIGHUP)

    def scrape(self) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            answer.read()
        self.scrapes += 1

    def wait_until_empty(self) -> None:
        counts: list[dict[str, int]] = []

        def is_settled() -> bool:
            status = self.bridge.status()
            counts.append({name: len(got) for name, got in self.ids().items()})
            waiting = sum(sink["pending"] + sink["dead"] for sink in status["sinks"])
            return waiting == 0 and len(counts) > 3 and counts[-1] == counts[-4]

        wait_until(is_settled)

    def ids(self) -> dict[str, set[str]]:
        return {name: {got.delivery_id for got in one.got} for name, one in self.receivers.items()}

    def faults(self, seen: Course, share: float, spare: int, code: int) -> list[str]:
        found = growth_faults(seen, share, spare) + log_faults(self.bridge.log)
        ids = self.ids()
        if len({len(got) for got in ids.values()}) != 1:
            found.append(f"sinks got different events: { {name: len(got) for name, got in ids.items()} }")
        if code:
            found.append(f"the daemon exited {code}")
        if not self.receivers[FLAKY].answer.failed:
            found.append("no failure was planted: nothing was shown")
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=1.5, help="mutations a second")
    parser.add_argument("--share", type=float, default=0.05, help="how far memory may move")
    parser.add_argument("--spare", type=int, default=2, help="how far open files and threads may move")
    parser.add_argument("--keep", type=Path, help="a folder for the state and the log")
    given = parser.parse_args()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    seconds = given.minutes * 60
    with tempfile.TemporaryDirectory() as name:
        server = MlflowServer(Path(name) / "mlflow").start()
        every_s = min(180.0, seconds / 3)
        receivers = {
            "steady": Receiver(),
            "slow": Receiver(Answer(204, delay=0.3)),
            FLAKY: Receiver(Flaky(every_s, every_s * _FLAKY_FOR)),
        }
        soak = Soak(Bridge(given.keep or Path(name) / "bridge", server.url), receivers, free_port(), seconds)
        try:
            code = soak.run(server.url, given.rate)
        finally:
            server.stop()
        seen = course(soak.samples)
        faults = soak.faults(seen, given.share, given.spare, code)
    report(soak, seen)
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


def report(soak: Soak, seen: Course) -> None:
    moved = (seen.last.memory / seen.first.memory - 1) * 100
    table(
        [
            ("soak", "after warm-up", "in the end"),
            ("memory, MB", f"{seen.first.memory:.1f}", f"{seen.last.memory:.1f} ({moved:+.1f} %)"),
            ("open files", str(seen.first.descriptors), str(seen.last.descriptors)),
            ("threads", str(seen.first.threads), str(seen.last.threads)),
            ("most open files, threads", "", f"{most(soak, 'descriptors')}, {most(soak, 'threads')}"),
            ("seconds, mutations", "", f"{soak.seconds:.0f}, {soak.made:,}"),
            ("events to each sink", "", ", ".join(f"{len(got):,}" for got in soak.ids().values())),
            ("planted failures", "", f"{soak.receivers[FLAKY].answer.failed:,}"),
            ("reloads, scrapes", "", f"{soak.reloads}, {soak.scrapes:,}"),
        ]
    )


def most(soak: Soak, what: str) -> int:
    return max(getattr(one, what) for one in soak.samples)


sys.exit(main())
