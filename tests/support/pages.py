"""Blocks of code in Markdown, and what the comment before one says of how to try it.

``<!-- shell: NAME -->``: run in the shell of that name, and has to succeed. With ``until: TEXT`` it
goes on running, and is waited for until it prints that; with ``runs``, until it is there. ``stop: NAME``
ends what runs in that shell first. ``<!-- file: NAME -->``: saved under that name. ``<!-- printed by: NAME -->``:
printed in that shell. ``<!-- not run: WHY -->``. People see none of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    how: Mapping[str, str]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in order."""
    return [
        Block(found["language"], found["text"], _how(found["note"] or ""))
        for found in _BLOCK.finditer(page.read_text())
    ]


def _how(note: str) -> dict[str, str]:
    parts = (part.partition(": ") for part in note.split("; "))
    return {key.strip(): value.strip() for key, _, value in parts if key}
