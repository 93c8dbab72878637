"""Promotions beside a storm or a workload, past an enforcing gate and by requests: what may be in Production is known from the start."""

import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from threading import Event as Flag
from threading import Thread
from typing import Any

from bridge.governance.transition_request import RequestStatus, TransitionRequest
from support.chaos.judge import Request
from support.fidelity import Models
from support.patient_client import PatientClient

PREFIX = "gate "
_MODELS = 4
_ACCURACIES = (0.95, 0.8, 0.97, 0.5)
_GOOD = frozenset(str(number) for number, one in enumerate(_ACCURACIES, 1) if one >= 0.9)
_PATH = "/api/2.0/mlflow/transition-requests"
_OPEN = ("pending", "approved", "reverting")
_ENDED = frozenset({"applied", "rejected", "cancelled", "failed"})

GATE = f"""
[governance]
most_reverts = 1000
[[gates]]
name = "accuracy"
mode = "enforce"
models = ["{PREFIX}*"]
to_stages = ["Production"]
checks = [{{ name = "accuracy", require = "run.metrics.accuracy >= `0.9`" }}]
"""


class PromotionChurn:
    """Moves versions of the governed models, and asks for Production for them, every ``pause_s`` at the latest."""

    def __init__(self, url: str, seed: int, port: int, token: str, pause_s: float) -> None:
        from mlflow import MlflowClient

        self.port = port
        self._pause_s = pause_s
        self.told: dict[str, str] = {}
        self.moves = 0
        self._names = [f"{PREFIX}{port} {number}" for number in range(_MODELS)]
        self._registry = MlflowClient(url)
        self._stop = Flag()
        self.client = PatientClient(port, token, self._stop)
        self._chances = [random.Random(seed * 2 + number) for number in (0, 1)]  # noqa: S311
        works = (self._move, self._ask)
        self._threads = [
            Thread(target=self._work, args=pair, daemon=True)
            for pair in zip(works, self._chances, strict=True)
        ]

    def prepare(self) -> None:
        """Make the models and their versions, before anyone looks."""
        for name in self._names:
            self._registry.create_registered_model(name)
            for accuracy in _ACCURACIES:
                run = self._registry.create_run("0")
                self._registry.log_metric(run.info.run_id, "accuracy", accuracy)
                self._registry.create_model_version(
                    name, "s3://b/x", run_id=run.info.run_id, await_creation_for=0
                )

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return once the last move and the last question were answered, or given up."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _work(self, step, chance: random.Random) -> None:
        while not self._stop.wait(self._pause_s * chance.random()):
            step(chance, chance.choice(self._names), str(chance.randint(1, len(_ACCURACIES))))

    def _move(self, chance: random.Random, name: str, version: str) -> None:
        stage = chance.choice(("Production", "Production", "Staging", "Archived", "None"))
        archives = stage == "Production" and chance.random() < 0.5
        with suppress(Exception):  # the server is ended now and then: whether it took place does not matter
            self._registry.transition_model_version_stage(
                name, version, stage, archive_existing_versions=archives
            )
            self.moves += 1

    def _ask(self, chance: random.Random, name: str, version: str) -> None:
        given = {"name": name, "version": version, "stage": "Production"}
        given["archive_existing_versions"] = chance.random() < 0.5
        # 400: it is in Production already
        answer = self.client.asked("POST", f"{_PATH}/create", given, may_be=[400])
        if answer and "request" in answer[1]:
            self.told[answer[1]["request"]["id"]] = version


def is_settled(status: Mapping[str, Any]) -> bool:
    """Return whether nothing is left to decide, to make or to undo, by what ``status --output json`` says."""
    found = status["governance"]
    return not any(found[kind].get(one) for kind in ("requests", "direct_transitions") for one in _OPEN)


def free(models: Models) -> Models:
    """Return the models that no gate guards."""
    return {name: model for name, model in models.items() if not name.startswith(PREFIX)}


def told_past_the_gate(requests: Iterable[Request]) -> list[str]:
    """Return the requests that tell a sink of a promotion that the gate refuses."""
    return [
        f"{one.sink}: was told that version {one.body['model_version']} of {one.body['model_name']} is in Production"
        for one in requests
        if '"Production"' in one.raw
        and one.body.get("to_stage") == "Production"
        and one.body["model_name"].startswith(PREFIX)
        and one.body["model_version"] not in _GOOD
    ]


def past_the_gate(final: Models) -> list[str]:
    """Return the versions that are in Production in the end, and may not be."""
    return [
        f"version {version} of {name} is in Production"
        for name, model in final.items()
        if name.startswith(PREFIX)
        for (what, version, _), value in model.slots.items()
        if (what, value) == ("stage", "Production") and version not in _GOOD
    ]


def unlike_last_told(requests: Iterable[Request], final: Models) -> list[str]:
    """Return the governed versions that ended in another stage than the last that was told.

    From the stage that was told before, a transition need not follow: what a gate refused comes to nobody.
    """
    last: dict[tuple[str, str], str] = {}
    for one in requests:
        body = one.body
        if body["model_name"].startswith(PREFIX) and "to_stage" in body:
            last[body["model_name"], body["model_version"]] = body["to_stage"]
    return [
        f"version {version} of {name} is in {stage}, and was told to be in {last[name, version]}"
        for name, model in final.items()
        for (what, version, _), stage in model.slots.items()
        if what == "stage" and last.get((name, version or ""), stage) != stage
    ]


def unlike_decisions(
    told: Mapping[str, str], stored: Sequence[TransitionRequest], requests: Iterable[Request]
) -> list[str]:
    """Return requests that were forgotten, left open, decided against their gate, or used for two transitions."""
    known = {one.id for one in stored}
    used = [one.event_id for one in stored if one.event_id]
    taken = {one.id for one in requests if one.taken}
    applied = [one for one in stored if one.status is RequestStatus.APPLIED]
    rejected = [one for one in stored if one.status is RequestStatus.REJECTED]
    return [
        *(f"{key} was acknowledged, and is not there" for key in told if key not in known),
        *(f"{one.id} is {one.status}" for one in stored if one.status not in _ENDED),
        *(f"{one.id} was applied, against its gate" for one in applied if one.version not in _GOOD),
        *(f"{one.id} was rejected, against its gate" for one in rejected if one.version in _GOOD),
        *(f"{one} stands for two requests" for one in set(used) if used.count(one) > 1),
        *(
            f"{one.id}: its transition was told to nobody"
            for one in applied
            if one.event_id and one.event_id not in taken
        ),
    ]
