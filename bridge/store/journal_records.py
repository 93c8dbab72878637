r"""The records of the journal: lines with a checksum and a sequence number. Pure.

A record is ``<crc32 of the rest, 8 hex digits> <JSON>\n``. The JSON is ASCII and holds no line break, so a
line is a record, and any text tool can read the file. Sequence numbers are consecutive, so a missing record
in the middle is noticed.
"""

import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from bridge.store.encoded_documents import TextWrites, encode_writes

FORMAT = 1
"""The format that this version writes. A reader refuses a higher one."""

_CRC_LENGTH = 8

RECORD_START = re.compile(rb'[0-9a-f]{8} \{"n":')
"""Where a record may begin, in data whose line breaks cannot be trusted."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its sequence number, and what it writes; of the first, the ``format`` of the journal."""

    sequence: int
    writes: TextWrites = field(default_factory=dict)
    format: int | None = None


class _Line(msgspec.Struct):
    """A record as JSON. Its documents are not decoded: their text is all that is wanted of them."""

    n: int
    w: dict[str, dict[str, msgspec.Raw]] = {}
    format: int | None = None


_LINES = msgspec.json.Decoder(_Line)


def encode(record: Record) -> bytes:
    """Return the record as one line."""
    members = f'{{"n":{record.sequence}'
    if record.format is not None:
        members += f',"format":{record.format}'
    if record.writes:
        tables = (
            (name, _joined((key, text or "null") for key, text in rows.items()))
            for name, rows in record.writes.items()
        )
        members += f',"w":{_joined(tables)}'
    payload = f"{members}}}".encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def _joined(members: Iterable[tuple[str, str]]) -> str:
    """Return an object whose members are text already."""
    return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in members) + "}"


def decode(line: bytes) -> Record | None:
    """Return the record in ``line``, or None if it is torn or damaged."""
    payload = line[_CRC_LENGTH + 1 : -1]
    if not line.endswith(b"\n") or line[:_CRC_LENGTH] != b"%08x" % zlib.crc32(payload):
        return None
    try:
        found = _LINES.decode(payload)
        writes = {name: {key: _text(raw) for key, raw in rows.items()} for name, rows in found.w.items()}
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError:  # a lone surrogate, which the names in a registry may hold
        return _decoded_by_json(payload)
    except UnicodeDecodeError:
        return None
    return Record(found.n, writes, found.format)


def _text(raw: msgspec.Raw) -> str | None:
    text = bytes(raw).decode()
    return None if text == "null" else text


def _decoded_by_json(payload: bytes) -> Record | None:
    try:
        found = json.loads(payload)
        return Record(found["n"], encode_writes(found.get("w", {})), found.get("format"))
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
