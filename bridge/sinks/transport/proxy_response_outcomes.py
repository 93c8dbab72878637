"""Outcomes of requests through a proxy: messages name the proxy, and tell its own refusals from the receiver's.

A proxy refuses tunnels (``CONNECT``, for https) with a status, before the receiver gets the request. For
plain http, it passes the receiver's answers on, and sends its own in the same place. They are told apart by
headers that proxies add to their own answers (RFC 9209, 2.1; RFC 9110, 11.7.1; Squid). If this is not
possible, the message names both.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.delivery.proxy_refusals import WANTS_LOGIN, login_refused, mend, tunnel_refused
from bridge.delivery.proxy_routes import Direct, Proxy, ProxyFault, ProxyRoute
from bridge.sinks.base import Request, Response

Attempt: TypeAlias = Callable[[Request], Awaitable[Response | Outcome]]
"""Makes a request once."""

_LEFT_TO_THE_SINK = frozenset({408, 425, 429})
"""Statuses for overload, which mean the same whether the proxy or the receiver sends them."""

_OWN_HEADERS = frozenset({"x-squid-error", "proxy-agent", "proxy-authenticate"})
_OWN_SERVER = re.compile(r"(squid|tinyproxy|privoxy|zscaler|mitmproxy)\b", re.IGNORECASE)


class TunnelRefused(Exception):  # not one of bridge.errors: it becomes an outcome
    """A proxy answered ``CONNECT`` with a refusal; the message is its status line (``403 Forbidden``)."""


async def sent_by(route: ProxyRoute, request: Request, attempt: Attempt) -> Response | Outcome:
    """Return the result of one ``attempt`` to make ``request`` by ``route``; it raises `TunnelRefused` for a tunnel."""
    if isinstance(route, ProxyFault):
        return retryable(Reason.MISCONFIGURED, str(route))
    if isinstance(route, Direct):
        return await attempt(request)
    masked = replace(request, secrets=(*request.secrets, *route.secrets))
    try:
        found = await attempt(masked)
    except TunnelRefused as refused:
        return tunnel_refused(route, request.url, str(refused))
    return _failed(found, route) if isinstance(found, Outcome) else _answered(found, route, request.url)


def _failed(outcome: Outcome, proxy: Proxy) -> Outcome:
    hint = ""
    if proxy.scheme == "https" and outcome.reason is Reason.TLS:
        hint = "; most proxies are spoken to in http://, for https URLs, too"
    return replace(outcome, detail=f"{outcome.detail} (by way of {proxy}{hint})")


def _answered(answer: Response, proxy: Proxy, url: str) -> Response | Outcome:
    """Return an answer with ``proxy`` named in it, or an outcome if the answer is the proxy's own."""
    if url.startswith("https:") or 200 <= answer.status < 300:  # noqa: PLR2004 - as answers are judged
        return answer
    if answer.status == WANTS_LOGIN:
        return login_refused(proxy)
    if _is_own(answer):
        detail = f"{proxy} answered HTTP {answer.status} itself: {mend(url)}: {answer.excerpt}"
        return retryable(Reason.MISCONFIGURED, detail.rstrip(": "), answer.status)
    return replace(answer, excerpt=f"{answer.excerpt} (by way of {proxy})".lstrip())


def _is_own(answer: Response) -> bool:
    """Whether a refusal is the proxy's own. Its 5xx are left to the sink, which respects ``Retry-After``."""
    if answer.status >= 500 or answer.status in _LEFT_TO_THE_SINK:  # noqa: PLR2004
        return False
    return _is_signed(answer.headers)


def _is_signed(headers: Mapping[str, str]) -> bool:
    is_named = not _OWN_HEADERS.isdisjoint(headers) or "error=" in headers.get("proxy-status", "")
    return is_named or _OWN_SERVER.match(headers.get("server", "")) is not None
