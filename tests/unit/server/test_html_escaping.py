"""Nothing breaks out of the page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.page_reader import read

from bridge.events.display_text import visible
from bridge.server.page.html_escaping import Html, element, style_element

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</td></table><h1>owned</h1>",
    "<!-- <![CDATA[ <?php",
    "&lt;b&gt; &amp; &#60;",
    "\ud800 lone",
    "\u202egnp.exe\u2066",
    "line\nbreak\r\x00\x1b[2J",
    "x" * 500,
    "{{7*7}} ${7*7}",
]
texts = st.one_of(st.text(), st.text("<>\"'&;/=! -x\n"), st.sampled_from(HOSTILE))


@given(texts, texts)
def test_whatever_a_text_holds_it_stays_text(text, value) -> None:
    root = read(str(element("td", text, element("bdi", text), title=value)))

    (cell,) = root.children
    assert (cell.tag, cell.attributes) == ("td", {"title": visible(value)})
    assert [one.tag for one in cell.all()] == ["bdi"]
    assert cell.text == visible(text) * 2


@given(texts)
def test_what_is_made_markup_by_hand_is_escaped_too(text) -> None:
    root = read(str(Html(text)))

    assert root.all() == []
    assert root.text == visible(text)


@given(texts)
def test_a_document_is_always_utf8_of_characters_that_show(text) -> None:
    shown = element("p", text).encode().decode("utf-8").strip().removeprefix("<!doctype html>\n")

    assert shown.isprintable()


@pytest.mark.parametrize("tag", ["script", "style", "iframe", "object", "form", "img", "p><script", ""])
def test_an_element_that_the_page_does_not_need_is_refused(tag) -> None:
    with pytest.raises(ValueError, match="no such element"):
        element(tag)


@pytest.mark.parametrize("name", ["onclick", "style", "src", "srcdoc", "x y", "formaction"])
def test_an_attribute_that_the_page_does_not_need_is_refused(name) -> None:
    with pytest.raises(ValueError, match="no such attribute"):
        element("p", **{name: "x"})


@given(
    st.one_of(texts, st.sampled_from(["javascript:alert(1)", " javascript:x", "data:text/html,x", "//evil"]))
)
def test_a_link_runs_nothing(target) -> None:
    try:
        (made,) = read(str(element("a", "x", href=target))).children
    except ValueError:
        return
    assert made.attributes["href"].startswith(("http://", "https://", "?", "#", "./"))


def test_a_stylesheet_cannot_end_its_element() -> None:
    with pytest.raises(ValueError, match="no <"):
        style_element("p {} </style><script>")


def test_an_element_without_content_takes_none() -> None:
    with pytest.raises(ValueError, match="no such element"):
        element("meta", "x")
    assert str(element("meta", charset="utf-8", name=None)) == '<meta charset="utf-8">'
    assert str(element("td", None, 7, colspan=2)) == '<td colspan="2">7</td>'
