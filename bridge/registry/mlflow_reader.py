"""The registry reader: reads any registry that MLflow's own client can reach."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

import structlog

from bridge.config import RegistrySettings, is_databricks, is_unity_catalog
from bridge.diff.absence_verification import Absence, Answer, Doubt, Listing
from bridge.diff.full_scan_comparison import Collector
from bridge.diff.known_snapshot import KnownModels
from bridge.diff.malformed_rows import OddRow, with_unnamed_rows
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.errors import RegistryError, RegistryLacks
from bridge.registry.ability_detection import confirm, detect_abilities, misreads
from bridge.registry.base import Deadline, RowPosition
from bridge.registry.entity_conversion import conditions, model_of
from bridge.registry.lookup_by_name import PointReads
from bridge.registry.mlflow_client import Connection, Cursor
from bridge.registry.mlflow_searches import BY_TIME, Searches
from bridge.registry.scan_position import ScanProgress
from bridge.registry.searches_by_name import NameBatches
from bridge.registry.server_version import server_version

log = structlog.get_logger(__name__)

_CALM_PAGE = 3
"""If nothing changed, a page this small shows it, and one changed model, too. A page of 10 costs a sixth more, of 20 a half."""

_BUSY_PAGE = 10
"""The first page where a calm one was not enough lately: up to eight models can change before a second one is needed."""

_CALM_AFTER = 10
"""After so many reads to which the first page was enough, it is a calm one again."""

_REFUSAL_LASTS_S = 3600
_LATER_PAGES = 100


class MlflowRegistry:
    """`bridge.registry.base.Registry` through ``MlflowClient``, which is imported on first use."""

    def __init__(self, settings: RegistrySettings, scanned: Callable[[int, int], None] | None = None) -> None:
        """Store the settings of the registry; no request is made yet.

        ``scanned`` is called after each page of a scan with the numbers of models and versions read, in the
        thread that reads.
        """
        self._settings = settings
        self._scanned = scanned
        self._connection = Connection(settings)
        self._searches = Searches(self._connection, include_prompts=settings.include_prompts)
        self._batches = NameBatches(settings.uri)
        self._abilities = Abilities()
        self._probed_at: float | None = None
        self._calm_reads = _CALM_AFTER
        self._unnamed: list[OddRow] = []

    def prepare(self) -> None:
        """Import MLflow."""
        self._connection.prepare()

    def expect(self, abilities: Abilities) -> None:
        """Assume these abilities, which an earlier run detected, until a scan finds another server."""
        self._abilities = abilities

    def odd_rows(self) -> list[OddRow]:
        """Return the malformed rows that were skipped since the last call."""
        found = with_unnamed_rows(self._searches.odd, self._unnamed)
        self._searches.odd.clear()
        self._searches.left_out.clear()
        self._unnamed = []
        return found

    def fingerprint(self, deadline: Deadline) -> str | None:
        """Return the creation time of the Default experiment, which identifies the registry's database.

        A workspace other than the default one has no such experiment, and so no fingerprint. For a registry
        on Databricks or in a Unity Catalog, experiments are stored elsewhere.
        """
        if is_databricks(self._settings.uri) or is_unity_catalog(self._settings.uri):
            return None
        found = self._connection.point_read(deadline, lambda client: client.get_experiment("0"))
        created = None if isinstance(found, Absence) else found.creation_time
        return str(created) if created else None

    def scan(
        self,
        known: KnownModels,
        deadline: Deadline,
        *,
        with_facts: bool,
        progress: ScanProgress | None = None,
    ) -> Listing:
        """List models first, then versions, so that a model's timestamp is older than the versions read after it.

        Raises:
            RegistryError: a page could not be read.
        """
        server = self._connection.call(deadline, lambda _client: server_version(self._settings.uri))
        if self._has_to_probe(server):
            self._find_out(server, deadline)
        progress = progress or ScanProgress()
        self._searches.left_out.clear()
        collector = progress.begin(
            known,
            self._searches.sizes,
            with_facts=with_facts,
            server=server,
            kinds=self._searches.kinds(),
        )
        self._collect_models(progress, collector, deadline)
        if not collector.names and self._learns_of_models(deadline):
            progress.begin_again()
            self._collect_models(progress, collector, deadline)
        self._collect_versions(progress, collector, deadline)
        collector.add_unread(row.model for row in self._searches.odd if not row.version)
        self._unnamed = list(self._searches.left_out)
        models, versions = collector.counted
        if (models and not versions) or (not models and (known or not server)):
            confirm(self._connection, deadline)
        return replace(progress.listing(), abilities=self._abilities)

    def _has_to_probe(self, server: str) -> bool:
        """Whether to detect the server's abilities; a request that it refused an hour ago may be supported now."""
        found, probed_at = self._abilities, self._probed_at
        if probed_at is None or server != found.server:
            return True
        takes_all = found.has_order and found.has_names and found.lists_versions
        return not takes_all and time.monotonic() - probed_at > _REFUSAL_LASTS_S

    def _find_out(self, server: str, deadline: Deadline) -> None:
        before, found = self._abilities, detect_abilities(self._connection, server, deadline)
        self._abilities, self._probed_at = found, time.monotonic()
        if found.lacks() != before.lacks():
            log.info("registry.abilities", server=server or None, lacks=found.lacks())

    def _learns_of_models(self, deadline: Deadline) -> bool:
        """Check a list without models; return whether they have to be listed in another way from now on.

        A 2.9 server that was empty when its abilities were detected looks like any other.
        """
        if not self._abilities.lists_models or self._searches.has_met_odd_rows:
            return False
        if not misreads(self._connection, deadline):
            return False
        self._abilities = replace(self._abilities, lists_models=False)
        return True

    def _collect_models(self, progress: ScanProgress, collector: Collector, deadline: Deadline) -> None:
        for kind in self._searches.kinds()[progress.step :]:
            cursor = Cursor(progress.token)
            for page in self._searches.models(self._abilities, deadline, kind, cursor=cursor):
                rows = (
                    page if self._abilities.has_full_rows else self.rows([row.name for row in page], deadline)
                )
                progress.take_in(
                    partial(_take_models, collector, page, rows), cursor.token, of_versions=False
                )
                self._tell(progress)

    def _collect_versions(self, progress: ScanProgress, collector: Collector, deadline: Deadline) -> None:
        kinds = self._searches.kinds()
        if not self._abilities.lists_versions:
            self._collect_by_name(progress, collector, deadline)
            return
        for kind in kinds[progress.step - len(kinds) :]:
            cursor = Cursor(progress.token)
            for page in self._searches.versions(self._abilities, deadline, kind, cursor):
                progress.take_in(partial(_take_versions, collector, page), cursor.token, of_versions=True)
                self._tell(progress)

    def _tell(self, progress: ScanProgress) -> None:
        if self._scanned is not None:
            self._scanned(*progress.counted)

    def _collect_by_name(self, progress: ScanProgress, collector: Collector, deadline: Deadline) -> None:
        names = collector.names
        for number in range(int(progress.token or 0), len(names)):
            name = names[number]
            page = [(name, version) for version in self._versions_of(name, deadline).values()]
            progress.take_in(partial(_take_versions, collector, page), str(number + 1), of_versions=True)
            self._tell(progress)

    def latest(self, deadline: Deadline) -> Iterator[Iterator[Sequence[RegisteredModel]]]:
        """Yield the most recently updated rows, for models and, if they are wanted, for prompts.

        Raises:
            RegistryLacks: the registry does not support this order.
            RegistryError: a page could not be read.
        """
        if not self._abilities.has_order:
            msg = f"{self._settings.shown_uri} does not order models by time"
            raise RegistryLacks(msg)
        return (self._latest(kind, deadline) for kind in self._searches.kinds())

    def _latest(self, kind: str, deadline: Deadline) -> Iterator[Sequence[RegisteredModel]]:
        """Yield a small page first, then larger ones, each from the beginning."""
        is_calm = self._calm_reads >= _CALM_AFTER
        self._calm_reads += 1
        rows = _CALM_PAGE if is_calm else _BUSY_PAGE
        first = self._page(kind, deadline, rows)
        if not first and not kind and self._learns_of_models(deadline):
            first = self._page(kind, deadline, rows)
        yield first
        self._calm_reads = 0
        if is_calm:
            yield self._page(kind, deadline, _BUSY_PAGE)
        yield from self._searches.models(self._abilities, deadline, kind, BY_TIME, _LATER_PAGES)

    def _page(self, kind: str, deadline: Deadline, rows: int) -> Sequence[RegisteredModel]:
        """Return the first page with so many rows."""
        try:
            return next(self._searches.models(self._abilities, deadline, kind, BY_TIME, rows))
        except RegistryLacks:
            self._probed_at = None  # it could before: the next scan detects the abilities again
            raise

    def all_rows(
        self, position: RowPosition, deadline: Deadline
    ) -> Iterator[tuple[Sequence[RegisteredModel], RowPosition | None]]:
        """Yield the rows of all models, ordered by name, and then those of prompts, if they are wanted.

        Raises:
            RegistryError: a page could not be read.
        """
        kinds, token = self._searches.kinds(), position.token
        for step in range(position.step, len(kinds)):
            cursor, token = Cursor(token), None
            for page in self._searches.models(self._abilities, deadline, kinds[step], cursor=cursor):
                following = RowPosition(step, cursor.token) if cursor.token else RowPosition(step + 1)
                yield page, following if following.step < len(kinds) else None

    def rows(self, names: Collection[str], deadline: Deadline) -> list[RegisteredModel]:
        """Return the rows of those of these models that exist and can be read.

        Raises:
            RegistryError: the registry gave no answer.
        """
        if not self._abilities.has_full_rows:
            return [row for name in names if (row := self._row(name, deadline)) is not None]
        wanted = set(names)
        found = self._batches.read(
            sorted(wanted),
            lambda names: self._selected(names, deadline),
            together=self._abilities.has_names,
        )
        return [row for row in found if row.name in wanted]

    def _selected(self, names: str, deadline: Deadline) -> list[RegisteredModel]:
        """Return the rows that a condition selects, of models and, if they are wanted, of prompts."""
        return [
            row
            for kind in self._searches.kinds()
            for page in self._searches.models(self._abilities, deadline, conditions(names, kind) or "")
            for row in page
        ]

    def _row(self, name: str, deadline: Deadline) -> RegisteredModel | None:
        found = self._connection.point_read(deadline, lambda client: client.get_registered_model(name))
        row = None if isinstance(found, Absence) else self._searches.taken(model_of(found))
        return row if row is not None and row.name == name else None

    def with_versions(
        self, rows: Sequence[RegisteredModel], deadline: Deadline
    ) -> dict[str, RegisteredModel]:
        """Return these models with their versions, which are read now, except models on which the server fails.

        Raises:
            RegistryError: the registry gave no answer.
        """
        models: dict[str, RegisteredModel] = {}
        for row in rows:
            try:
                models[row.name] = replace(row, versions=self._versions_of(row.name, deadline))
            except RegistryError as error:
                odd = OddRow(row.name, why="the server fails on its versions: its log says more")
                if not self._searches.is_left_aside(odd, error, deadline):
                    raise
        return models

    def _versions_of(self, name: str, deadline: Deadline) -> dict[str, ModelVersion]:
        versions: dict[str, ModelVersion] = {}
        for kind in self._searches.kinds():
            versions.update(self._searches.versions_of(name, self._abilities, deadline, kind))
        return versions

    def ask(self, doubts: Sequence[Doubt], deadline: Deadline) -> dict[str, Answer]:
        """Read each of these models by name.

        Raises:
            RegistryError: the registry gave no answer.
        """
        questions = PointReads(
            self._connection,
            self._searches,
            self._abilities,
            deadline,
            include_prompts=self._settings.include_prompts,
        )
        return {doubt.name: questions.ask(doubt) for doubt in doubts}


def _take_models(
    collector: Collector, listed: Sequence[RegisteredModel], rows: Sequence[RegisteredModel]
) -> None:
    """Add ``rows``, which are those rows of a listed page that could be read; record the others as unread."""
    collector.add_models(rows)
    if rows is not listed:
        collector.add_unread([row.name for row in listed])


def _take_versions(collector: Collector, page: Sequence[tuple[str, ModelVersion]]) -> None:
    for name, version in page:
        collector.add_version(name, version)
