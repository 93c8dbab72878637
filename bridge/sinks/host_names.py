"""What a host is called in a request: not always as it is written in the URL.

A final dot makes a name whole, so that no search list is tried (RFC 1034, 3.1), and the zone of an
IPv6 address means something on this machine alone (RFC 6874, 4). Neither is in a certificate, and
few servers know themselves by it: curl leaves both out of what it sends, and so do we.
"""

from urllib.parse import urlsplit

_USUAL = {"http": 80, "https": 443}


def called(host: str) -> str:
    """Return how ``host`` is called in certificates and by its server: without final dot and zone."""
    return host.partition("%")[0].removesuffix(".")


def host_header(url: str) -> dict[str, str]:
    """Return the ``Host`` of a request to ``url``, where it is another than the one in the URL."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    name = called(host)
    if name == host:
        return {}
    port = "" if parts.port in {None, _USUAL.get(parts.scheme)} else f":{parts.port}"
    return {"host": f"[{name}]{port}" if ":" in name else f"{name}{port}"}


def server_name(url: str) -> dict[str, str]:
    """Return, as an extension of httpcore, whose certificate to ask for, where it is not the host in ``url``."""
    host = urlsplit(url).hostname or ""
    return {} if called(host) == host else {"sni_hostname": called(host)}
