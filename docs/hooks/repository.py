"""What pages of the repository link to, in the site as well: a hook of mkdocs.

Pages are written for the repository, where links lead to its files: `../README.md`, `../deploy/examples`.
The site has no repository beside it, so that it brings along what is linked to: the Markdown files of
the top level as pages, other files as pages that show them, folders as lists. Links are made to lead there.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]

PLACES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Pages of the repository's top level, and where they are in the site."""

_ORIGINS = {place: path for path, place in PLACES.items()}
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"(^(?P<fence>```+|~~~+).*?^(?P=fence)$)", re.DOTALL | re.MULTILINE)
_LANGUAGES = {
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".py": "python",
    ".service": "ini",
    ".timer": "ini",
}
_IMAGES = frozenset((".png", ".svg", ".jpg"))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what the pages link to outside of their folder, and what that links to."""
    for path, place in PLACES.items():
        files.append(File.generated(config, place, content=(ROOT / path).read_text()))
    waiting = list(files.documentation_pages())
    while waiting:
        page = waiting.pop()
        for target in _targets(page.content_string, origin(page.src_uri)):
            place = place_of(target)
            if place.startswith("files/") and files.get_file_from_path(place) is None:
                added = File.generated(config, place, content=_shown(target))
                files.append(added)
                waiting.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have links lead to the places that files of the repository have in the site."""
    _ = config, files
    here = page.file.src_uri
    folder = posixpath.dirname(here)

    def lead(target: str) -> str:
        place = place_of(resolved(target, origin(here)))
        return posixpath.relpath(place, folder or ".")

    return outside_of_code(
        markdown, lambda text: _LINK.sub(lambda found: lead(found[1]) + (found[2] or ""), text)
    )


def origin(place: str) -> str:
    """Return the path in the repository of what is at ``place`` in the site."""
    if place.startswith("files/"):
        shown = place.removeprefix("files/").removesuffix(".md")
        return f"{posixpath.dirname(shown)}/" if shown.endswith("/index") else shown
    return _ORIGINS.get(place, f"docs/{place}")


def place_of(path: str) -> str:
    """Return the place in the site of what is at ``path`` in the repository (which may not exist)."""
    if path in PLACES:
        return PLACES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"files/{path}/index.md"
    return f"files/{path}.md" if (ROOT / path).is_file() else path


def resolved(target: str, where: str) -> str:
    """Return the path in the repository that a link to ``target`` in the file at ``where`` means."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(where), target))


def outside_of_code(markdown: str, change: Callable[[str], str]) -> str:
    """Return ``markdown`` with ``change`` made to what is no block of code."""
    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [change(markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(markdown[end:])])


def _targets(markdown: str, where: str) -> Iterator[str]:
    prose = _FENCE.sub("", markdown)
    return (resolved(found[1], where) for found in _LINK.finditer(prose))


def _shown(path: str) -> str:
    """Return a page that shows a file, or lists a folder."""
    whole = ROOT / path
    if whole.is_dir():
        names = sorted(f"{found.name}{'/' * found.is_dir()}" for found in whole.iterdir())
        return f"# {path}\n\n" + "".join(f"- [{name}]({name.rstrip('/')})\n" for name in names)
    if whole.suffix == ".md":
        return whole.read_text()
    language = _LANGUAGES.get(whole.suffix, "text")
    return f"# {path}\n\n~~~~{language}\n{whole.read_text().rstrip()}\n~~~~\n"
