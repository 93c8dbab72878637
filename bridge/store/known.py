"""The last committed snapshot, as a mapping."""

from collections.abc import Iterator, Mapping

from bridge.diff.snapshot import RegisteredModel
from bridge.store.base import Documents
from bridge.store.packing import unpack_model

MODELS = "models"
"""The table of models, by name."""


class KnownModels(Mapping[str, RegisteredModel]):
    """The last committed snapshot; models are unpacked as they are asked for."""

    def __init__(self, documents: Documents) -> None:
        """Look into ``documents``."""
        self._documents = documents

    def __getitem__(self, name: str) -> RegisteredModel:
        """Return a model."""
        document = self._documents.get(MODELS, name)
        if document is None:
            raise KeyError(name)
        return unpack_model(name, document)

    def __contains__(self, name: object) -> bool:
        """Whether a model of that name is known."""
        return isinstance(name, str) and self._documents.get(MODELS, name) is not None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return (name for name, _ in self._documents.items(MODELS))

    def __len__(self) -> int:
        """Return how many models are known."""
        return self._documents.count(MODELS)
