"""Reduces the pages of a full scan to the models that differ from the known snapshot. Pure.

A scan of 100,000 versions must not hold 100,000 objects in memory. For a model that equals the known one,
only the position up to which it matches is kept. A model that differs stays packed until somebody reads it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bridge.diff.absence_verification import Listing
from bridge.diff.known_snapshot import KnownModels
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.diff.snapshot_packing import pack_row, pack_version, unpack_row, unpack_versions

_MODELS, _CHARACTERS = 500, 1 << 20
"""A part of a scan tells of so many models at most, and ends with the one whose versions fill a megabyte."""


class PackedModels(Mapping[str, RegisteredModel]):
    """Models whose versions are unpacked only when a model is read."""

    def __init__(self, rows: Mapping[str, RegisteredModel], texts: Mapping[str, str]) -> None:
        """Take models without versions, and their versions as packed text."""
        self.rows = rows
        self._texts = texts

    def __getitem__(self, name: str) -> RegisteredModel:
        """Return a model."""
        return replace(self.rows[name], versions=unpack_versions(self._texts.get(name, "")))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Return how many models there are."""
        return len(self.rows)


class Collector:
    """Collects the models of a full scan first, then their versions in any order."""

    def __init__(self, known: KnownModels, *, with_facts: bool) -> None:
        """Compare with ``known``; ``with_facts`` keeps the details that only creation events carry."""
        self._known = known
        self._with_facts = with_facts
        self._rows: dict[str, RegisteredModel | None] = {}  # None: equal to the known row
        self._matching: dict[str, int] = {}  # up to which position the known versions have been seen
        self._differing: dict[str, list[str]] = {}
        self._orphans: set[str] = set()
        self._unread: set[str] = set()
        # What was collected since the scan began or went on: of which models, which rows, and after how many pieces.
        self._changed: dict[str, None] = {}
        self._listed: set[str] = set()
        self._stored: dict[str, int] = {}
        self._outdated: set[str] = set()  # read by another poll since an earlier scan listed them
        self._current = ("", "")
        self._versions = 0
        self._latest = 0

    @classmethod
    def from_documents(
        cls,
        known: KnownModels,
        document: Mapping[str, Any],
        parts: Iterable[Mapping[str, Any]],
        *,
        with_facts: bool,
    ) -> "Collector":
        """Continue from what `to_document` and `part` returned, with the snapshot that is ``known`` now.

        If a model's known state has changed since, it was read later than by the scan: that later read is
        kept.
        """
        collector = cls(known, with_facts=with_facts)
        marks: dict[str, int] = {}
        for part in parts:
            collector._take_up(part)
            marks.update(part["marks"])
        collector._stored = {name: len(pieces) for name, pieces in collector._differing.items()}
        collector._orphans, collector._unread = set(document["orphans"]), set(document["unread"])
        collector._versions, collector._latest = document["versions"], document["latest"]
        changed = {name for name, mark in marks.items() if mark != known.mark(name)}
        collector._outdated = set(document["outdated"]) | changed
        return collector

    def _take_up(self, part: Mapping[str, Any]) -> None:
        """Add a part: rows and positions replace those of earlier parts, versions come after theirs."""
        self._rows.update({name: row and unpack_row(name, row) for name, row in part["rows"].items()})
        self._matching.update(part["matching"])
        for name, text in part["differing"].items():
            self._differing.setdefault(name, []).extend([text] if text else [])

    def to_document(self) -> dict[str, Any]:
        """Return, as plain JSON, what `new_parts` does not tell."""
        return {
            "orphans": sorted(self._orphans),
            "unread": sorted(self._unread),
            "outdated": sorted(self._outdated),
            "versions": self._versions,
            "latest": self._latest,
        }

    def new_parts(self) -> list[Sequence[str]]:
        """Return the models of which something was collected since the scan began or went on, in parts for `part`."""
        parts: list[Sequence[str]] = []
        names: list[str] = []
        size = 0
        for name in self._changed:
            names.append(name)
            size += sum(map(len, self._new_pieces(name)))
            if len(names) == _MODELS or size >= _CHARACTERS:
                parts.append(names)
                names, size = [], 0
        return [*parts, names] if names else parts

    def part(self, names: Iterable[str]) -> dict[str, Any]:
        """Return what was collected about some models since the scan began or went on, as plain JSON."""
        of = dict.fromkeys(names)
        rows = {name: self._rows[name] for name in of if name in self._listed}
        return {
            "rows": {name: row and pack_row(row) for name, row in rows.items()},
            "matching": {name: self._matching[name] for name in of if name in self._matching},
            "differing": {name: ",".join(self._new_pieces(name)) for name in of if name in self._differing},
            "marks": {name: self._known.mark(name) for name in of},
        }

    def _new_pieces(self, name: str) -> list[str]:
        return self._differing.get(name, [])[self._stored.get(name, 0) :]

    @property
    def names(self) -> list[str]:
        """The names of the models collected so far."""
        return list(self._rows)

    @property
    def counted(self) -> tuple[int, int]:
        """How many models and how many versions have been collected so far."""
        return len(self._rows), self._versions

    def add_models(self, rows: Iterable[RegisteredModel]) -> None:
        """Add models without their versions."""
        for row in rows:
            if row.name in self._outdated:
                continue
            self._latest = max(self._latest, row.created, row.updated)
            known = self._known.row(row.name)
            self._rows[row.name] = None if row == known else row
            self._changed[row.name] = None
            self._listed.add(row.name)
            if known is None:
                self._differing[row.name] = []

    def add_unread(self, names: Iterable[str]) -> None:
        """Record models that were listed but could not be read afterwards."""
        self._unread.update(names)

    def add_version(self, name: str, version: ModelVersion) -> None:
        """Add a version of a model."""
        self._versions += 1
        self._latest = max(self._latest, version.updated)
        if name in self._outdated:
            return
        if name not in self._rows:
            self._orphans.add(name)
            return
        self._changed[name] = None
        if name in self._differing or not self._matches(name, pack_version(version)):
            self._pieces(name).append(pack_version(version, with_facts=self._with_facts))

    def _matches(self, name: str, piece: str) -> bool:
        """Whether this is the next of the known versions; if so, only its position is kept."""
        text, begin = self._text(name), self._matching.get(name, 0)
        end = begin + len(piece)
        if not text.startswith(piece, begin) or text[end : end + 1] not in ("", ","):
            return False
        self._matching[name] = end + 1
        return True

    def _text(self, name: str) -> str:
        if self._current[0] != name:
            self._current = (name, self._known.packed(name))
        return self._current[1]

    def _pieces(self, name: str) -> list[str]:
        if name not in self._differing:
            seen = self._text(name)[: max(0, self._matching.get(name, 0) - 1)]
            self._differing[name] = [seen] if seen else []
        return self._differing[name]

    def listing(self, *, atomic: bool, pages_versions: bool) -> Listing:
        """Return the result of the scan."""
        rows, same = {}, {name for name in self._outdated if self._known.row(name) is not None}
        for name, row in self._rows.items():
            if name in self._outdated:
                continue
            if row is None and name not in self._differing and self._is_all_there(name):
                same.add(name)
            else:
                self._pieces(name)
                rows[name] = row or self._known_row(name)
        texts = {name: ",".join(pieces) for name, pieces in self._differing.items() if name in rows}
        return Listing(
            PackedModels(rows, texts),
            same=same,
            orphans=frozenset(self._orphans - self._unread),
            unread=frozenset(self._unread - self._rows.keys()),
            atomic=atomic,
            pages_versions=pages_versions,
            latest=self._latest,
            counted=self.counted,
        )

    def _is_all_there(self, name: str) -> bool:
        text = self._known.packed(name)
        return self._matching.get(name, 0) == (len(text) + 1 if text else 0)

    def _known_row(self, name: str) -> RegisteredModel:
        row = self._known.row(name)
        if row is None:
            raise KeyError(name)
        return row
