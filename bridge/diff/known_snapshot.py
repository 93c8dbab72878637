"""The known snapshot of a registry, with the look-ups that a comparison needs. Pure."""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from zlib import crc32

from bridge.diff.snapshot import RegisteredModel, Snapshot
from bridge.diff.snapshot_packing import pack_row, pack_versions


class KnownModels(Mapping[str, RegisteredModel]):
    """A snapshot that can be read in parts, so that one model is found without unpacking 100,000 versions."""

    @abstractmethod
    def row(self, name: str) -> RegisteredModel | None:
        """Return a model without its versions, or None where it is not known."""

    def knows(self, name: str, created: int) -> bool:
        """Whether the known model of this name was created at this instant (ms)."""
        row = self.row(name)
        return row is not None and row.created == created

    def mark(self, name: str) -> int:
        """Return a number that changes whenever the record of a model changes; 0 where the model is not known."""
        row = self.row(name)
        return 0 if row is None else checksum(f"{pack_row(row)}{self.packed(name)}")

    @abstractmethod
    def packed(self, name: str) -> str:
        """Return a known model's versions, packed as by `bridge.diff.snapshot_packing.pack_versions`."""

    @abstractmethod
    def created_in(self, instants: Collection[int]) -> Mapping[int, list[str]]:
        """Return the names of the models that were created in these milliseconds."""

    @property
    @abstractmethod
    def unsettled(self) -> Mapping[str, int]:
        """Models whose versions were read so soon after a change that another change may have followed.

        The value is the time at which that read was recorded, by the bridge's clock (ms).
        """


class PlainModels(KnownModels):
    """A snapshot in memory."""

    def __init__(self, models: Snapshot | None = None, unsettled: Mapping[str, int] | None = None) -> None:
        """Hold ``models`` as the known snapshot."""
        self._models = models or {}
        self._unsettled = unsettled or {}

    def __getitem__(self, name: str) -> RegisteredModel:
        """Return a model."""
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._models)

    def __len__(self) -> int:
        """Return how many models are known."""
        return len(self._models)

    def row(self, name: str) -> RegisteredModel | None:
        """Return a model without its versions."""
        return replace(self._models[name], versions={}) if name in self._models else None

    def packed(self, name: str) -> str:
        """Return a model's versions packed."""
        return pack_versions(self._models[name].versions.values())

    def created_in(self, instants: Collection[int]) -> Mapping[int, list[str]]:
        """Return the names of the models that were created in these milliseconds."""
        found: dict[int, list[str]] = defaultdict(list)
        for name, model in self._models.items():
            if model.created in instants:
                found[model.created].append(name)
        return found

    @property
    def unsettled(self) -> Mapping[str, int]:
        """Models to be read again."""
        return self._unsettled


def checksum(text: str) -> int:
    """Return a CRC of the text that is never 0; two different texts hardly ever have the same one."""
    return crc32(text.encode("utf-8", "surrogatepass")) or 1
