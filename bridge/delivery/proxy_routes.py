"""Chooses the route to a URL: direct, or through the HTTP proxy that the environment names.

The registry and the sinks share this decision. It reads ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and
``NO_PROXY`` as curl and requests do: a variable in lower case takes precedence over the same one in capitals,
and a proxy for the URL's scheme over the one for all schemes. Like requests, it also reads ``HTTP_PROXY`` in
capitals. (curl does not: in CGI programs, the header ``Proxy`` could set that variable.)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import SplitResult, quote, unquote, urlsplit

from bridge.delivery.allowed_destinations import plain_address
from bridge.delivery.no_proxy import exempts, plain_name

_PORTS = {"http": 80, "https": 443}
_MOST_URLS = 256
_QUOTES = "\"'"
_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?", re.ASCII)
_SOCKS = frozenset({"socks", "socks4", "socks4a", "socks5", "socks5h"})
_MALFORMED = (
    "is no URL of a proxy such as http://proxy.example.com:3128: correct it, or unset it (in a user name or "
    "a password, special characters are written as %XX)"
)


@dataclass(frozen=True, slots=True)
class Direct:
    """No proxy; ``because`` names the variable that exempts the host from proxies (``NO_PROXY``), if one does."""

    because: str = ""

    def __str__(self) -> str:
        """Return the route in words."""
        return f"direct ({self.because})" if self.because else "direct"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, which ``variable`` names. Its user name and password are never shown."""

    variable: str
    scheme: str
    host: str
    port: int
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL, with user name and password."""
        return self.origin.replace("://", f"://{self._login}", 1)

    @property
    def credentials(self) -> tuple[str, str] | None:
        """The user name and password, if at least one of them is set."""
        return (self.username, self.password) if self.username or self.password else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What to mask in texts from outside: the password, or the token that is used as user name."""
        return tuple(filter(None, (self.password or self.username,)))

    @property
    def _login(self) -> str:
        if self.credentials is None:
            return ""
        return ":".join(quote(part, safe="") for part in self.credentials) + "@"

    @property
    def shown(self) -> str:
        """The URL without its secrets."""
        return self.origin.replace("://", "://***@", 1) if self.credentials else self.origin

    def __str__(self) -> str:
        """Return the variable and the proxy, as they appear in messages."""
        return f"{self.variable}={self.shown}"


@dataclass(frozen=True, slots=True)
class ProxyFault:
    """No usable route: ``variable`` names no usable proxy; ``problem`` says why, and what to do."""

    variable: str
    problem: str

    def __str__(self) -> str:
        """Return the sentence, variable first."""
        return f"{self.variable}: {self.problem}"


ProxyRoute: TypeAlias = Direct | Proxy | ProxyFault


def proxy_route(url: str, environment: Mapping[str, str]) -> ProxyRoute:
    """Return the route for requests to ``url``, by the variables in ``environment``."""
    place = _place(url)
    variable = _proxy_variable(url.partition(":")[0].lower(), environment)
    if place is None or not variable:
        return Direct()
    exempting = no_proxy_variable(environment)
    if exempts(environment.get(exempting, ""), *place):
        return Direct(exempting)
    return _proxy(variable, _plain(environment[variable]), place[0])


def names_proxies(environment: Mapping[str, str]) -> bool:
    """Whether ``environment`` names any proxy for http or https URLs."""
    return any(_proxy_variable(scheme, environment) for scheme in _PORTS)


def blank_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the proxy variables that hold only blanks or quotes, and so name no proxy."""
    names = [f"{scheme}_proxy" for scheme in (*_PORTS, "all")]
    known = [name for lower in names for name in (lower, lower.upper()) if environment.get(name)]
    return [name for name in known if not _plain(environment[name])]


def no_proxy_variable(environment: Mapping[str, str]) -> str:
    """Return the variable that is used for exemptions: the lower-case one, unless it is empty."""
    return "no_proxy" if environment.get("no_proxy", "").strip() else "NO_PROXY"


def _proxy_variable(scheme: str, environment: Mapping[str, str]) -> str:
    """Return the variable that names the proxy, or nothing; an empty lower-case one hides the one in capitals."""
    for lower in (f"{scheme}_proxy", "all_proxy") if scheme in _PORTS else ():
        name = lower if lower in environment else lower.upper()
        if _plain(environment.get(name, "")):
            return name
    return ""


@lru_cache(maxsize=_MOST_URLS)
def _place(url: str) -> tuple[str, int] | None:
    parts = _split(url)
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.hostname, parts.port or _PORTS[parts.scheme]


def _split(url: str) -> SplitResult | None:
    """Return the parts of ``url``, or None where it is no URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _plain(text: str) -> str:
    """Return a variable's value without surrounding blanks, and without quotes that some files leave in it."""
    return text.strip().strip(_QUOTES).strip()


def _proxy(variable: str, text: str, host: str) -> Proxy | ProxyFault:
    scheme, separator, _ = text.lower().partition("://")
    if separator and scheme in _SOCKS:
        other = "HTTPS_PROXY or HTTP_PROXY" if variable.lower() == "all_proxy" else variable
        problem = (
            f"is a SOCKS proxy ({scheme}://), and the bridge goes by HTTP proxies alone: set {other} to one "
            f"(http://host:port), or name {host} in NO_PROXY"
        )
        return ProxyFault(variable, problem)
    parts = _split(text if separator else f"http://{text}")
    if parts is None or not _is_proxy(parts, text):
        return ProxyFault(variable, _MALFORMED)
    port = parts.port or _PORTS[parts.scheme]
    login = (unquote(parts.username or ""), unquote(parts.password or ""))
    return Proxy(variable, parts.scheme, _proxy_host(parts), port, *login)


def _is_proxy(parts: SplitResult, text: str) -> bool:
    """Whether these are the parts of a proxy's URL; an ``@`` after the host shows that a password was cut."""
    host = _proxy_host(parts)
    is_host = _HOST.fullmatch(host) is not None or _is_address(host)
    rest = f"{parts.path}{parts.query}{parts.fragment}"
    is_clean = text.isprintable() and " " not in text and "@" not in rest
    return parts.scheme in _PORTS and parts.port != 0 and is_host and is_clean


def _proxy_host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return host if host.isascii() else plain_name(host)


def _is_address(host: str) -> bool:
    try:
        plain_address(host)
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
