"""The site of the docs, as `make docs` built it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / ".venv" / "site"
LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=[\"']?(https?:[^\"' >]+|//[^\"' >]+)")

pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(
        not SITE.exists(), reason="make docs builds the site, and make test-extra calls it first"
    ),
]


def test_no_page_of_the_site_loads_anything_from_elsewhere() -> None:
    pages = list(SITE.rglob("*.html"))
    loaded = {url for page in pages for url in LOADED.findall(page.read_text())}

    assert len(pages) > 25
    assert loaded == set()


def test_the_site_has_the_pages_of_the_top_level_and_the_files_that_they_link_to() -> None:
    home = (SITE / "index.html").read_text()

    assert 'href="files/deploy/examples/index.html"' in home
    assert (
        "repository_dispatch"
        in (SITE / "files" / "deploy" / "examples" / "github-actions" / "deploy-model.yml.html").read_text()
    )
    assert all((SITE / f"{name}.html").exists() for name in ("changelog", "contributing", "security"))
