"""Render the status page as an HTML document. Pure."""

from urllib.parse import parse_qs

from bridge.server.page.page_templates import rendered
from bridge.server.page.problem_advice import findings
from bridge.server.page.status_page_data import View
from bridge.server.page.status_values import status_values

_USUAL = 30
_REFRESHES = {str(seconds): seconds for seconds in (10, _USUAL, 60, 300)}
"""The accepted refresh intervals in seconds; few, as each needs its own rendering."""


def refresh_of(query: str) -> int | None:
    """Return the refresh interval in seconds of a query such as ``refresh=30``; None without one."""
    return _REFRESHES.get(parse_qs(query).get("refresh", [""])[-1])


def render(view: View, refresh_s: int | None = None) -> bytes:
    """Return the page as HTML in UTF-8, the same for all visitors. Without ``refresh_s``, it does not reload itself, which would disturb readers."""
    values = status_values(view, findings(view))
    return rendered("status", here="/", refresh_s=refresh_s, usual_s=_USUAL, **values)
