"""The steps of the demo, and their explanations on the terminal."""

import asyncio
import json
import os
import secrets
import tempfile
import time
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.config import Settings
from bridge.demo.demo_receiver import Received, Receiver
from bridge.errors import BridgeError
from bridge.events.display_text import count
from bridge.operations.request_execution import Requester
from bridge.operations.requests import change_requests
from bridge.operations.single_run import run_once
from bridge.operations.verified_configuration import load_settings
from bridge.operations.webhooks import change_webhooks
from bridge.store.state_opening import read_state

Say = Callable[[str], None]

_MODEL = "fraud-detector"
_SECRET = "DEMO_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
_KEY = "DEMO_KEY"
_NEEDS = "sqlalchemy", "alembic"
_CONFIG = """\
[registry]
tracking_uri = "{registry}"
registry_uri = "{registry}"      # not the one of your environment
allow_database_uri = true        # only because this registry is the demo's own

[state]
url = "tinydb:./state"

[webhooks]                       # sinks that are created at run time
encryption_key = {{ env = "DEMO_KEY" }}
allowed_hosts = ["127.0.0.0/8"]  # not public addresses alone: the receiver is on this machine

[[gates]]                        # what has to hold before a request for Production is approved
name = "quality"
to_stages = ["Production"]
checks = [{{ name = "accuracy", require = "run.metrics.accuracy >= `0.90`", message = "below 0.90" }}]

[[sinks]]
name = "ci"
type = "http"
url = "{receiver}"
secret = {{ env = "DEMO_WEBHOOK_SECRET" }}
"""


def run_demo(say: Say) -> None:
    """Run the demo in a temporary folder; ``say`` prints a line.

    Raises:
        BridgeError: the `demo` extra is not installed.
    """
    _check_extra()
    with tempfile.TemporaryDirectory(prefix="mlflow-bridge-demo-") as folder:
        _Demo(Path(folder), say).tell()


def _check_extra() -> None:
    from importlib.util import find_spec  # noqa: PLC0415 - only the demo needs it

    if any(find_spec(name) is None for name in _NEEDS):
        msg = "the demo needs a registry of its own: pip install 'mlflow-bridge[demo]'"
        raise BridgeError(msg)


def _new_key() -> str:
    return urlsafe_b64encode(secrets.token_bytes(32)).decode()


class _Demo:
    def __init__(self, folder: Path, say: Say) -> None:
        self._folder = folder
        self._say = say
        os.environ.update(
            {_SECRET: secrets.token_hex(16), _KEY: _new_key(), "no_proxy": "*"}
        )  # everything runs on this machine
        self._receiver = Receiver(os.environ[_SECRET], self._received)
        self._registry = self._make_registry()
        self._settings = self._configure()

    def tell(self) -> None:
        self._begin()
        self._promote()
        self._outage()
        self._webhook()
        self._govern()
        self._end()

    def _begin(self) -> None:
        self._title("A real MLflow registry, in a temporary folder")
        self._registry.create_registered_model(_MODEL)
        self._registry.create_model_version(_MODEL, "s3://models/fraud/1")
        self._say(f"  registry: {_MODEL} version 1 is registered; its stage is None")
        self._say(f"  receiver: listens at {self._receiver.url}, and verifies every signature")
        self._title("The first poll takes a baseline: what is already there is not news, so nothing is sent")
        self._poll()

    def _promote(self) -> None:
        for stage in ("Staging", "Production"):
            self._title(f"Somebody moves version 1 to {stage}; the next poll sees it")
            self._transition("1", stage)
            self._poll()

    def _outage(self) -> None:
        self._title("The receiver goes down. Meanwhile version 2 replaces version 1 in Production")
        self._receiver.stop()
        self._registry.create_model_version(_MODEL, "s3://models/fraud/2")
        self._transition("2", "Production", archive=True)
        self._poll()
        self._say(f"  bridge: why they wait: {self._why()}")
        self._title(
            "The receiver is back: what waited is delivered by a later run, archiving before promotion"
        )
        self._receiver.start()
        while asyncio.run(run_once(self._settings)).waiting:
            time.sleep(0.3)  # until the retry is due: a second or two
        self._say("  bridge: nothing waits any more; the ids are those of the first attempts")

    def _webhook(self) -> None:
        self._title(
            "Somebody creates a webhook for aliases, without a change of the configuration, and names a champion"
        )
        spec = {"url": self._receiver.url, "secret": os.environ[_SECRET]}
        asked = {"model_name": _MODEL, "events": ["MODEL_VERSION_ALIAS_SET"], "http_url_spec": spec}
        made = change_webhooks(self._settings, "create", asked, "demo")["webhook"]
        self._say(f"  bridge: the webhook {made['id']} is created; its secret is stored encrypted")
        self._registry.set_registered_model_alias(_MODEL, "champion", "2")
        self._poll()

    def _govern(self) -> None:
        self._title("Two versions are asked into Production; a gate decides by a metric of their runs")
        for version, accuracy in (("3", 0.80), ("4", 0.95)):
            run = self._registry.create_run("0")
            self._registry.log_metric(run.info.run_id, "accuracy", accuracy)
            self._registry.create_model_version(
                _MODEL, f"s3://models/fraud/{version}", run_id=run.info.run_id
            )
            self._say(f"  somebody: asks for Production for version {version}, whose accuracy is {accuracy}")
            asked = {
                "name": _MODEL,
                "version": version,
                "stage": "Production",
                "comment": "is it good enough?",
            }
            made = change_requests(self._settings, "create", asked, Requester("demo", "demo"))["request"]
            self._say(f"  bridge: {self._decision(made['id'])}")
        self._title("The transition of the approved one was made by the bridge; the next poll sees it")
        self._poll()

    def _decision(self, request: str) -> str:
        with read_state(self._settings) as state:
            found = state.request(request)
        if found is None:
            return "the request is gone"
        return f"{found.status.value} by {found.decided_by}: {found.decision_comment}"

    def _why(self) -> str:
        with read_state(self._settings) as state:
            return state.summaries()["ci"].last_detail

    def _end(self) -> None:
        self._receiver.stop()
        self._title("That was the main job: seen, recorded, signed, delivered, in order, never lost")
        self._say("  The configuration was (its temporary folder is removed again):\n")
        for line in (self._folder / "config.toml").read_text().splitlines():
            self._say(f"    {line}")
        self._say("\n  Next: your own MLflow server and your own receiver, in five minutes: see README.md.")

    def _poll(self) -> None:
        result = asyncio.run(run_once(self._settings))
        self._say(
            f"  bridge: {count(result.new, 'event')} observed, {result.delivered} delivered, {result.waiting} waiting"
        )

    def _received(self, received: Received) -> None:
        verdict = "signature verified" if received.signature_ok else "SIGNATURE WRONG"
        self._say(f"  receiver: delivery {received.delivery_id}, {verdict}")
        for line in json.dumps(received.body, indent=2).splitlines():
            self._say(f"    {line}")

    def _title(self, text: str) -> None:
        self._say(f"\n● {text}")

    def _make_registry(self) -> Any:
        os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_LOGGING_LEVEL="ERROR")
        warnings.filterwarnings("ignore")
        from mlflow import MlflowClient  # noqa: PLC0415 - a slow import

        # Without registry_uri, MLflow would use $MLFLOW_REGISTRY_URI: a real registry of the user.
        return MlflowClient(self._registry_uri, registry_uri=self._registry_uri)

    @property
    def _registry_uri(self) -> str:
        return f"sqlite:///{self._folder}/registry.db"

    def _transition(self, version: str, stage: str, *, archive: bool = False) -> None:
        self._registry.transition_model_version_stage(
            _MODEL, version, stage, archive_existing_versions=archive
        )

    def _configure(self) -> Settings:
        path = self._folder / "config.toml"
        path.write_text(_CONFIG.format(registry=self._registry_uri, receiver=self._receiver.url))
        return load_settings(path)
