"""The small parts of the status page."""

import re
from collections.abc import Iterable, Mapping, Sequence

from bridge.events.display_text import instant, span
from bridge.server.page.html_escaping import Html, element

NOTHING = "-"
"""What stands where there is no value."""

LINE, MESSAGE = 120, 600
"""How many characters a name may take, and a message that may say what to mend."""

_LINK = re.compile(r"https?://[\x21-\x7e]{1,500}")


def shortened(text: str, most: int = LINE) -> str:
    """Return ``text`` if it has at most so many characters; of a longer one, its beginning and its end."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} … {text[-(most // 4) :]}"


def foreign(text: str, most: int = LINE) -> Html:
    """Return what comes from outside: kept from turning round what stands beside it, and not too long."""
    short = shortened(text, most)
    return element("bdi", short, title=text if short != text else None)


def moment(at_ms: int | None, now_ms: int) -> Html:
    """Return an instant, and how long ago that was."""
    told = instant(at_ms)
    if told is None or at_ms is None:
        return Html("never")
    ago = f"{span(now_ms - at_ms)} ago"
    return element("time", ago, datetime=told.replace(" ", "T"), title=told)


def duration(since_ms: int, now_ms: int) -> Html:
    """Return how long something has lasted."""
    told = instant(since_ms) or ""
    return element(
        "time", f"for {span(now_ms - since_ms)}", datetime=told.replace(" ", "T"), title=f"since {told}"
    )


def code(command: str) -> Html:
    """Return a command to be copied."""
    return element("code", command, class_="command")


def badge(kind: str, text: "str | Html") -> Html:
    """Return a word that stands out; ``kind`` (good, bad, warn, calm) colours it, and a sign before it says the same."""
    sign = element("span", _SIGNS[kind], aria_hidden="true")
    return element("span", sign, " ", text, class_=f"badge {kind}")


_SIGNS = {"good": "✓", "bad": "✕", "warn": "!", "calm": "·"}


def link(text: "str | Html", target: str) -> Html:
    """Return ``text`` as a link, if ``target`` is one."""
    if not _LINK.fullmatch(target):
        return Html(text)
    return element("a", text, href=target, rel="noreferrer noopener")


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence["str | int | Html | None"]]) -> Html:
    """Return a table, whose first column names the row; on a narrow screen, each row becomes a card.

    What is laid out so is no table any more to some browsers, so its parts say what they are.
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
    """Return names and their values."""
    pairs = (Html(element("dt", name), element("dd", value)) for name, value in told.items())
    return element("dl", *pairs)


def section(name: str, title: str, *children: "str | Html | None") -> Html:
    """Return a part of the page under its heading."""
    heading = element("h2", title, id=name)
    return element("section", heading, *children, aria_labelledby=name)
