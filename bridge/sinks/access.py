"""What can be known about reaching sinks before anything is sent."""

from collections.abc import Iterator

from bridge.config import Access, DeliverySettings, SinkSettings, access_of
from bridge.delivery.targets import host_of
from bridge.errors import AuthorityUnavailable, SecretUnavailable


def access_faults(sink: SinkSettings, delivery: DeliverySettings) -> Iterator[str]:
    """Yield a sentence, key first, for whatever will keep ``sink`` from being reached."""
    access = access_of(sink, delivery)
    yield from _tls_faults(access)
    for place, what in ((sink.origin(), "delivers to"), (sink.token_origin(), "asks for tokens")):
        host = host_of(place)
        if host and access.targets is not None and not access.targets.could_take(host):
            yield f"{access.hosts_key}: allows no {host}, where the sink {sink.name!r} {what}"


def _tls_faults(access: Access) -> Iterator[str]:
    if not access.tls.files:
        return
    from bridge.sinks.tls import context_of  # noqa: PLC0415 - most configurations need none

    try:
        context_of(access.tls, access.tls_key)
    except (AuthorityUnavailable, SecretUnavailable) as error:
        yield str(error)
