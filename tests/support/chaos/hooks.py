"""Webhooks that come, change and go during a storm, by a client that repeats a request until it is answered."""

import base64
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event as Flag
from threading import Thread

from bridge.events.event import Event
from support.chaos.judge import Due, Request
from support.chaos.sinks import EVERYTHING, SECRET
from support.patient_client import PatientClient
from support.receiver import lasting_port

KEY = base64.urlsafe_b64encode(b"storm" * 6 + b"!!").decode()
TOKEN = "t0ken-of-the-storm-of-webhooks"

_PATH = "/api/2.0/mlflow/registry-webhooks"
_MOST = 6
_PAUSE_S = 0.4
_READ_LATE_S = 5.0
"""How much later than it was sent a busy receiver may read a request, at most."""


@dataclass(frozen=True)
class Told:
    """What a client knows of a webhook: when it was acknowledged, and when its deletion was asked for and acknowledged."""

    id: str
    created: float
    deleting: float | None = None
    deleted: float | None = None
    description: str = ""


class HookChurn:
    """Creates, changes and deletes webhooks, one request after the other, until it is stopped."""

    def __init__(self, seed: int, target: str) -> None:
        self.port = lasting_port()
        self.told: dict[str, Told] = {}
        self._target = target
        self._chance = random.Random(seed)  # noqa: S311
        self._stop = Flag()
        self.client = PatientClient(self.port, TOKEN, self._stop)
        self._thread = Thread(target=self._work, daemon=True)

    def section(self) -> str:
        """Return the sections of the configuration that the webhooks need."""
        return (
            f'[server]\nlisten = "127.0.0.1:{self.port}"\n'
            'tokens = [{ name = "storm", token = { env = "STORM_TOKEN" }, may = ["webhooks", "request"] },\n'
            '  { name = "mlflow", token = { env = "STORM_PLUGIN_TOKEN" }, may = ["read", "webhooks", "request", "decide"], '
            "acts_for_users = true }]\n"
            '[webhooks]\nencryption_key = { env = "STORM_KEY" }\nallowed_hosts = ["127.0.0.0/8"]\n'
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask for nothing more; what was not answered by then is known to nobody."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        number = 0
        while not self._stop.wait(_PAUSE_S * self._chance.random()):
            number += 1
            alive = [one.id for one in self.told.values() if one.deleting is None]
            if len(alive) < 2 or (len(alive) < _MOST and self._chance.random() < 0.5):
                self._create(number)
            elif self._chance.random() < 0.5:
                self._update(self._chance.choice(alive), number)
            else:
                self._delete(self._chance.choice(alive))

    def _create(self, number: int) -> None:
        spec = {"url": self._target, "secret": SECRET}
        given = {"events": EVERYTHING, "http_url_spec": spec, "description": f"made {number}"}
        answer = self.client.asked("POST", f"{_PATH}/create", given)
        if answer:
            made = answer[1]["webhook"]
            self.told[made["id"]] = Told(made["id"], time.time(), description=made["description"])

    def _update(self, webhook: str, number: int) -> None:
        description = f"changed {number}"
        if self.client.asked("PATCH", f"{_PATH}/update", {"id": webhook, "description": description}):
            self.told[webhook] = replace(self.told[webhook], description=description)
        else:
            self.told[webhook] = replace(self.told[webhook], description="?")

    def _delete(self, webhook: str) -> None:
        self.told[webhook] = replace(self.told[webhook], deleting=time.time())
        answer = self.client.asked("DELETE", f"{_PATH}/delete", {"id": webhook}, may_be=[404])
        if answer is not None:
            tries, found = answer
            if tries == 1 and "webhook" not in found and "error_code" in found:
                self.client.unexpected.append(f"{webhook} is gone before its deletion: {found}")
            self.told[webhook] = replace(self.told[webhook], deleted=time.time())


def wanted_by(told: Mapping[str, Told], events: Mapping[str, Event]) -> Iterator[tuple[str, str]]:
    """Yield webhooks, and the ids of events that were observed after they were acknowledged; none that was to be deleted."""
    for one in told.values():
        for key, event in events.items():
            if one.deleting is None and event.observed_at > one.created * 1000:
                yield one.id, key


def due_of(told: Mapping[str, Told], due: Sequence[Due]) -> list[Due]:
    """Return what has to come: of webhooks that were to be deleted, nothing has to."""
    gone = {one.id for one in told.values() if one.deleting is not None}
    return [one for one in due if one.sink not in gone]


def after_deletion(told: Mapping[str, Told], requests: Sequence[Request]) -> list[str]:
    """Return the requests that a webhook got after its deletion was acknowledged."""
    ends = {one.id: one.deleted for one in told.values() if one.deleted is not None}
    return [
        f"{one.sink}: {one.id} came {one.at - ends[one.sink]:.1f} s after its deletion was acknowledged"
        for one in requests
        if one.at > ends.get(one.sink, one.at) + _READ_LATE_S
    ]


def unlike_told(told: Mapping[str, Told], stored: Mapping[str, str]) -> list[str]:
    """Return how the stored webhooks (their descriptions by id) differ from what clients were told."""
    alive = {one.id: one for one in told.values() if one.deleting is None}
    gone = {one.id for one in told.values() if one.deleted is not None}
    return [
        *(f"{key} was acknowledged, and is not there" for key in alive if key not in stored),
        *(f"{key} is there, and was acknowledged as deleted" for key in gone if key in stored),
        *(
            f"{key} is {stored[key]!r}, and was acknowledged as {one.description!r}"
            for key, one in alive.items()
            if key in stored and one.description not in {"?", stored[key]}
        ),
    ]
