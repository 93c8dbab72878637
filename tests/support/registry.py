"""A registry in memory that answers as it is told to."""

from dataclasses import dataclass, field, replace

from bridge.diff.absence_verification import Absence, Answers, Listing
from bridge.diff.full_scan_comparison import Collector
from bridge.diff.malformed_rows import OddRow
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot import RegisteredModel
from bridge.errors import RegistryLacks
from bridge.registry.base import RowPosition


@dataclass
class FakeRegistry:
    """What is there (`models`), what a listing shows of it, what a point read refuses, what a scan finds `odd`."""

    models: dict[str, RegisteredModel] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    print: str | None = "1"
    failure: Exception | None = None
    asked: list[str] = field(default_factory=list)
    atomic: bool = True
    pages_versions: bool = False
    abilities: Abilities = field(default_factory=lambda: Abilities("double"))
    page: int = 5
    pages: int = 0
    scans: int = 0
    listed: int = 0
    listing_failure: Exception | None = None
    read: list[str] = field(default_factory=list)
    odd: list[OddRow] = field(default_factory=list)
    met: list[OddRow] = field(default_factory=list)

    def fingerprint(self, deadline) -> str | None:
        deadline.check()
        if self.failure:
            raise self.failure
        return self.print

    def prepare(self) -> None:
        pass

    def expect(self, abilities) -> None:
        pass

    @property
    def shown(self) -> list[RegisteredModel]:
        return [model for name, model in self.models.items() if name not in self.hidden]

    def scan(self, known, deadline, *, with_facts, progress=None) -> Listing:
        self.scans += 1
        self.met += self.odd
        collector = Collector(known, with_facts=with_facts)
        collector.add_models(replace(model, versions={}) for model in self.shown)
        for model in self.shown:
            for version in model.versions.values():
                collector.add_version(model.name, version)
        listing = collector.listing(atomic=self.atomic, pages_versions=self.pages_versions)
        return replace(listing, abilities=self.abilities)

    def latest(self, deadline):
        deadline.check()
        if self.failure:
            raise self.failure
        if not self.abilities.has_order:
            raise RegistryLacks("no order")
        self.pages = 0
        return iter([self._pages()])

    def _pages(self):
        rows = sorted(self.shown, key=lambda model: (-model.updated, model.name))
        for start in range(0, max(1, len(rows)), self.page):
            self.pages += 1
            yield [replace(model, versions={}) for model in rows[start : start + self.page]]

    def all_rows(self, position, deadline):
        deadline.check()
        if self.listing_failure:
            raise self.listing_failure
        rows = sorted(self.shown, key=lambda model: model.name)
        for start in range(int(position.token or 0), max(1, len(rows)), self.page):
            self.listed += 1
            end = start + self.page
            page = [replace(model, versions={}) for model in rows[start:end]]
            yield page, RowPosition(0, str(end)) if end < len(rows) else None

    def rows(self, names, deadline):
        return [replace(model, versions={}) for model in self.shown if model.name in names]

    def with_versions(self, rows, deadline):
        self.read += [row.name for row in rows]
        return {
            row.name: replace(row, versions=self.models[row.name].versions if row.name in self.models else {})
            for row in rows
        }

    def ask(self, doubts, deadline) -> Answers:
        self.asked += [doubt.name for doubt in doubts]
        return {doubt.name: self._answer(doubt.name) for doubt in doubts}

    def _answer(self, name: str):
        if name in self.refused:
            return Absence.UNKNOWN
        return self.models.get(name, Absence.GONE)

    def odd_rows(self) -> list[OddRow]:
        found, self.met = self.met, []
        return found

    def put(self, *models: RegisteredModel) -> None:
        self.models.update({model.name: model for model in models})

    def move(self, name: str, version: str, stage: str, at: int = 500) -> None:
        model = self.models[name]
        moved = replace(model.versions[version], stage=stage, updated=at)
        self.models[name] = replace(model, updated=at, versions={**model.versions, version: moved})
