"""The Dockerfile taken apart, and its steps done by hand in a folder: what can be had without an engine."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.manifests import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
IGNORED = ROOT / "deploy" / "Dockerfile.dockerignore"


@dataclass(frozen=True)
class Step:
    """An instruction, in a stage (counted from 0)."""

    stage: int
    name: str
    text: str


def steps() -> list[Step]:
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    logical = re.sub(r"\\\n", "", "\n".join(lines)).splitlines()
    found: list[Step] = []
    stage = -1
    for line in filter(None, logical):
        name, _, text = line.strip().partition(" ")
        stage += name == "FROM"
        found.append(Step(stage, name, text.strip()))
    return found


def last(name: str) -> str:
    """Return what the image that is shipped says of ``name``."""
    found = [step.text for step in steps() if step.name == name and step.stage == steps()[-1].stage]
    return found[-1]


def health_check() -> list[str]:
    return json.loads(last("HEALTHCHECK").partition("CMD ")[2])


def sent() -> Iterator[str]:
    """Yield what the .dockerignore lets an engine have."""
    for line in IGNORED.read_text().splitlines():
        if line.startswith("!"):
            yield line[1:]


class HandMade:
    """A folder in which the steps were done, with a venv as the base image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = folder / "opt/mlflow-bridge"
        self._context = folder / "context"
        subprocess.run([sys.executable, "-m", "venv", folder / "usr/local"], check=True)
        for name in sent():
            self._bring(name)

    def _bring(self, name: str) -> None:
        source, target = ROOT / name, self._context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)

    def build(self) -> None:
        """Do every step: COPY and RUN with their paths in the folder."""
        (self.folder / "source").mkdir()
        for step in steps():
            if step.name == "COPY" and not step.text.startswith("--from"):
                self._copy(*step.text.split())
            if step.name == "RUN":
                self._run(step)

    def _copy(self, *words: str) -> None:
        *names, target = words
        into = self.folder / "source" / target
        for name in names:
            source = self._context / name
            if source.is_dir():
                shutil.copytree(source, into)
            else:
                shutil.copy(source, into)

    def _run(self, step: Step) -> None:
        text = re.sub(r"(?<![\w.])/(opt|usr/local|var/lib)/", rf"{self.folder}/\1/", step.text)
        (self.folder / "var/lib").mkdir(parents=True, exist_ok=True)
        path = f"{self.folder}/usr/local/bin:{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-c", text],
            cwd=self.folder / "source",
            env={**os.environ, "PATH": path, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{text}: {done.stdout[-2000:]}{done.stderr[-2000:]}"

    def megabytes(self) -> float:
        """Return what of it is shipped on top of the base image."""
        files = [path for path in self.environment.rglob("*") if path.is_file() and not path.is_symlink()]
        return sum(path.stat().st_size for path in files) / 1e6
