"""Outcomes for requests that a proxy itself refused; they name the proxy and the correction."""

from http import HTTPStatus
from urllib.parse import urlsplit

from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.delivery.proxy_routes import Proxy
from bridge.delivery.secret_masking import mask

WANTS_LOGIN = 407
_PHRASES = {str(status.value): status.phrase for status in HTTPStatus}
_LONGEST = 100
"""How many characters of a proxy's answer are kept."""


def tunnel_refused(proxy: Proxy, url: str, answer: str) -> Outcome:
    """Return the outcome of a ``CONNECT`` to the host of ``url`` to which ``proxy`` gave this ``answer``."""
    said = mask(_in_words(answer), proxy.secrets)[:_LONGEST]
    host = urlsplit(url).netloc.rpartition("@")[2]
    if answer.startswith(str(WANTS_LOGIN)):
        return login_refused(proxy)
    if answer.startswith("5"):
        return retryable(Reason.CONNECT, f"{proxy} did not get through to {host}: {said}")
    return retryable(Reason.MISCONFIGURED, f"{proxy} refused CONNECT to {host}: {said}: {mend(url)}")


def login_refused(proxy: Proxy) -> Outcome:
    """Return the outcome of a request for which ``proxy`` demands authentication (HTTP 407)."""
    if proxy.credentials is None:
        needs = "wants a user name and a password (HTTP 407): write them into the variable"
        detail = f"{proxy} {needs}, as {proxy.origin.replace('://', '://USER:PASSWORD@', 1)}"
    else:
        detail = f"{proxy} refuses its user name and password (HTTP 407): correct them in {proxy.variable}"
    return retryable(Reason.MISCONFIGURED, detail, WANTS_LOGIN)


def mend(url: str) -> str:
    """Return what to do when a proxy does not let requests to ``url`` through."""
    host = urlsplit(url).hostname
    return f"have the proxy let it through, or name {host} in NO_PROXY"


def _in_words(answer: str) -> str:
    """Return a status with a phrase: the standard one, where the proxy gave none."""
    status = answer.strip()
    return f"{status} {_PHRASES[status]}" if status in _PHRASES else status
