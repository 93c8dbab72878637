"""Sets the proxy variables so that MLflow's client takes the route that `bridge.delivery.proxy_routes` chooses.

The client uses requests, which supports only IPv4 networks in ``NO_PROXY``, no address in brackets and no
port after an address, and which reads quotes and blanks as parts of a proxy's URL.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from bridge.config import web_address
from bridge.delivery.no_proxy import plain_name
from bridge.delivery.proxy_routes import Proxy, ProxyFault, blank_variables, proxy_route
from bridge.errors import ConfigurationError


def proxy_variables(uris: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to change in ``environment`` for requests to the registry and tracking server at ``uris``.

    Raises:
        ConfigurationError: the environment names a proxy that cannot be used.
    """
    changed = dict.fromkeys(blank_variables(environment), "")
    for uri in uris:
        known = {**environment, **changed}
        url = web_address(uri, environment)
        route = proxy_route(url, known)
        if isinstance(route, ProxyFault):
            raise ConfigurationError([str(route)])
        if isinstance(route, Proxy):
            changed[route.variable] = route.url
        elif route.because:
            changed[route.because] = _exempting(url, known[route.because])
    return changed


def _exempting(url: str, entries: str) -> str:
    """Return the value of ``NO_PROXY`` extended by the host of ``url``, in the form that requests looks for."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_address = ":" in host or host.replace(".", "").isdigit()
    name = host if is_address or host.isascii() else plain_name(host)
    entry = name if is_address or parts.port is None else f"{name}:{parts.port}"
    return entries if entry in entries.split(",") else f"{entries},{entry}"
