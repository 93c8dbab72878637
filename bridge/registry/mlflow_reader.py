"""Read any registry that MLflow's own client can reach."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from bridge.config import RegistrySettings, is_databricks, is_unity_catalog
from bridge.diff.abilities import Abilities
from bridge.diff.collect import Collector
from bridge.diff.doubts import Absence, Answer, Doubt, Listing
from bridge.diff.known import KnownModels
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.errors import RegistryLacks
from bridge.registry.base import Deadline
from bridge.registry.connection import Connection
from bridge.registry.convert import model_of, name_filter, names_filter
from bridge.registry.probe import find_out, misreads
from bridge.registry.questions import Questions
from bridge.registry.searches import BY_TIME, Searches
from bridge.registry.server_version import server_version

_FIRST_PAGE = 10
"""Where nothing happened, so few rows show it, and up to eight models can change at once before
a second page is needed; a page of 20 costs half as much again."""

_LATER_PAGES = 100
_NAMES = 100
"""How many models to ask for by name at once."""


class MlflowRegistry:
    """`bridge.registry.base.Registry` through ``MlflowClient``, which is imported on first use."""

    def __init__(self, settings: RegistrySettings, scanned: Callable[[int, int], None] | None = None) -> None:
        """Remember where the registry is; nothing is asked yet.

        ``scanned`` is told after each page of a scan how many models and versions have been read, in the
        thread that reads.
        """
        self._settings = settings
        self._scanned = scanned
        self._connection = Connection(settings)
        self._searches = Searches(self._connection, include_prompts=settings.include_prompts)
        self._abilities = Abilities()
        self._has_probed = False

    def prepare(self) -> None:
        """Import MLflow."""
        self._connection.prepare()

    def expect(self, abilities: Abilities) -> None:
        """Take what was found out earlier for granted, until a scan meets another server."""
        self._abilities = abilities

    def fingerprint(self, deadline: Deadline) -> str | None:
        """Return the creation time of the Default experiment: that of the registry's database.

        Another workspace than the default one has no such experiment, and so no fingerprint.
        Beside a registry on Databricks or in a Unity Catalog, experiments live elsewhere.
        """
        if is_databricks(self._settings.uri) or is_unity_catalog(self._settings.uri):
            return None
        found = self._connection.point_read(deadline, lambda client: client.get_experiment("0"))
        created = None if isinstance(found, Absence) else found.creation_time
        return str(created) if created else None

    def scan(self, known: KnownModels, deadline: Deadline, *, with_facts: bool) -> Listing:
        """List models first, then versions: a model's timestamp is older than what follows it.

        Raises:
            RegistryError: a page did not come.
        """
        server = self._connection.call(deadline, lambda _client: server_version(self._settings.uri))
        if not self._has_probed or server != self._abilities.server:
            self._abilities = find_out(self._connection, server, deadline)
            self._has_probed = True
        collector = Collector(known, with_facts=with_facts)
        is_atomic = self._collect_models(collector, deadline)
        if not collector.names and self._learns_of_models(deadline):
            is_atomic = self._collect_models(collector, deadline)
        pages = self._collect_versions(collector, deadline)
        listing = collector.listing(atomic=is_atomic, pages_versions=pages)
        return replace(listing, abilities=self._abilities)

    def _learns_of_models(self, deadline: Deadline) -> bool:
        """Doubt a list without a model; return whether from now on it is asked for in another way.

        A 2.9 server that was empty when it was probed looks like any other.
        """
        if not self._abilities.lists_models or not misreads(self._connection, deadline):
            return False
        self._abilities = replace(self._abilities, lists_models=False)
        return True

    def _collect_models(self, collector: Collector, deadline: Deadline) -> bool:
        """Collect all models; return whether one page held them all."""
        is_atomic = True
        for kind in self._searches.kinds():
            for number, page in enumerate(self._searches.models(self._abilities, deadline, kind)):
                is_atomic = is_atomic and number == 0
                if self._abilities.has_full_rows:
                    collector.add_models(page)
                else:
                    names = [row.name for row in page]
                    collector.add_models(self.rows(names, deadline))
                    collector.add_unread(names)
                self._tell(collector)
        return is_atomic

    def _collect_versions(self, collector: Collector, deadline: Deadline) -> bool:
        """Collect all versions; return whether they came in several pages."""
        if not self._abilities.lists_versions:
            return self._collect_by_name(collector, deadline)
        has_pages = False
        for kind in self._searches.kinds():
            for number, page in enumerate(self._searches.versions(self._abilities, deadline, kind)):
                has_pages = has_pages or number > 0
                for name, version in page:
                    collector.add_version(name, version)
                self._tell(collector)
        return has_pages

    def _tell(self, collector: Collector) -> None:
        if self._scanned is not None:
            self._scanned(*collector.counted)

    def _collect_by_name(self, collector: Collector, deadline: Deadline) -> bool:
        for name in collector.names:
            for version in self._versions_of(name, deadline).values():
                collector.add_version(name, version)
            self._tell(collector)
        return True  # a model can have more versions than a page

    def latest(self, deadline: Deadline) -> Iterator[Iterator[Sequence[RegisteredModel]]]:
        """Yield, for models and for prompts if those are wanted, the rows updated last.

        Raises:
            RegistryLacks: the registry knows no such order.
            RegistryError: a page did not come.
        """
        if not self._abilities.has_order:
            msg = f"{self._settings.uri} does not order models by time"
            raise RegistryLacks(msg)
        return (self._latest(kind, deadline) for kind in self._searches.kinds())

    def _latest(self, kind: str, deadline: Deadline) -> Iterator[Sequence[RegisteredModel]]:
        """Yield a few rows, and then more."""
        first = self._first_page(kind, deadline)
        if not first and not kind and self._learns_of_models(deadline):
            first = self._first_page(kind, deadline)
        yield first
        yield from self._searches.models(self._abilities, deadline, kind, BY_TIME, _LATER_PAGES)

    def _first_page(self, kind: str, deadline: Deadline) -> Sequence[RegisteredModel]:
        try:
            return next(self._searches.models(self._abilities, deadline, kind, BY_TIME, _FIRST_PAGE))
        except RegistryLacks:
            self._has_probed = False  # it could once: the next scan finds out what it can now
            raise

    def rows(self, names: Collection[str], deadline: Deadline) -> list[RegisteredModel]:
        """Return the rows of those of these models that there are to see.

        Raises:
            RegistryError: an answer did not come.
        """
        if not self._abilities.has_full_rows:
            return [row for name in names if (row := self._row(name, deadline)) is not None]
        wanted = set(names)
        return [
            row
            for condition in self._names_filters(sorted(wanted))
            for kind in self._searches.kinds()
            for page in self._searches.models(
                self._abilities, deadline, f"{condition}{kind and ' AND '}{kind}"
            )
            for row in page
            if row.name in wanted
        ]

    def _row(self, name: str, deadline: Deadline) -> RegisteredModel | None:
        found = self._connection.point_read(deadline, lambda client: client.get_registered_model(name))
        return None if isinstance(found, Absence) else self._searches.expected(model_of(found), name)

    def _names_filters(self, names: Sequence[str]) -> Iterator[str]:
        if not self._abilities.has_names:
            yield from map(name_filter, names)
            return
        plain = [name for name in names if "'" not in name]
        yield from (name_filter(name) for name in names if "'" in name)
        yield from (names_filter(plain[at : at + _NAMES]) for at in range(0, len(plain), _NAMES))

    def with_versions(
        self, rows: Sequence[RegisteredModel], deadline: Deadline
    ) -> dict[str, RegisteredModel]:
        """Return these models with their versions, which are read now.

        Raises:
            RegistryError: an answer did not come.
        """
        return {row.name: replace(row, versions=self._versions_of(row.name, deadline)) for row in rows}

    def _versions_of(self, name: str, deadline: Deadline) -> dict[str, ModelVersion]:
        versions: dict[str, ModelVersion] = {}
        for kind in self._searches.kinds():
            versions.update(self._searches.versions_of(name, self._abilities, deadline, kind))
        return versions

    def ask(self, doubts: Sequence[Doubt], deadline: Deadline) -> dict[str, Answer]:
        """Read each of these models by its name.

        Raises:
            RegistryError: an answer did not come.
        """
        questions = Questions(
            self._connection,
            self._searches,
            self._abilities,
            deadline,
            include_prompts=self._settings.include_prompts,
        )
        return {doubt.name: questions.ask(doubt) for doubt in doubts}
