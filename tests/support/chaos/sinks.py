"""The storm's sinks: what each asks for, how its receiver misbehaves, and the processes of the receivers."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from signal import SIGKILL

from bridge.diff.registry_changes import ChangeKind
from bridge.events.event import Event
from support.chaos.judge import Request
from support.receiver import is_listening, lasting_port
from support.until import wait_until

SECRET = "s3cret-of-the-storm"
EVERYTHING = tuple(kind.value for kind in ChangeKind)
_RECEIVER = Path(__file__).with_name("receiver.py")


@dataclass(frozen=True)
class StormSink:
    """What a sink asks for, and what its receiver does of a hundred requests."""

    name: str
    does: Mapping[str, int]
    events: Sequence[str] = EVERYTHING
    models: str = "*"
    to_stages: Sequence[str] = ()
    host: str = "127.0.0.1"

    def wants(self, event: Event) -> bool:
        """Whether the event has to come; a rename comes by its old or its new name."""
        names = {event.model_name, event.changed.get("previous_name") or event.model_name}
        stage = event.changed.get("to_stage")
        return (
            event.type.value in self.events
            and any(fnmatchcase(name, self.models) for name in names)
            and (not self.to_stages or stage is None or stage in self.to_stages)
        )

    def section(self, url: str) -> str:
        """Return the sink as it stands in the configuration."""
        asked = f"events = {json.dumps(self.events)}\nmodels = {json.dumps([self.models])}\n"
        stages = f"to_stages = {json.dumps(self.to_stages)}\n" if self.to_stages else ""
        return (
            f'[[sinks]]\nname = "{self.name}"\ntype = "http"\nurl = "{url}/hook"\n'
            f'secret = {{ env = "STORM_SECRET" }}\n{asked}{stages}'
        )


SINKS = (
    StormSink("copy", {"ok": 80, "odd": 4, "500": 8, "429": 1, "302": 2, "late": 2, "torn": 2, "drop": 1}),
    StormSink(
        "slow",
        {"ok": 85, "hang": 3, "late": 8, "torn": 4},
        events=("MODEL_VERSION_TRANSITIONED_STAGE",),
        host="slow.storm.test",
    ),
    StormSink(
        "busy",
        {"ok": 40, "odd": 10, "429": 15, "503": 15, "302": 10, "drop": 10},
        events=("MODEL_VERSION_TRANSITIONED_STAGE",),
        models="*[02468]",
        host="busy.storm.test",
        to_stages=("Production",),
    ),
    StormSink(
        "torn",
        {"ok": 70, "torn": 10, "drop": 10, "500": 10},
        events=("REGISTERED_MODEL_RENAMED", "MODEL_VERSION_CREATED", "MODEL_VERSION_DELETED"),
    ),
)
"""The first gets everything, so that what it took can be applied to the baseline. Names are the launcher's to resolve."""

OF_WEBHOOKS = StormSink("hooks", {"ok": 75, "odd": 5, "500": 8, "hang": 2, "late": 4, "torn": 4, "drop": 2})
"""The receiver of all webhooks, which are no sinks of the file."""

RECEIVERS = (*SINKS, OF_WEBHOOKS)

BY_PROXY = "torn"
"""The sink that is reached by a proxy, which comes and goes."""


class Receivers:
    """One process for each sink, that can be killed, started again, and cured."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._ports = {sink.name: lasting_port() for sink in RECEIVERS}
        self._processes: dict[str, subprocess.Popen] = {}
        self.starts = 0
        self._is_cured = False
        for sink in RECEIVERS:
            self.start(sink.name)

    def sections(self) -> list[str]:
        return [sink.section(f"http://{sink.host}:{self._ports[sink.name]}") for sink in SINKS]

    def url_of_webhooks(self) -> str:
        return f"http://127.0.0.1:{self._ports[OF_WEBHOOKS.name]}/hook"

    def places(self) -> dict[str, str]:
        """Return host and port of each sink."""
        return {sink.name: f"{sink.host}:{self._ports[sink.name]}" for sink in SINKS}

    def start(self, name: str) -> None:
        """Start a sink's receiver, where it does not run, and wait for its port."""
        if name in self._processes:
            return
        self.starts += 1
        [does] = [sink.does for sink in RECEIVERS if sink.name == name]
        weights = {"ok": 1} if self._is_cured else does
        seed = f"{self._seed} {name} {self.starts}"
        self._processes[name] = subprocess.Popen(
            [
                sys.executable,
                "-P",
                _RECEIVER,
                str(self._ports[name]),
                self._log(name),
                seed,
                json.dumps(weights),
            ]
        )
        wait_until(lambda: is_listening(self._ports[name]))

    def crash(self, name: str) -> None:
        """Kill a sink's receiver, whatever it is doing; its port is closed then."""
        process = self._processes.pop(name, None)
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(SIGKILL)
            process.wait()

    def cure(self) -> None:
        """Have all of them answer well from now on."""
        self._is_cured = True
        for sink in RECEIVERS:
            self.crash(sink.name)
            self.start(sink.name)

    def stop(self) -> None:
        for sink in RECEIVERS:
            self.crash(sink.name)

    def requests(self) -> list[Request]:
        """Return all that came, sink by sink, in the order in which it came there."""
        found = [
            Request.of(sink.name, json.loads(line))
            for sink in RECEIVERS
            for line in self._log(sink.name).read_text().splitlines()
        ]
        return [
            replace(one, sink=one.body["webhook_id"]) if one.sink == OF_WEBHOOKS.name else one
            for one in found
        ]

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.jsonl"
