"""Checks whether sinks can be reached, as far as the configuration shows, without sending anything."""

from collections.abc import Iterator

from bridge.config import Access, DeliverySettings, SinkSettings, access_of
from bridge.config.mlflow_process_environment import operators_environment
from bridge.delivery.allowed_destinations import host_of
from bridge.delivery.proxy_routes import Direct, ProxyFault, ProxyRoute, proxy_route
from bridge.errors import AuthorityUnavailable, SecretUnavailable


def access_faults(sink: SinkSettings, delivery: DeliverySettings) -> Iterator[str]:
    """Yield a sentence, key first, for each fault that will keep ``sink`` from being reached."""
    access = access_of(sink, delivery)
    yield from _tls_faults(access)
    yield from (str(route) for _, route in sink_routes(sink, delivery) if isinstance(route, ProxyFault))
    for place, what in ((sink.origin(), "delivers to"), (sink.token_origin(), "asks for tokens")):
        host = host_of(place)
        if host and access.targets is not None and not access.targets.could_take(host):
            yield f"{access.hosts_key}: allows no {host}, where the sink {sink.name!r} {what}"


def route_of(url: str, access: Access) -> ProxyRoute:
    """Return the route for requests to ``url``: without a proxy if targets are limited.

    A proxy would connect to addresses that the bridge cannot check.
    """
    return Direct(access.hosts_key) if access.targets else proxy_route(url, operators_environment())


def sink_routes(sink: SinkSettings, delivery: DeliverySettings) -> Iterator[tuple[str, ProxyRoute]]:
    """Yield each web origin that ``sink`` sends to, with its route."""
    access = access_of(sink, delivery)
    for place in sink.origins():
        origin = place.partition(" ")[0]
        if origin.startswith(("http://", "https://")):
            yield origin, route_of(origin, access)


def _tls_faults(access: Access) -> Iterator[str]:
    if not access.tls.files:
        return
    from bridge.sinks.transport.tls_context import context_of  # noqa: PLC0415 - most configurations need none

    try:
        context_of(access.tls, access.tls_key)
    except (AuthorityUnavailable, SecretUnavailable) as error:
        yield str(error)
