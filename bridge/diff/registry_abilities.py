"""The abilities of a registry: which API features it supports. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a registry can do, detected by requests or known for its kind.

    Attributes:
        server: its name and version, such as ``MLflow 3.17.2``; empty where it gives none.
        lists_models: whether it lists models for a 3.x client; a 2.9 server misreads that request and
            needs another form of it.
        lists_versions: whether it lists the versions of all models; if not, they are requested model by model.
        has_full_rows: whether listed models come with their tags and aliases; if not, each model is
            read by name.
        has_order: whether it can list the most recently updated models first, which makes a poll cheap.
        has_names: whether one request can ask for several models by name.
        has_stages: whether its versions have stages.
        has_aliases: whether its models have aliases.
    """

    server: str = ""
    lists_models: bool = True
    lists_versions: bool = True
    has_full_rows: bool = True
    has_order: bool = True
    has_names: bool = True
    has_stages: bool = True
    has_aliases: bool = True

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return what `dataclasses.asdict` wrote; members that a later version added are ignored."""
        known = {item.name for item in fields(cls)}
        return cls(**{key: value for key, value in document.items() if key in known})

    def lacks(self) -> list[str]:
        """Return the missing abilities in words."""
        words = {
            "an order by time (every poll is a full scan, as often as its share allows)": self.has_order,
            "lists of everything (each model takes requests of its own)": self.lists_versions
            and self.has_full_rows,
            "stages": self.has_stages,
            "aliases": self.has_aliases,
        }
        return [word for word, has in words.items() if not has]
