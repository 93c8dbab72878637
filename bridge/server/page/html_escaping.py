"""Build HTML safely: every value that is not `Html` is escaped as text. Pure.

No function turns a text into markup unescaped, except for the package's own stylesheet.
Tags and attributes come from a fixed set without scripts, styles and event handlers.
"""

from html import escape
from typing import Self

from bridge.events.display_text import visible

_TAGS = frozenset(
    {"html", "head", "meta", "title", "body", "header", "main", "nav", "section", "footer"}
    | {"h1", "h2", "h3", "p", "div", "span", "strong", "code", "bdi", "time", "a", "ol", "ul", "li"}
    | {"dl", "dt", "dd", "details", "summary"}
    | {"table", "caption", "thead", "tbody", "tr", "th", "td"}
)
_VOID = frozenset({"meta"})
_ATTRIBUTES = frozenset(
    {"aria-hidden", "aria-labelledby", "charset", "class", "colspan", "content", "data-label", "datetime"}
    | {"href", "http-equiv", "id", "lang", "name", "rel", "role", "scope", "title"}
)
_LINKS = ("https://", "http://", "?", "#", "./")
"""The allowed beginnings of links: none of them can run a script."""


class Html:
    """Markup, built from texts, which are escaped, and from other `Html`."""

    __slots__ = ("_markup",)

    def __init__(self, *children: "str | int | Html | None") -> None:
        """Concatenate ``children``; None is skipped."""
        self._markup = "".join(map(_escaped, children))

    def __str__(self) -> str:
        """Return the markup."""
        return self._markup

    def encode(self) -> bytes:
        """Return the markup as a document in UTF-8."""
        return f"<!doctype html>\n{self._markup}\n".encode()

    @classmethod
    def _raw(cls, markup: str) -> Self:
        made = cls()
        made._markup = markup
        return made


def element(tag: str, *children: "str | int | Html | None", **attributes: "str | int | bool | None") -> Html:
    """Return an element. ``class_`` becomes class, ``data_label`` data-label; True gives an attribute without a value.

    Raises:
        ValueError: the tag or an attribute is not in the fixed set, or a link has a forbidden scheme.
    """
    if tag not in _TAGS or (tag in _VOID and children):
        raise ValueError(f"no such element: {tag}")
    opening = "".join(_attribute(name, value) for name, value in attributes.items())
    closing = "" if tag in _VOID else f"{Html(*children)}</{tag}>"
    return Html._raw(f"<{tag}{opening}>{closing}")  # noqa: SLF001 - only this module may call it


def style_element(stylesheet: str) -> Html:
    """Return the style element with the package's own stylesheet.

    Raises:
        ValueError: the stylesheet contains ``<``, which could end the element.
    """
    if "<" in stylesheet:
        msg = "a stylesheet needs no <"
        raise ValueError(msg)
    return Html._raw(f"<style>{stylesheet}</style>")  # noqa: SLF001 - only this module may call it


def _attribute(name: str, value: "str | int | bool | None") -> str:
    key = name.rstrip("_").replace("_", "-")
    if key not in _ATTRIBUTES:
        raise ValueError(f"no such attribute: {key}")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {key}"
    if key == "href" and not str(value).startswith(_LINKS):
        raise ValueError("a link to something that is not fetched: " + repr(value)[:40])
    return f' {key}="{_text(value)}"'


def _escaped(child: "str | int | Html | None") -> str:
    if isinstance(child, Html):
        return str(child)
    return "" if child is None else _text(child)


def _text(value: str | int) -> str:
    return escape(visible(str(value)), quote=True)
