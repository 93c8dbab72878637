"""HTML building blocks of the status page: times, badges, links, tables, sections."""

import re
from collections.abc import Iterable, Mapping, Sequence

from bridge.events.display_text import instant, span
from bridge.server.page.html_escaping import Html, element

NOTHING = "-"
"""The text for a missing value."""

LINE, MESSAGE = 120, 600
"""The longest name, and the longest message, in characters."""

_LINK = re.compile(r"https?://[\x21-\x7e]{1,500}")


def shortened(text: str, most: int = LINE) -> str:
    """Return ``text`` if it has at most ``most`` characters; otherwise its beginning and its end."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} … {text[-(most // 4) :]}"


def foreign(text: str, most: int = LINE) -> Html:
    """Return a text from outside, shortened, in a ``bdi`` element so that it cannot change the direction of the text around it."""
    short = shortened(text, most)
    return element("bdi", short, title=text if short != text else None)


def moment(at_ms: int | None, now_ms: int) -> Html:
    """Return how long ago an instant was, with the instant as the tooltip."""
    told = instant(at_ms)
    if told is None or at_ms is None:
        return Html("never")
    ago = f"{span(now_ms - at_ms)} ago"
    return element("time", ago, datetime=told.replace(" ", "T"), title=told)


def duration(since_ms: int, now_ms: int) -> Html:
    """Return how long ago something began, with the instant as the tooltip."""
    told = instant(since_ms) or ""
    return element(
        "time", f"for {span(now_ms - since_ms)}", datetime=told.replace(" ", "T"), title=f"since {told}"
    )


def code(command: str) -> Html:
    """Return a command in a code element."""
    return element("code", command, class_="command")


def badge(kind: str, text: "str | Html") -> Html:
    """Return a coloured label; ``kind`` (good, bad, warn, calm) sets its colour, and a sign that means the same."""
    sign = element("span", _SIGNS[kind], aria_hidden="true")
    return element("span", sign, " ", text, class_=f"badge {kind}")


_SIGNS = {"good": "✓", "bad": "✕", "warn": "!", "calm": "·"}


def link(text: "str | Html", target: str) -> Html:
    """Return ``text`` as a link if ``target`` is an http or https URL, otherwise as text."""
    if not _LINK.fullmatch(target):
        return Html(text)
    return element("a", text, href=target, rel="noreferrer noopener")


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence["str | int | Html | None"]]) -> Html:
    """Return a table whose first column is the row header; on a narrow screen, each row becomes a card.

    Some browsers do not treat a table with that layout as one, so its parts have ARIA roles.
    """
    heads = (element("th", name, scope="col", role="columnheader") for name in columns)
    head = element("thead", element("tr", *heads, role="row"), role="rowgroup")
    body = element("tbody", *(_row(columns, row) for row in rows), role="rowgroup")
    return element("table", element("caption", caption), head, body, role="table")


def _row(columns: Sequence[str], row: Sequence["str | int | Html | None"]) -> Html:
    first, *others = row
    cells = (
        element("td", element("div", value), data_label=name, role="cell")
        for name, value in zip(columns[1:], others, strict=True)
    )
    return element("tr", element("th", first, scope="row", role="rowheader"), *cells, role="row")


def facts(told: Mapping[str, "str | int | Html | None"]) -> Html:
    """Return names and values as a definition list."""
    pairs = (Html(element("dt", name), element("dd", value)) for name, value in told.items())
    return element("dl", *pairs)


def section(name: str, title: str, *children: "str | Html | None") -> Html:
    """Return a section of the page with its heading."""
    heading = element("h2", title, id=name)
    return element("section", heading, *children, aria_labelledby=name)
