"""The last HTTP request to a registry, its route and its answer, for error messages.

MLflow's client reports little of this. `bridge.registry.request_auth` sees each request before it is sent,
and each answer, including redirects.
"""

import re
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from bridge.delivery.secret_masking import mask

_LONGEST = 80
_READ = 4096
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_NO_TEXT = re.compile(r"<(script|style)\b.*?(</\1\s*>|\Z)|<!--.*?-->|<[^>]*>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class HttpExchange:
    """A request and its answer.

    Attributes:
        method, path: the request, without its query.
        proxy: the proxy's origin where one was used, without credentials.
        redirected_to: the origin to which a redirect led, without path and query.
        status: the last answer's status, or None where there was none.
        content_type: its media type.
        beginning: how its text begins; secrets that were sent are masked in it.
    """

    method: str
    path: str
    proxy: str = ""
    redirected_to: str = ""
    status: int | None = None
    content_type: str = ""
    beginning: str = ""

    def __str__(self) -> str:
        """Return the exchange in words: "GET /version was answered with HTTP 404, text/html: 'Not Found'"."""
        way = f" through the proxy {self.proxy}" if self.proxy else ""
        leads = f" was redirected to {self.redirected_to} and" if self.redirected_to else ""
        if self.status is None:
            return f"{self.method} {self.path}{way}{leads.removesuffix(' and')}"
        page = f": {self.beginning!r}" if self.beginning else ", which is empty"
        kind = f", {self.content_type}" if self.content_type else ""
        return f"{self.method} {self.path}{way}{leads} was answered with HTTP {self.status}{kind}{page}"


class _Thread(threading.local):
    """The last exchange of each thread: a thread makes one request after the other, several threads at once."""

    exchange: HttpExchange | None = None
    secrets: tuple[str, ...] = ()


_thread = _Thread()


def forget_exchange() -> None:
    """Forget the last exchange: the next request of this thread may not be made over HTTP."""
    _thread.exchange, _thread.secrets = None, ()


def last_exchange() -> HttpExchange | None:
    """Return this thread's last exchange, if it made a request over HTTP that could be recorded."""
    return _thread.exchange


def note_request(method: str, url: str, secrets: Collection[str]) -> None:
    """Record a request that is about to be sent; ``secrets`` are masked in its answer."""
    _thread.exchange = HttpExchange(method, urlsplit(url).path or "/")
    _thread.secrets = tuple(secrets)


def note_answer(response: Any, **sent: Any) -> None:
    """Record an answer; this is a hook of requests (*Event Hooks*), which is called for redirects as well."""
    exchange = _thread.exchange or HttpExchange(response.request.method, "/")
    exchange = replace(exchange, proxy=_proxy(response.url, sent.get("proxies") or {}))
    if response.is_redirect:
        _thread.exchange = replace(exchange, redirected_to=_target(response))
        return
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    text = "" if sent.get("stream") else response.content[:_READ].decode("utf-8", "replace")
    _thread.exchange = replace(
        exchange,
        status=response.status_code,
        content_type=mask(kind[:_LONGEST], _thread.secrets),
        beginning=_beginning(mask(text, _thread.secrets, is_cut=True)),
    )


def _target(response: Any) -> str:
    """Return the origin that a redirect names; paths and queries of sign-in pages can hold sessions."""
    place = urlsplit(urljoin(response.url, response.headers["Location"]))
    return f"{place.scheme}://{_host(place)}"


def _host(place: Any) -> str:
    """Return host and port, without a user name and password in front of them."""
    return str(place.netloc.rpartition("@")[2])


def _proxy(url: str, proxies: Mapping[str, str]) -> str:
    """Return the proxy that requests uses for ``url`` (in its order: scheme and host, scheme, all)."""
    from requests.utils import select_proxy  # noqa: PLC0415 - slow to import, and already imported here

    proxy = select_proxy(url, dict(proxies))
    if not proxy:
        return ""
    place = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return f"{place.scheme}://{_host(place)}"


def _beginning(text: str) -> str:
    """Return the beginning of a page as people see it: its title, or its first words."""
    title = _TITLE.search(text)
    words = " ".join(_NO_TEXT.sub(" ", title[1] if title else text).split())
    plain = "".join(char for char in words if char.isprintable())
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."
