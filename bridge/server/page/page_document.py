"""Render the whole status page as an HTML document."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs

from bridge import __version__
from bridge.events.display_text import instant
from bridge.server.page.dead_letters import dead_letters
from bridge.server.page.event_timeline import timeline
from bridge.server.page.html_escaping import Html, element, style_element
from bridge.server.page.problem_advice import findings
from bridge.server.page.status_sections import polls, registry, sentence, sinks, verdict
from bridge.server.page.view_model import View

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
STYLE_HASH = f"sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}"
"""The hash in the Content-Security-Policy that allows this stylesheet only (*style-src*)."""

TYPE = "text/html; charset=utf-8"
_USUAL = 30
_PAGES = ("events", "deliveries", "sinks", "webhooks")
_REFRESHES = {str(seconds): seconds for seconds in (10, _USUAL, 60, 300)}
"""The accepted refresh intervals in seconds; few, as each needs its own rendering."""


def refresh_of(query: str) -> int | None:
    """Return the refresh interval in seconds of a query such as ``refresh=30``; None without one."""
    return _REFRESHES.get(parse_qs(query).get("refresh", [""])[-1])


def render(view: View, refresh_s: int | None = None) -> bytes:
    """Return the page as HTML in UTF-8. Without ``refresh_s``, it does not reload itself, which would disturb readers."""
    found = findings(view)
    main = element(
        "main",
        verdict(view, found),
        element("div", registry(view), polls(view), class_="pair"),
        sinks(view),
        dead_letters(view),
        timeline(view),
    )
    body = element("body", _header(view, refresh_s), main, _footer())
    return element("html", _head(f"{sentence(found)} · mlflow-bridge", refresh_s), body, lang="en").encode()


def _head(title: str, refresh_s: int | None) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="refresh", content=refresh_s) if refresh_s else None,
        element("title", title),
        style_element(STYLE),
    )


def _header(view: View, refresh_s: int | None) -> Html:
    if refresh_s:
        again = element("a", f"refreshing every {refresh_s} s; stop", href="./")
    else:
        again = element("a", f"refresh every {_USUAL} s", href=f"?refresh={_USUAL}")
    seen = instant(view.now_ms) or ""
    return element(
        "header",
        element("h1", "mlflow-bridge"),
        element("nav", element("ul", *map(_link_to, _PAGES), class_="pages")),
        element("p", "as of ", element("time", seen, datetime=seen.replace(" ", "T")), " · ", again),
    )


def _link_to(page: str) -> Html:
    return element("li", element("a", page.capitalize(), href=f"./{page}"))


def _footer() -> Html:
    commands = (
        "mlflow-bridge status, events list, outbox list and sinks list tell more, and all of it as JSON."
    )
    return element("footer", element("p", f"mlflow-bridge {__version__}. {commands}"))
