"""Render the pages' templates. Every value is escaped as text, with its invisible characters made visible."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bridge import __version__
from bridge.events.display_text import instant, visible
from bridge.server.page.page_document import STYLE
from bridge.server.page.page_elements import shortened


def _finalized(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return "" if value is None else value


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_finalized,
)
_ENVIRONMENT.filters |= {"instant": instant, "shortened": shortened}
_ENVIRONMENT.globals |= {"version": __version__, "style": Markup(STYLE)}  # noqa: S704 - the package's own stylesheet


def rendered(template: str, /, **values: Any) -> bytes:
    """Return the page of ``template`` with ``values``, in UTF-8."""
    return _ENVIRONMENT.get_template(f"{template}.html").render(values).encode("utf-8", "replace")
