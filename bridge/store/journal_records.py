r"""The journal's records: lines that can be trusted or told to be broken. Pure.

A record is ``<crc32 of the rest, 8 hex digits> <JSON>\n``. The JSON is ASCII and holds no
line break, so a line is a record and a file can be read with any text tool. Records carry
consecutive sequence numbers, so that a lost one in the middle is noticed.
"""

import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

FORMAT = 1
"""The format written by this version. A reader refuses a higher one."""

_CRC_LENGTH = 8

RECORD_START = re.compile(rb'[0-9a-f]{8} \{"n":')
"""Where a record may begin, in a stretch whose line breaks cannot be trusted."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its place in the sequence, and its content."""

    sequence: int
    content: dict[str, Any]


def encode(record: Record) -> bytes:
    """Return the record as one line."""
    document = {"n": record.sequence, **record.content}
    payload = json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def decode(line: bytes) -> Record | None:
    """Return the record that ``line`` holds, or None where it is torn or damaged."""
    payload = line[_CRC_LENGTH + 1 : -1]
    if not line.endswith(b"\n") or line[:_CRC_LENGTH] != b"%08x" % zlib.crc32(payload):
        return None
    try:
        document = json.loads(payload)
        return Record(document.pop("n"), document)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
