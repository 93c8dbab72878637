"""List by which proxy, if any, the registry and each sink are reached."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from bridge.cli.text_tables import print_table
from bridge.config import Settings, web_address
from bridge.config.mlflow_process_environment import operators_environment
from bridge.delivery.no_proxy import unread_entries
from bridge.delivery.proxy_routes import (
    Direct,
    Proxy,
    ProxyFault,
    ProxyRoute,
    names_proxies,
    no_proxy_variable,
    proxy_route,
)
from bridge.sinks.http_answer_reading import origin
from bridge.sinks.transport.preflight_check import sink_routes

Way: TypeAlias = tuple[str, str, ProxyRoute]
"""The part of the configuration (``registry``, ``sinks.NAME``), the origin that it connects to, and the route."""


def ways_of(settings: Settings) -> Iterator[Way]:
    """Yield the route to each HTTP address that the configuration names."""
    environment = operators_environment()
    url = web_address(settings.registry.uri, environment)
    if url:
        yield "registry", origin(url), proxy_route(url, environment)
    for sink in settings.sinks:
        for place, route in sink_routes(sink, settings.delivery):
            yield f"sinks.{sink.name}", place, route


def way_document(way: Way) -> dict[str, Any]:
    """Return a route as a JSON document: ``variable`` decides it, and ``proxy`` is null for a direct route."""
    key, to, route = way
    return {
        "key": key,
        "to": to,
        "proxy": route.shown if isinstance(route, Proxy) else None,
        "variable": (route.because if isinstance(route, Direct) else route.variable) or None,
        "problem": route.problem if isinstance(route, ProxyFault) else None,
    }


def print_ways(ways: Sequence[Way]) -> None:
    """Print the routes, if the environment names any proxy."""
    if names_proxies(operators_environment()):
        print_table([{"WHO": key, "TO": to, "BY": _way(route)} for key, to, route in ways])


def _way(route: ProxyRoute) -> str:
    return f"no way ({route.variable})" if isinstance(route, ProxyFault) else str(route)


def exemption_warnings() -> Iterator[str]:
    """Yield a warning, beginning with the variable's name, for each entry of ``NO_PROXY`` that has no effect."""
    environment = operators_environment()
    variable = no_proxy_variable(environment)
    for entry in unread_entries(environment.get(variable, "")) if names_proxies(environment) else ():
        yield f"{variable}: {entry!r} is neither a host nor a network, and exempts nothing"
