"""By which names the status page may be asked for: those that no stranger can point at this machine. Pure.

The page has no authentication. A web page somewhere could have its own name answer with this machine's
address (DNS rebinding) and then read it as if it were its own; the browser tells by which name it asks.
"""

from collections.abc import Collection
from ipaddress import ip_address


def is_welcome(host: str | None, names: Collection[str]) -> bool:
    """Whether a request with this ``Host`` header may have the page.

    An address is nobody's name; a name without a dot, and ``localhost``, have no place in the public
    DNS; ``names`` are the operator's. No browser leaves the header out.
    """
    if host is None:
        return True
    name = _without_port(host).lower().rstrip(".")
    return "." not in name.removesuffix(".localhost") or name in names or _is_address(name)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
