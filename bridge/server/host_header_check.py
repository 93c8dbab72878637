"""Check the ``Host`` header of requests for the status page, against DNS rebinding. Pure.

The page has no authentication. With DNS rebinding, a foreign web page lets its own host name resolve to this
machine's address, and can then read the status page. The browser sends that host name in the ``Host`` header.
"""

from collections.abc import Collection
from ipaddress import ip_address


def is_welcome(host: str | None, names: Collection[str]) -> bool:
    """Whether a request with this ``Host`` header may read the page.

    Accepted are IP addresses, names without a dot and ``localhost``, which nobody can register in the public
    DNS, and the operator's ``names``. A request without the header is accepted: it does not come from a browser.
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
