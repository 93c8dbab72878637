"""The kinds of changes in a registry, and the value that describes one change."""

from dataclasses import dataclass
from enum import StrEnum, unique

from bridge.diff.snapshot import Pairs


@unique
class ChangeKind(StrEnum):
    """Every kind of change; the values are the event names of the contract."""

    MODEL_CREATED = "REGISTERED_MODEL_CREATED"
    MODEL_DELETED = "REGISTERED_MODEL_DELETED"
    MODEL_RENAMED = "REGISTERED_MODEL_RENAMED"
    MODEL_UPDATED = "REGISTERED_MODEL_UPDATED"
    MODEL_TAG_SET = "REGISTERED_MODEL_TAG_SET"
    MODEL_TAG_DELETED = "REGISTERED_MODEL_TAG_DELETED"
    VERSION_CREATED = "MODEL_VERSION_CREATED"
    VERSION_DELETED = "MODEL_VERSION_DELETED"
    VERSION_UPDATED = "MODEL_VERSION_UPDATED"
    STATUS_CHANGED = "MODEL_VERSION_STATUS_CHANGED"
    TRANSITIONED = "MODEL_VERSION_TRANSITIONED_STAGE"
    VERSION_TAG_SET = "MODEL_VERSION_TAG_SET"
    VERSION_TAG_DELETED = "MODEL_VERSION_TAG_DELETED"
    ALIAS_SET = "MODEL_VERSION_ALIAS_SET"
    ALIAS_DELETED = "MODEL_VERSION_ALIAS_DELETED"


@unique
class Flag(StrEnum):
    """What a reader has to know about a change beyond the change itself."""

    AMBIGUOUS_RENAME = "ambiguous_rename"
    """A deletion or creation that may be half of a rename: several models fit."""

    FIRST_SEEN = "first_seen"
    """The version was already in this stage when first seen: earlier stages were missed."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one entity.

    ``before`` and ``after`` are the values that changed (a stage, a tag's value, a name, a description, or
    the version that an alias points to); ``None`` means that there was or is none. ``key`` is the tag's key
    or the alias. ``changed_at`` is the registry's own time of the change in ms, where it records one.
    ``details`` are the further fields of a creation.
    """

    kind: ChangeKind
    model: str
    model_created: int
    version: str | None = None
    version_created: int | None = None
    key: str | None = None
    before: str | None = None
    after: str | None = None
    changed_at: int | None = None
    user_id: str = ""
    details: Pairs = ()
    flags: tuple[Flag, ...] = ()
