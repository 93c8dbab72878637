"""By which way a URL goes: a table, held against requests and curl wherever they agree with it."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.utils import get_environ_proxies, select_proxy

from bridge.delivery.no_proxy import unread_entries
from bridge.delivery.proxy_routes import Direct, Proxy, ProxyFault, names_proxies, proxy_route
from bridge.errors import ConfigurationError
from bridge.registry.proxy_environment import proxy_variables

P = "http://127.0.0.1:9"
Q = "http://127.0.0.2:9"


@dataclass(frozen=True)
class Row:
    """Where a URL goes: the variable that names its proxy, or ``-``; and who reads it otherwise."""

    url: str
    environment: dict[str, str]
    by: str
    unlike: tuple[str, ...] = ()


def row(url: str, by: str, *unlike: str, **environment: str) -> Row:
    return Row(url, environment, by, unlike)


def exempted(no_proxy: str, url: str, *unlike: str) -> Row:
    return Row(url, {"HTTPS_PROXY": P, "http_proxy": P, "NO_PROXY": no_proxy}, "-", unlike)


def asked(no_proxy: str, url: str, *unlike: str) -> Row:
    by = "HTTPS_PROXY" if url.startswith("https:") else "http_proxy"
    return Row(url, {"HTTPS_PROXY": P, "http_proxy": P, "NO_PROXY": no_proxy}, by, unlike)


CURL, REQUESTS = shutil.which("curl") or "curl", "requests"
ROWS = [
    row("http://h.example/", "-"),
    row("http://h.example/", "-", HTTPS_PROXY=P),
    row("https://h.example/", "HTTPS_PROXY", HTTPS_PROXY=P, HTTP_PROXY=Q),
    row("https://h.example/", "https_proxy", https_proxy=P, HTTPS_PROXY=Q),
    row("https://h.example/", "HTTPS_PROXY", HTTPS_PROXY=P, ALL_PROXY=Q),
    row("https://h.example/", "ALL_PROXY", ALL_PROXY=P, http_proxy=Q),
    row("https://h.example/", "all_proxy", ALL_PROXY=Q, all_proxy=P),
    row("http://h.example/", "ALL_PROXY", ALL_PROXY=P),
    row("http://h.example/", "http_proxy", http_proxy=P, HTTP_PROXY=Q),
    row("http://h.example/", "HTTP_PROXY", CURL, HTTP_PROXY=P),  # curl fears the header Proxy in CGI
    row("https://h.example/", "-", https_proxy="", HTTP_PROXY=P),
    row("https://h.example/", "-", CURL, https_proxy="", HTTPS_PROXY=P),
    row("https://h.example/", "ALL_PROXY", https_proxy="", ALL_PROXY=P),
    row("https://h.example/", "-", CURL, REQUESTS, HTTPS_PROXY="  "),
    row("https://h.example/", "-", CURL, REQUESTS, HTTPS_PROXY='""'),  # as `docker --env-file` leaves it
    row("https://h.example/", "HTTPS_PROXY", REQUESTS, HTTPS_PROXY=f"'{P}'"),
    row("https://h.example/", "HTTPS_PROXY", REQUESTS, HTTPS_PROXY=f" {P} "),
    row("https://h.example/", "HTTPS_PROXY", HTTPS_PROXY="127.0.0.1:9"),
    row("https://h.example/", "HTTPS_PROXY", HTTPS_PROXY=f"{P}/"),
    row("https://h.example/", "HTTPS_PROXY", HTTPS_PROXY=f"{P}/a/path?b#c"),
    row("https://h.example/", "HTTPS_PROXY", HTTPS_PROXY="HTTP://u:p%40ss@127.0.0.1:9"),
    row("HTTPS://H.example/", "HTTPS_PROXY", HTTPS_PROXY=P),
    row("https://h.example/", "-", HTTPS_PROXY=P, no_proxy="h.example", NO_PROXY="x"),
    row("https://h.example/", "HTTPS_PROXY", HTTPS_PROXY=P, no_proxy="x", NO_PROXY="h.example"),
    row("https://h.example/", "-", HTTPS_PROXY=P, no_proxy="", NO_PROXY="h.example"),
    exempted("*", "https://h.example/"),
    exempted(" * ", "https://h.example/", CURL, REQUESTS),
    exempted("localhost,*", "https://h.example/", CURL, REQUESTS),
    exempted("h.example", "https://h.example/"),
    exempted("H.Example", "https://h.example:8443/"),
    exempted("h.example", "https://H.EXAMPLE/"),
    exempted("h.example", "https://a.h.example/"),
    exempted(".h.example", "https://a.h.example/"),
    exempted(".h.example", "https://h.example/"),
    asked("h.example", "https://ah.example/"),
    asked("a.h.example", "https://h.example/"),
    asked("example.h", "https://h.example/"),
    exempted("*.h.example", "https://a.h.example/", CURL, REQUESTS),
    asked("*.h.example", "https://h.example/"),
    asked("*h.example", "https://ah.example/"),
    exempted("h.example.", "https://h.example/", REQUESTS),
    exempted("h.example", "https://h.example./", REQUESTS),
    exempted("x, h.example ,y", "https://h.example/"),
    exempted("x h.example\ty", "https://h.example/", REQUESTS),
    exempted(",,h.example,", "https://h.example/"),
    exempted('"localhost,h.example"', "https://h.example/", CURL, REQUESTS),
    exempted("'h.example'", "https://h.example/", CURL, REQUESTS),
    exempted("h.example:8443", "https://h.example:8443/", CURL),
    exempted("h.example:443", "https://h.example/", CURL, REQUESTS),
    exempted("h.example:80", "http://h.example/", CURL, REQUESTS),
    asked("h.example:8443", "https://h.example/"),
    exempted("http://h.example:5000/", "http://h.example:5000/", CURL, REQUESTS),
    exempted("b\u00fccher.example", "https://xn--bcher-kva.example/", CURL, REQUESTS),
    exempted("XN--BCHER-KVA.example", "https://xn--bcher-kva.example/"),
    exempted(f"{'x' * 64}.example", f"https://{'X' * 64}.example/"),  # longer than a label of IDNA can be
    exempted("localhost", "http://localhost:5000/"),
    asked("localhost", "http://127.0.0.1:5000/"),
    asked("127.0.0.0/8", "http://localhost:5000/"),
    exempted("10.1.2.3", "https://10.1.2.3/"),
    exempted("10.1.2.3:8443", "https://10.1.2.3:8443/", CURL, REQUESTS),
    asked("10.1.2.3:8443", "https://10.1.2.3/"),
    asked("10.1.2.3", "https://10.1.2.30/"),
    exempted("10.0.0.0/8", "https://10.1.2.3/"),
    exempted("10.9.9.9/8", "https://10.1.2.3/"),
    exempted("10.1.2.3/32", "https://10.1.2.3/"),
    asked("10.0.0.0/8", "https://11.1.2.3/"),
    asked("10.0.0.0/33", "https://10.0.0.0/"),
    asked("10.*", "https://10.1.2.3/"),
    exempted("0.0.0.0/0", "https://10.1.2.3/", CURL, REQUESTS),
    exempted("::1", "http://[::1]:5000/"),
    exempted("[::1]", "http://[::1]:5000/", CURL, REQUESTS),
    exempted("[::1]:5000", "http://[::1]:5000/", CURL, REQUESTS),
    asked("[::1]:5001", "http://[::1]:5000/"),
    exempted("0:0:0:0:0:0:0:1", "http://[::1]/", CURL, REQUESTS),
    exempted("fd00::/8", "https://[fd12::1]/", CURL, REQUESTS),
    exempted("[fd00::]/8", "https://[fd12::1]/", CURL, REQUESTS),
    exempted("[fd00::/8]", "https://[fd12::1]/", CURL, REQUESTS),
    asked("fd00::/8", "https://[fe12::1]/"),
    asked("fd00::/8", "https://10.1.2.3/"),
    asked("::/0", "https://h.example/"),
    exempted("FE80::1", "https://[fe80::1%25eth0]/", REQUESTS),
    exempted("fe80::1%eth0", "https://[fe80::1%eth0]/", REQUESTS, CURL),
    exempted("10.0.0.0/8", "https://[::ffff:10.1.2.3]/", REQUESTS, CURL),
]
IDS = [f"{one.url} {one.environment}" for one in ROWS]


def way(route) -> str:
    assert not isinstance(route, ProxyFault), route
    return route.variable if isinstance(route, Proxy) else "-"


@pytest.mark.parametrize("one", ROWS, ids=IDS)
def test_each_url_goes_its_way(one) -> None:
    route = proxy_route(one.url, one.environment)

    assert way(route) == one.by
    if isinstance(route, Proxy):
        assert route.origin == P
    elif names_proxies(one.environment) and "NO_PROXY" in one.environment:
        assert route == Direct("no_proxy" if one.environment.get("no_proxy") else "NO_PROXY")


@pytest.fixture
def set_environment(monkeypatch):
    """Have this process' environment hold these variables for proxies, and no other."""
    import os

    def change(environment) -> None:
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return change


def way_of_requests(url: str) -> str:
    proxies = get_environ_proxies(url)
    return select_proxy(url, proxies) or ""


@pytest.mark.parametrize("one", [one for one in ROWS if REQUESTS not in one.unlike], ids=str)
def test_requests_agrees(one, set_environment) -> None:
    set_environment(one.environment)

    assert way_of_requests(one.url.lower()) == ("" if one.by == "-" else one.environment[one.by])


@pytest.mark.parametrize("one", ROWS, ids=IDS)
def test_mlflows_requests_go_the_same_way_once_the_registrys_variables_are_set(one, set_environment) -> None:
    url = one.url.replace("[fe80::1%eth0]", "[fe80::1%25eth0]").replace("HTTPS", "https")
    environment = {**one.environment, **proxy_variables((url,), one.environment)}
    set_environment(environment)
    route = proxy_route(one.url, one.environment)

    assert way_of_requests(url) == (route.url if isinstance(route, Proxy) else "")
    assert way(proxy_route(one.url, environment)) == one.by  # which changes nothing for the sinks
    assert {**environment, **proxy_variables((url,), environment)} == environment


@pytest.mark.skipif(not Path(CURL).exists(), reason="no curl here")
def test_curl_agrees() -> None:
    otherwise = [
        (one.url, one.environment, by)
        for one in ROWS
        if CURL not in one.unlike and (by := way_of_curl(one)) != one.by
    ]

    assert otherwise == []


def way_of_curl(one: Row) -> str:
    """Return which variable names the proxy that curl asks. Nothing listens anywhere it could go."""
    done = subprocess.run(
        [CURL, "-sv", "--max-time", "5", "--connect-to", "::127.0.0.1:9", one.url],
        env={"PATH": "/usr/bin:/bin", **one.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"Uses proxy env variable ((?:https?|all)_proxy) ==", done.stderr, re.IGNORECASE)
    return found[0] if found else "-"


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("proxy:3128", "http://proxy:3128"),
        ("http://proxy", "http://proxy:80"),
        ("https://proxy", "https://proxy:443"),
        ("HTTPS://Proxy.Example.:8443/x", "https://proxy.example.:8443"),
        ("http://my_proxy:1", "http://my_proxy:1"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("[fd00::1]", "http://[fd00::1]:80"),
        ("http://b\u00fccher.example:1", "http://xn--bcher-kva.example:1"),
        ("user:pass@proxy:3128", "http://user:pass@proxy:3128"),
        ("http://user@proxy:1", "http://user:@proxy:1"),
        ("http://:pass@proxy:1", "http://:pass@proxy:1"),
        ("http://d%5Cuser:p%40%3A%2F%25@proxy:1", "http://d%5Cuser:p%40%3A%2F%25@proxy:1"),
        ("http://user:p@ss@proxy:1", "http://user:p%40ss@proxy:1"),
        ("http://user:p\u00e4ss@proxy:1", "http://user:p%C3%A4ss@proxy:1"),
    ],
)
def test_proxies_are_read_as_people_write_them(value, url) -> None:
    route = proxy_route("https://h", {"HTTPS_PROXY": value})

    assert isinstance(route, Proxy)
    assert route.url == url
    hidden = "***@" if "@" in url else ""
    assert str(route) == "HTTPS_PROXY=" + re.sub("//(.*@)?", f"//{hidden}", url)
    assert not any(secret in f"{route!r}{route}" for secret in route.secrets)


@pytest.mark.parametrize(
    "value",
    [
        "http://",
        "http://:3128",
        "http://proxy:port",
        "http://proxy:0",
        "http://proxy:99999",
        "http://pro xy:1",
        "http://proxy:1\nX: y",
        "ftp://proxy:1",
        "proxy.pac://x",
        "::1:3128",
        "http://[::1:3128",
        "http://[zz]:3128",
        "http://a..b:1",
        "http://" + 64 * "\u00e4" + ".example:1",
        "http://-.:1;x",
        "http://user:s3cret/x@proxy:3128",  # the @ shows that a password was cut off
        "http://user:1234/s3cret@proxy:3128",
        "http://user:1234#s3cret@proxy:3128",
        "user:s3cret?x@proxy:3128",
        "http,http://proxy:1",
    ],
)
def test_what_is_no_proxy_is_a_fault_that_names_the_variable_and_shows_no_value(value) -> None:
    fault = proxy_route("https://h", {"HTTPS_PROXY": value, "NO_PROXY": "x"})

    assert isinstance(fault, ProxyFault), fault
    assert str(fault).startswith("HTTPS_PROXY: is no URL of a proxy such as http://proxy.example.com:3128")
    assert "s3cret" not in f"{fault!r}{fault}"
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY: is no URL"):
        proxy_variables(("https://h",), {"HTTPS_PROXY": value})


@pytest.mark.parametrize("scheme", ["socks", "socks4", "socks4a", "SOCKS5", "socks5h"])
def test_socks_is_refused_for_what_would_go_through_it_alone(scheme) -> None:
    environment = {
        "ALL_PROXY": f"{scheme}://user:s3cret@127.0.0.1:1080",
        "NO_PROXY": "h.example",
        "HTTP_PROXY": P,
    }

    fault = proxy_route("https://ci.example", environment)

    assert isinstance(fault, ProxyFault)
    assert str(fault) == (
        f"ALL_PROXY: is a SOCKS proxy ({scheme.lower()}://), and the bridge goes by HTTP proxies alone: "
        "set HTTPS_PROXY or HTTP_PROXY to one (http://host:port), or name ci.example in NO_PROXY"
    )
    assert proxy_route("https://h.example", environment) == Direct("NO_PROXY")
    assert way(proxy_route("http://ci.example", environment)) == "HTTP_PROXY"


@pytest.mark.parametrize(
    "url", ["", "file:///x", "sqlite:///x", "ftp://h", "http://", "http://[::1", "http://h:x"]
)
def test_what_is_no_address_in_the_web_goes_by_no_proxy(url) -> None:
    assert proxy_route(url, {"ALL_PROXY": P}) == Direct()


def test_a_variable_for_the_registry_leads_to_each_of_its_two_servers() -> None:
    environment = {"HTTP_PROXY": f'"{P}"', "NO_PROXY": "[::1],tracking"}

    changed = proxy_variables(("uc:http://[::1]:80", "http://tracking:5000", "http://h"), environment)

    assert changed == {"NO_PROXY": "[::1],tracking,::1,tracking:5000", "HTTP_PROXY": P}


def test_entries_that_exempt_nothing_are_found_and_nothing_secret_in_them_shows() -> None:
    text = "localhost, 10.*, 10.0.0.0/33, a;b, <local>, ., 10/8, http://user:s3cret@pro_xy!:1, [::1], *.x, fd00::/8, *"

    assert list(unread_entries(text)) == ["10.*", "10.0.0.0/33", "a;b", "<local>", ".", "10/8", "pro_xy!:1"]


_TEXTS = st.text(st.sampled_from("ab.:/@[]%*,\"' 019#?-\u00e4\u3002\ud800\n"), max_size=24)
_VALUES = st.one_of(_TEXTS, _TEXTS.map("http://{}".format), _TEXTS.map("http://user:s3cret{}@proxy:1".format))


@given(url=_TEXTS.map("https://{}".format), value=_VALUES, no_proxy=_TEXTS)
def test_no_text_makes_the_decision_fail_or_shows_a_password(url, value, no_proxy) -> None:
    environment = {"HTTPS_PROXY": value, "NO_PROXY": no_proxy}

    for route in (proxy_route(url, environment), proxy_route("https://h.example", environment)):
        assert "s3cret" not in f"{route}{route!r}"
        if isinstance(route, Proxy):
            assert route.origin.isascii()
            assert proxy_route("https://other.example", {"HTTPS_PROXY": route.url}) == route
    list(unread_entries(no_proxy))
