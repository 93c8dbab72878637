"""The last committed snapshot, read from the stored documents."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from bridge.diff.known_snapshot import KnownModels, checksum
from bridge.diff.snapshot import RegisteredModel
from bridge.diff.snapshot_packing import packed_versions, unpack_model, unpack_row
from bridge.events.event_synthesis import Identity
from bridge.store.document_store_protocol import Document, Documents

MODELS = "models"
"""The table of models, by name."""

UNSETTLED = "unsettled"
"""The member that marks a model whose versions have to be read again: when it was recorded, ms since the epoch.

In states of earlier versions it is ``true``, which counts as a long time ago.
"""


class StoredModels(KnownModels):
    """The last committed snapshot; a model is unpacked when it is read."""

    def __init__(self, documents: Documents, unsettled: Mapping[str, int]) -> None:
        """Read from ``documents``."""
        self._documents = documents
        self._unsettled = unsettled

    def _document(self, name: str) -> Document:
        document = self._documents.get(MODELS, name)
        if document is None:
            raise KeyError(name)
        return document

    def __getitem__(self, name: str) -> RegisteredModel:
        """Return a model."""
        return unpack_model(name, self._document(name))

    def __contains__(self, name: object) -> bool:
        """Whether a model of that name is known."""
        return isinstance(name, str) and self._documents.get(MODELS, name) is not None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._documents.keys(MODELS))

    def __len__(self) -> int:
        """Return how many models are known."""
        return self._documents.count(MODELS)

    def row(self, name: str) -> RegisteredModel | None:
        """Return a model without its versions, or None where it is not known."""
        document = self._documents.get(MODELS, name)
        return unpack_row(name, document) if document is not None else None

    def mark(self, name: str) -> int:
        """Return a number that differs after every change, even one that was reverted, because generations rise."""
        document = self._documents.get(MODELS, name)
        if document is None:
            return 0
        return checksum(repr({key: value for key, value in document.items() if key != UNSETTLED}))

    def packed(self, name: str) -> str:
        """Return a known model's versions, packed."""
        return packed_versions(self._document(name))

    def created_in(self, instants: Collection[int]) -> Mapping[int, list[str]]:
        """Return the names of the models that were created in these milliseconds."""
        found: dict[int, list[str]] = defaultdict(list)
        for name, document in self._documents.items(MODELS):
            if document["created"] in instants:
                found[document["created"]].append(name)
        return found

    @property
    def unsettled(self) -> Mapping[str, int]:
        """Models whose versions have to be read again, and when they were recorded (ms)."""
        return self._unsettled


class StoredIdentities(Mapping[str, Identity]):
    """Lanes and generations of the known models; each is read on request."""

    def __init__(self, documents: Documents) -> None:
        """Read from ``documents``."""
        self._documents = documents

    def __getitem__(self, name: str) -> Identity:
        """Return a model's identity."""
        document = self._documents.get(MODELS, name)
        if document is None:
            raise KeyError(name)
        return Identity(document["lane"], document["generation"])

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._documents.keys(MODELS))

    def __len__(self) -> int:
        """Return how many models are known."""
        return self._documents.count(MODELS)
