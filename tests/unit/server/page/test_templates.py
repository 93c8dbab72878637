"""What no template of a page may hold."""

import re
from importlib.resources import files

import pytest

TEMPLATES = {
    one.name: one.read_text(encoding="utf-8")
    for one in files("bridge.server.page").joinpath("templates").iterdir()
}
FORBIDDEN = {
    "a value that is not escaped": r"\|\s*safe\b|autoescape|Markup",
    "a script": r"<script|<iframe|<object|<embed|javascript:|\son[a-z]+=",
    "something that is loaded": r"<(img|link|audio|video|source)\b|\ssrc(set|doc)?=|url\(",
    "a style of its own": r"\sstyle=",
    "an attribute without quotes": r"\s[a-z-]+=\{\{",
}


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_template_holds(name, what) -> None:
    assert re.findall(FORBIDDEN[what], TEMPLATES[name]) == []
