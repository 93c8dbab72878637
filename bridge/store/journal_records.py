r"""The records of the journal: lines with a checksum and a sequence number. Pure.

A record is ``<crc32 of the rest, 8 hex digits> <JSON>\n``. The JSON is ASCII and holds no line break, so a
line is a record, and any text tool can read the file. Sequence numbers are consecutive, so a missing record
in the middle is noticed.
"""

import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

FORMAT = 1
"""The format that this version writes. A reader refuses a higher one."""

_CRC_LENGTH = 8

RECORD_START = re.compile(rb'[0-9a-f]{8} \{"n":')
"""Where a record may begin, in data whose line breaks cannot be trusted."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its sequence number, and its content."""

    sequence: int
    content: dict[str, Any]


def encode(record: Record) -> bytes:
    """Return the record as one line."""
    document = {"n": record.sequence, **record.content}
    payload = json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def decode(line: bytes) -> Record | None:
    """Return the record in ``line``, or None if it is torn or damaged."""
    payload = line[_CRC_LENGTH + 1 : -1]
    if not line.endswith(b"\n") or line[:_CRC_LENGTH] != b"%08x" % zlib.crc32(payload):
        return None
    try:
        document = json.loads(payload)
        return Record(document.pop("n"), document)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
