"""Killed again and again under a flaky receiver: nothing lost, nothing out of order."""

import random
import signal
import threading
import time

import pytest
from support.command import Bridge, http_sink, stop
from support.receiver import Answer, Got, Receiver

pytestmark = pytest.mark.filterwarnings("ignore")

KILLS = 4
STAGES = ("None", "Staging", "Production", "Archived")


class FlakyReceiver(Receiver):
    """Fails now and then, by a seed that can be replayed; ``taken`` is what it said yes to."""

    def __init__(self, seed: int) -> None:
        self.taken: list[Got] = []
        self._chance = random.Random(seed)  # noqa: S311
        super().__init__(self._judge)

    def _judge(self, got: Got) -> Answer:
        draw = self._chance.random()
        if draw < 0.2:
            return Answer(500)
        if draw < 0.3:
            return Answer(429, {"Retry-After": "1"})
        self.taken.append(got)
        return Answer(204, delay=0.3 if draw < 0.4 else 0.0)


def mutate(client, models: list[str], until: threading.Event) -> None:
    chance = random.Random(9)  # noqa: S311
    while not until.is_set():
        name, version, stage = chance.choice(models), str(chance.randint(1, 2)), chance.choice(STAGES)
        client.transition_model_version_stage(
            name, version, stage, archive_existing_versions=stage == "Production"
        )
        time.sleep(0.1)


def settled(bridge: Bridge, since: float, seconds: float = 60) -> dict:
    """Wait until a poll that began after ``since`` went well, and nothing is pending."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = bridge.status()
        poll = status["last_poll"]
        began = (poll["attempted_at"] - poll["duration_ms"]) / 1000
        if poll["outcome"] == "ok" and began > since and not status["sinks"][0]["pending"]:
            return status["sinks"][0]
        time.sleep(1)
    raise AssertionError(bridge.status())


def test_nothing_is_lost_and_each_version_history_is_unbroken(tmp_path, server, client) -> None:
    models = [f"survivor-{number}" for number in range(3)]
    for name in models:
        client.create_registered_model(name)
        for _ in range(2):
            client.create_model_version(name, "s3://b/x")
    receiver = FlakyReceiver(seed=5)
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more='models = ["survivor-*"]'))
    assert bridge.run("once").returncode == 0

    done = threading.Event()
    mutating = threading.Thread(target=mutate, args=(client, models, done))
    mutating.start()
    chance = random.Random(3)  # noqa: S311
    for _ in range(KILLS):
        polls = sum(line["event"] == "poll.committed" for line in bridge.log) if bridge.has_log else 0
        with bridge.running() as daemon:
            bridge.wait_for_log("poll.committed", polls + 1)
            time.sleep(chance.random())
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()
    done.set()
    mutating.join()
    stopped = time.time()
    with bridge.running() as daemon:
        sink = settled(bridge, since=stopped)
        assert stop(daemon) == 0
    receiver.stop()

    stages, seen = {}, set()
    for got in receiver.taken:
        key = (got.body["model_name"], got.body["model_version"])
        if got.delivery_id not in seen:
            assert got.body["from_stage"] == stages.get(key, "None"), "out of order, or lost"
            stages[key] = got.body["to_stage"]
        seen.add(got.delivery_id)
    for name in models:
        for version in ("1", "2"):
            assert client.get_model_version(name, version).current_stage == stages.get(
                (name, version), "None"
            )
    assert (sink["dead"], len(seen) > KILLS) == (0, True)
