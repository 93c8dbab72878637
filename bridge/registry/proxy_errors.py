"""Errors of requests to the registry that went through a proxy of the environment; they name the proxy.

The texts of the errors of requests and urllib3 show what a proxy answered.
"""

import re

from bridge.config import web_address
from bridge.config.mlflow_process_environment import operators_environment
from bridge.delivery.proxy_refusals import WANTS_LOGIN, login_refused, mend, tunnel_refused
from bridge.delivery.proxy_routes import Proxy, proxy_route
from bridge.errors import RegistryError, RegistryRefused, RegistryUnreachable
from bridge.registry.error_translation import foreign_status

_UNAUTHORIZED = 401
"""The status with which servers ask for credentials; a proxy uses 407."""

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3}[^'\")]*)")
_NO_PROXY_THERE = "Unable to connect to proxy"
_WHYS = (
    ("appears to only use HTTP", "it does not speak TLS itself: write http:// for it, for https URLs, too"),
    ("Connection refused", "connection refused: is it running, and the port right?"),
    ("Failed to resolve", "its name cannot be resolved"),
    ("Name or service not known", "no such host"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
    ("imed out", "no answer within registry.timeout"),
)


def with_proxy(failure: RegistryError, error: Exception, uri: str) -> RegistryError:
    """Return ``failure``, which was made from ``error``, with the proxy used for ``uri`` named, if there is one."""
    environment = operators_environment()
    url = web_address(uri, environment)
    proxy = proxy_route(url, environment)
    if not isinstance(proxy, Proxy) or _is_mlflows(error):
        return failure
    text = str(error)
    tunnel = _TUNNEL.search(text)
    if tunnel:
        return RegistryUnreachable(f"{uri} cannot be reached: {tunnel_refused(proxy, url, tunnel[1]).detail}")
    if _NO_PROXY_THERE in text:
        why = next((meaning for sign, meaning in _WHYS if sign in text), "it closed the connection")
        return RegistryUnreachable(f"{uri} cannot be reached: no connection to the proxy {proxy}: {why}")
    status = foreign_status(error) if url.startswith("http:") else None  # for https, the proxy sees no answer
    if status == WANTS_LOGIN:
        return RegistryRefused(f"{uri} cannot be reached: {login_refused(proxy).detail}")
    is_doubtful = status not in {None, _UNAUTHORIZED}
    perhaps = f"; the answer may be the proxy's: {mend(url)}" if is_doubtful else ""
    return type(failure)(f"{failure} (by way of {proxy}{perhaps})")


def _is_mlflows(error: Exception) -> bool:
    """Whether the error is an MLflow error document; proxies can answer in JSON as well."""
    document = getattr(error, "json", None)
    return isinstance(document, dict) and "error_code" in document
