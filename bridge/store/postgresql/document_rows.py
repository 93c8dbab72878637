"""Documents as rows of a table: JSON text in ASCII, and keys that an index takes.

PostgreSQL takes neither U+0000 nor lone surrogates, which names in registries may hold; in JSON, both are ASCII.
"""

import hashlib
import json

from bridge.store.encoded_documents import Texts, TextWrites

_LONGEST_KEY = 1_000
"""A B-tree's key ends at 2,704 bytes; a model's name of 256 characters can have 3,072, written in ASCII."""


def arrays(rows: TextWrites) -> dict[str, object]:
    """Return the arguments of the statement: arrays with a member for each document."""
    kept = [
        (table, key, text) for table, one in rows.items() for key, text in one.items() if text is not None
    ]
    gone = [(table, key) for table, one in rows.items() for key, text in one.items() if text is None]
    whole = [_ascii(key) for _, key, _ in kept]
    return {
        "kinds": [table for table, _, _ in kept],
        "keys": [_short(one) for one in whole],
        "whole_keys": [one if len(one) > _LONGEST_KEY else None for one in whole],
        "documents": [text for _, _, text in kept],
        "gone_kinds": [table for table, _ in gone],
        "gone_keys": [_short(_ascii(key)) for _, key in gone],
    }


def _ascii(key: str) -> str:
    """Return ``key`` in ASCII: PostgreSQL takes neither U+0000 nor lone surrogates."""
    return json.dumps(key)[1:-1]


def _short(key: str) -> str:
    if len(key) <= _LONGEST_KEY:
        return key
    return f"{key[:900]}~{hashlib.sha256(key.encode()).hexdigest()}"


def put_rows(texts: Texts, rows: list[tuple[object, ...]]) -> None:
    """Add rows (kind, key, whole key, document) to ``texts``."""
    for kind, key, whole_key, document in rows:
        name = json.loads(f'"{key if whole_key is None else whole_key}"')
        texts.setdefault(str(kind), {})[name] = str(document)
