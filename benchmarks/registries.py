"""Registries of a given size, written straight into the database of a real `mlflow server`."""

import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Protocol

from support.mlflow_server import MlflowServer

VERSIONS_A_MODEL = 10
SCHEMA = "schema"
"""The database that a server makes, and that the others are copies of."""

_DAY_MS = 86_400_000
_PURPOSES = ("fraud", "churn", "demand", "pricing", "ranking", "credit-risk", "vision", "summaries")
_TEAMS = ("payments", "growth", "logistics", "search", "platform")
_NOTES = (
    "Retrained on last month's data.",
    "Fixes the feature drift of March.",
    "Candidate of the A/B test.",
)

COLUMNS = {
    "registered_models": ("name", "creation_time", "last_updated_time", "description"),
    "registered_model_tags": ("name", "key", "value"),
    "registered_model_aliases": ("name", "alias", "version"),
    "model_versions": (
        *("name", "version", "creation_time", "last_updated_time", "description"),
        *("current_stage", "source", "run_id", "status"),
    ),
    "model_version_tags": ("name", "version", "key", "value"),
}
"""MLflow's tables, each after those that it refers to; what is left out has a default or may be null."""

Row = tuple[str | int | None, ...]


@dataclass
class Rows:
    """The rows of every table of `COLUMNS`, for ``versions`` model versions, ``each`` model with as many."""

    versions: int
    each: int = VERSIONS_A_MODEL
    tables: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in COLUMNS})

    def __post_init__(self) -> None:
        """Make them: the same ones every time, but for the day that they end on."""
        chance = random.Random(self.versions)
        # At rest for a day: nothing here is as new as what a poll reads again to be sure.
        end = int(time.time() * 1000) // _DAY_MS * _DAY_MS - _DAY_MS
        for number in range(self.versions // self.each):
            self._add_model(number, end, chance)

    def _add_model(self, number: int, end: int, chance: random.Random) -> None:
        purpose, team = chance.choice(_PURPOSES), chance.choice(_TEAMS)
        name = f"{purpose}-{number:06}"
        created = end - chance.randrange(364 * _DAY_MS)
        updated = self._add_versions(name, created, end, chance)
        note = f"The {purpose} model of {team}." if number % 3 == 0 else None
        self.tables["registered_models"].append((name, created, updated, note))
        tags = [(name, "team", team), (name, "tier", str(chance.randrange(1, 4)))]
        self.tables["registered_model_tags"].extend(tags)
        if number % 10 == 0:
            self.tables["registered_model_aliases"].append((name, "champion", self.each - 1))

    def _add_versions(self, name: str, created: int, end: int, chance: random.Random) -> int:
        """Add a model's versions; return when the last change was, which is the model's, too."""
        stages = {self.each - 1: "Production", self.each: "Staging"}
        births = sorted(created + chance.randrange(end - created + 1) for _ in range(self.each))
        latest = created
        for version, born in enumerate(births, start=1):
            run_id = f"{chance.getrandbits(128):032x}"
            updated = born + chance.randrange(end - born + 1)
            latest = max(latest, updated)
            source = f"s3://models-{name.partition('-')[0]}/17/{run_id}/artifacts/model"
            note = chance.choice(_NOTES) if version % 4 == 0 else None
            stage = stages.get(version, "None")
            self.tables["model_versions"].append(
                (name, version, born, updated, note, stage, source, run_id, "READY")
            )
            tags = [("git_sha", f"{chance.getrandbits(160):040x}"), ("auc", f"{chance.random():.4f}")]
            self.tables["model_version_tags"].extend((name, version, *tag) for tag in tags)
        return latest


class Backend(Protocol):
    """Databases by name, for `mlflow server` to use."""

    @property
    def pids(self) -> Sequence[int]:
        """The processes beside the server's own whose time counts as the registry's."""
        ...

    def uri(self, name: str) -> str:
        """Return what `--backend-store-uri` takes."""
        ...

    def fill(self, name: str, rows: Rows) -> None:
        """Make a copy of `SCHEMA` that holds ``rows``. Nothing may be using either."""
        ...


class Sqlite:
    """A `Backend` of files in a folder."""

    pids: Sequence[int] = ()

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def uri(self, name: str) -> str:
        return f"sqlite:///{self._folder}/{name}.db"

    def fill(self, name: str, rows: Rows) -> None:
        with (
            closing(sqlite3.connect(self._folder / f"{SCHEMA}.db")) as schema,
            closing(sqlite3.connect(self._folder / f"{name}.db")) as database,
        ):
            schema.backup(database)
            with database:
                for table, columns in COLUMNS.items():
                    places = ", ".join("?" * len(columns))
                    command = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
                    database.executemany(command, rows.tables[table])


@dataclass(frozen=True)
class Served:
    """A registry that answers."""

    versions: int
    url: str
    pids: tuple[int, ...]


@contextmanager
def served(
    backend: Backend, sizes: Sequence[int], folder: Path, each: int = VERSIONS_A_MODEL
) -> Iterator[dict[int, Served]]:
    """Fill and serve a registry of each size, all side by side, for as long as the context lasts."""
    with ExitStack() as stack:
        _start(backend, SCHEMA, folder).stop()
        registries = {}
        for size in sizes:
            name = f"versions_{size}"
            began = time.perf_counter()
            backend.fill(name, Rows(size, each))
            filled = time.perf_counter() - began
            server = _start(backend, name, folder)
            stack.callback(server.stop)
            print(f"{size:,} versions filled in within {filled:.1f} s, served at {server.url}", flush=True)
            registries[size] = Served(size, server.url, tuple(chain([server.pid], backend.pids)))
        yield registries


def _start(backend: Backend, name: str, folder: Path) -> MlflowServer:
    # The job runner has no part in the registry; its seven processes would count as the server's.
    server = MlflowServer(
        folder / name, "--backend-store-uri", backend.uri(name), MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"
    )
    try:
        return server.start()
    except BaseException:
        server.stop()
        raise
