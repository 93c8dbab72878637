"""Write `tests/states` anew: states as earlier commits of the bridge really wrote them.

    PYTHONPATH=.:tests python -m support.write_states

Each era's code is taken out of the history, and run against a real `mlflow server` with three sinks: one takes
what it gets, one refuses it for good, one is not there. What is kept: the journal, and ``about.json``: what the
registry was like in the end, and what had been sent. A state that was ever released is never written again:
add a new era, with the commit that released it.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from pathlib import Path

from support.mlflow_server import MlflowServer
from support.receiver import Answer, Receiver, free_port

ROOT = Path(__file__).parents[2]
STATES = ROOT / "tests" / "states"
ERAS = {
    "format-1/1-spine": "953f4d8",
    "format-1/2-fast-polls": "7281b3d",
    "format-1/3-operations": "04a2e72",
}
"""By folder, the commit whose code writes it: the first with each new kind of content in the state."""

_PORT = 59_464
_EVENTS = ("MODEL_VERSION_TRANSITIONED_STAGE", "MODEL_VERSION_CREATED", "MODEL_VERSION_ALIAS_SET")
_WAITING = 74


def main() -> None:
    """Write every state that is not there yet."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    warnings.filterwarnings("ignore")
    for name, commit in ERAS.items():
        if not (STATES / name).exists():
            with tempfile.TemporaryDirectory() as folder:
                write(STATES / name, commit, Path(folder))


def write(target: Path, commit: str, folder: Path) -> None:
    """Have the code of ``commit`` write a state, and keep it as ``target``."""
    code = _code(commit, folder / "code")
    server = MlflowServer(folder / "mlflow")
    server.port = _PORT
    server.start()
    takes, refuses = Receiver(), Receiver(Answer(400))
    try:
        _configure(folder, server.url, {"takes": takes.url, "refuses": refuses.url, "down": _nobody()})
        changes = _changes(server.url)
        next(changes)
        _once(code, folder, 0)
        for _ in changes:
            _once(code, folder, _WAITING)
        time.sleep(3)
        _once(code, folder, _WAITING)  # another attempt of what waits
        about = {"commit": commit, "registry": server.url, **_registry(server.url)}
    finally:
        server.stop()
        for receiver in (takes, refuses):
            receiver.stop()
    sent = [{"id": got.delivery_id, "body": got.body} for got in takes.got]
    _keep(target, folder / "state" / "journal", {**about, "sent": sent})


def _code(commit: str, folder: Path) -> Path:
    archive = subprocess.run(
        ["/usr/bin/git", "archive", commit, "bridge"], cwd=ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def _nobody() -> str:
    return f"http://127.0.0.1:{free_port()}"


def _configure(folder: Path, registry: str, sinks: dict[str, str]) -> None:
    parts = [f'[registry]\ntracking_uri = "{registry}"\n[state]\nurl = "tinydb:./state"\n']
    parts += [
        f'[[sinks]]\nname = "{name}"\ntype = "http"\nurl = "{url}/hook"\nevents = {json.dumps(_EVENTS)}\n'
        for name, url in sinks.items()
    ]
    (folder / "config.toml").write_text("\n".join(parts))


def _once(code: Path, folder: Path, expected: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "once", "--config", str(folder / "config.toml")],
        env={**os.environ, "PYTHONPATH": str(code)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expected, done.stderr


def _changes(url: str):
    """Make a registry; then change it, a step at each turn."""
    from mlflow import MlflowClient

    client = MlflowClient(url)
    for name in ("fraud-detector", 'o\'brien "ünï"', "rests"):
        client.create_registered_model(name, {"team": "ml"}, "what it is")
        for number in range(3):
            client.create_model_version(name, f"s3://b/{number}", tags={"n": str(number)}, description="d")
    client.set_registered_model_alias("rests", "champion", "2")
    yield
    client.transition_model_version_stage("fraud-detector", "1", "Staging")
    client.set_registered_model_alias("fraud-detector", "champion", "1")
    client.transition_model_version_stage('o\'brien "ünï"', "3", "Production")
    yield
    client.transition_model_version_stage("fraud-detector", "1", "Production")
    client.create_model_version('o\'brien "ünï"', "s3://b/new")
    yield


def _registry(url: str) -> dict:
    """Return what the registry is like, as MLflow's own client tells it."""
    from mlflow import MlflowClient

    client = MlflowClient(url)
    versions = list(client.search_model_versions())
    models = {
        model.name: {
            "created": model.creation_timestamp,
            "updated": model.last_updated_timestamp,
            "description": model.description,
            "tags": model.tags,
            "aliases": {alias: str(version) for alias, version in model.aliases.items()},
            "versions": {
                str(one.version): {
                    "created": one.creation_timestamp,
                    "updated": one.last_updated_timestamp,
                    "stage": one.current_stage,
                    "description": one.description or "",
                    "tags": one.tags,
                }
                for one in versions
                if one.name == model.name
            },
        }
        for model in client.search_registered_models()
    }
    return {"fingerprint": str(client.get_experiment("0").creation_time), "models": models}


def _keep(target: Path, journal: Path, about: dict) -> None:
    target.mkdir(parents=True)
    shutil.copyfile(journal, target / "journal")
    (target / "about.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
