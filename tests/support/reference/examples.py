"""Examples of settings: the lines of config.example.toml, those in comments as well."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

_SECTION = re.compile(r"\[{1,2}(\w+)\]{1,2}")
_LINE = re.compile(r"(?:# )?(?P<key>\w+) = \S")


def examples(path: Path) -> dict[tuple[str, str], list[str]]:
    """Return each key's lines by its section (``poll``; of a sink, its type) and its name.

    Under the section ``""`` are those of the first sink that has the key. ``key = …`` in the
    prose of a comment is none, because it is no TOML.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for section, line in _lines(path.read_text()):
        match = _LINE.match(line)
        if match and (written := _statement(line.removeprefix("# "))):
            found.setdefault((section, match["key"]), []).append(written)
    for (section, key), written in list(found.items()):
        if "_" in section or section == "http":  # a type of sink
            found.setdefault(("", key), written)
    return found


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line with its section; sinks are told apart by their type."""
    for part in re.split(r"^(?=\[)", text, flags=re.MULTILINE)[1:]:
        section = _SECTION.match(part)[1]
        if section == "sinks":
            section = re.search(r'^type = "(\w+)"', part, re.MULTILINE)[1]
        yield from ((section, line) for line in part.splitlines())


def _statement(line: str) -> str:
    """Return the line without the comment behind it, or nothing where it is no TOML."""
    ends = [found.start() for found in re.finditer(r"\s+#", line)]
    for end in [*ends, len(line)]:
        try:
            tomllib.loads(line[:end])
        except tomllib.TOMLDecodeError:
            continue
        return line[:end]
    return ""
