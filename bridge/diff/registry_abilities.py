"""What a registry can do. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a registry can do, found out by asking, or known of its kind.

    Attributes:
        server: what it says it is, such as ``MLflow 3.17.2``; empty where it doesn't tell.
        lists_models: whether it lists models when a 3.x client asks for them; a 2.9 server
            misreads the question, and needs it asked in another way.
        lists_versions: whether it lists the versions of all models; if not, they are asked for
            model by model.
        has_full_rows: whether the models that it lists come with their tags and aliases; if not,
            each model is asked for by name.
        has_order: whether it lists what was updated last first, so that a poll can be cheap.
        has_names: whether it can be asked for several models by name at once.
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
        """Return what it can't do, in words."""
        words = {
            "an order by time (every poll is a full scan, as often as its share allows)": self.has_order,
            "lists of everything (each model takes requests of its own)": self.lists_versions
            and self.has_full_rows,
            "stages": self.has_stages,
            "aliases": self.has_aliases,
        }
        return [word for word, has in words.items() if not has]
