"""Render the pages' templates. Every value is escaped as text, with its invisible characters made visible."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from bridge import __version__
from bridge.events.display_text import instant, span, visible

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
STYLE_HASH = f"sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}"
"""The hash in the Content-Security-Policy that allows this stylesheet only (*style-src*)."""

_TEMPLATES = {
    path.name: path.read_text(encoding="utf-8") for path in Path(__file__).with_name("templates").iterdir()
}
"""All are read when the process begins, so that an upgrade does not change the pages of a running daemon."""

TYPE = "text/html; charset=utf-8"
_LINK = re.compile(r"https?://[\x21-\x7e]{1,500}")


def shortened(text: str, most: int = 120) -> str:
    """Return ``text`` if it has at most ``most`` characters; otherwise its beginning and its end."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} … {text[-(most // 4) :]}"


def is_link(target: str) -> bool:
    """Tell whether ``target`` is an http or https URL of usual characters and length: such a link runs nothing."""
    return _LINK.fullmatch(target) is not None


def _quoted(text: str) -> str:
    """Return ``text`` for a query. Jinja2's own filter fails for a lone surrogate."""
    return quote(text, safe="", errors="replace")


def _finalized(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return "" if value is None else value


_ENVIRONMENT = Environment(
    loader=DictLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_finalized,
)
_ENVIRONMENT.filters |= {"instant": instant, "span": span, "shortened": shortened, "urlencode": _quoted}
_ENVIRONMENT.tests |= {"link": is_link}
_ENVIRONMENT.globals |= {"version": __version__, "style": Markup(STYLE)}  # noqa: S704 - the package's own stylesheet


_FRAME = {"here": "", "who": "", "form_token": "", "can_sign_in": False, "said": "", "failed": False}
"""What the frame of all pages shows of the visitor, unless a page says more: nothing."""


def rendered(template: str, /, **values: Any) -> bytes:
    """Return the page of ``template`` with ``values``, in UTF-8."""
    page = _ENVIRONMENT.get_template(f"{template}.html").render({**_FRAME, **values})
    return page.encode("utf-8", "replace")
