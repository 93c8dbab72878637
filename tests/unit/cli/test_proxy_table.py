"""``check`` shows by which way everything is reached, and finds what is wrong with it."""

import json
import os
import re
import ssl

import pytest
from support.command import http_sink
from support.forward_proxy import ForwardProxy, Refusal
from support.receiver import Answer, Got, RawReceiver, WebServer, free_port
from support.tls import Authority

from bridge.sinks.transport import proxy_connection_test

SECRET = "pr0xy-Pa:ss/+="
ESCAPED = "pr0xy-Pa%3Ass%2F%2B%3D"
OAUTH = 'oauth2 = { token_url = "http://id.example/token", client_id = "x", client_secret = { env = "CI_SECRET" } }'


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """This process' environment with no variable for proxies but those that a test sets, restored afterwards."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CI_SECRET", "s")
    before = dict(os.environ)
    yield lambda name, value: os.environ.update({name: value})
    os.environ.clear()
    os.environ.update(before)


def without_models(got: Got) -> Answer:
    """Answer as a registry does that holds nothing."""
    kind = {"Content-Type": "application/json"}
    if "search" in got.path:
        return Answer(200, kind, b"{}")
    return Answer(404, kind, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "there is none"}')


@pytest.fixture
def registry():
    server = WebServer(without_models)
    yield server
    server.stop()


@pytest.fixture
def proxies():
    made: list[ForwardProxy] = []

    def make(**options) -> ForwardProxy:
        made.append(ForwardProxy(**options))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


def rows(done) -> list[list[str]]:
    lines = [line for line in done.out.splitlines() if "://" in line and not line.startswith("/")]
    return [re.split(r"  +", line) for line in lines]


def test_each_way_is_shown_with_what_decides_it(bridge, environment) -> None:
    environment("HTTPS_PROXY", f"http://user:{ESCAPED}@proxy.example:3128")
    environment("http_proxy", "other.example")
    environment("NO_PROXY", "registry")
    limited = http_sink("http://10.1.2.3", "limited", 'allowed_hosts = ["10.0.0.0/8"]')
    bridge.configure(http_sink("https://ci.example", more=OAUTH), limited)

    done = bridge.run("check")
    document = json.loads(bridge.run("check", "--output", "json").out)

    assert (done.code, rows(done)) == (
        0,
        [
            ["registry", "http://registry", "direct (NO_PROXY)"],
            ["sinks.ci", "https://ci.example", "HTTPS_PROXY=http://***@proxy.example:3128"],
            ["sinks.ci", "http://id.example", "http_proxy=http://other.example:80"],
            ["sinks.limited", "http://10.1.2.3", "direct (sinks.limited.allowed_hosts)"],
        ],
    )
    keys = ("key", "to", "proxy", "variable", "problem")
    assert [tuple(way[key] for key in keys) for way in document["proxies"]] == [
        ("registry", "http://registry", None, "NO_PROXY", None),
        ("sinks.ci", "https://ci.example", "http://***@proxy.example:3128", "HTTPS_PROXY", None),
        ("sinks.ci", "http://id.example", "http://other.example:80", "http_proxy", None),
        ("sinks.limited", "http://10.1.2.3", None, "sinks.limited.allowed_hosts", None),
    ]
    assert SECRET not in done.out + done.err
    assert ESCAPED not in done.out + done.err


def test_where_the_environment_names_no_proxy_nothing_is_printed_of_them(bridge, environment) -> None:
    environment("NO_PROXY", "a;b")
    bridge.configure(http_sink("https://ci.example"))

    done = bridge.run("check")
    document = json.loads(bridge.run("check", "--output", "json").out)

    assert (done.out, done.err) == (f"{bridge.folder}/config.toml: ok, 1 sink\n", "")
    assert [(way["proxy"], way["variable"]) for way in document["proxies"]] == [(None, None)] * 2


def test_a_proxy_that_cannot_be_used_is_a_fault_where_something_would_go_by_it(bridge, environment) -> None:
    environment("ALL_PROXY", "socks5h://127.0.0.1:1080")
    environment("NO_PROXY", "registry")
    bridge.configure(http_sink("https://ci.example"))

    done = bridge.run("check")
    document = json.loads(bridge.run("check", "--output", "json").out)
    environment("NO_PROXY", "registry,ci.example")
    exempt = bridge.run("check")

    assert (done.code, exempt.code, exempt.err) == (78, 0, "")
    assert "mlflow-bridge: ALL_PROXY: is a SOCKS proxy (socks5h://)" in done.err
    assert ["sinks.ci", "https://ci.example", "no way (ALL_PROXY)"] in rows(done)
    assert [(fault["key"], fault["exit_code"]) for fault in document["faults"]] == [("ALL_PROXY", 78)]
    assert document["proxies"][1]["problem"].startswith("is a SOCKS proxy")


def test_one_that_keeps_all_from_being_reached_is_one_fault(bridge, environment) -> None:
    environment("ALL_PROXY", f"http://user:{SECRET}/@proxy:1")
    bridge.configure(http_sink("https://ci.example"), http_sink("https://cd.example", "cd"))

    plain, asking = bridge.run("check"), bridge.run("check", "--connect")

    for done in (plain, asking):
        assert (done.code, done.err.count("ALL_PROXY: is no URL of a proxy")) == (78, 1), done.err
        assert SECRET not in done.out + done.err


def test_of_a_catalogs_url_the_origin_alone_is_shown(bridge, environment) -> None:
    environment("HTTPS_PROXY", "http://proxy.example:3128")
    catalog = f'http://registry"\nregistry_uri = "uc:https://user:{ESCAPED}@uc.example:8443/prefix'
    bridge.configure(http_sink("https://ci.example"), registry=catalog)

    done = bridge.run("check")

    way = ["registry", "https://uc.example:8443", "HTTPS_PROXY=http://proxy.example:3128"]
    assert way in rows(done), done.err
    assert ESCAPED not in done.out + done.err


def test_a_registry_that_is_no_address_in_the_web_goes_by_no_way(bridge, environment, tmp_path) -> None:
    environment("ALL_PROXY", "http://proxy.example:3128")
    bridge.configure(http_sink("https://ci.example"), registry=str(tmp_path))

    assert [way[0] for way in rows(bridge.run("check"))] == ["sinks.ci"]


def test_entries_that_exempt_nothing_are_warned_of(bridge, environment) -> None:
    environment("HTTPS_PROXY", "http://proxy:3128")
    environment("no_proxy", "registry,10.*,*.corp")
    bridge.configure(http_sink("https://ci.example"))

    done = bridge.run("check")

    assert (done.code, done.err.splitlines()) == (
        0,
        ["mlflow-bridge: warning: no_proxy: '10.*' is neither a host nor a network, and exempts nothing"],
    )


def test_a_key_log_that_cannot_be_written_is_a_warning(bridge, environment) -> None:
    environment("SSLKEYLOGFILE", "/no/such/folder/keys")
    bridge.configure(http_sink("https://ci.example"))

    document = json.loads(bridge.run("check", "--output", "json").out)

    assert document["ok"]
    assert document["warnings"] == [
        {
            "key": "SSLKEYLOGFILE",
            "message": "/no/such/folder/keys cannot be written (No such file or directory): no TLS keys are logged",
        }
    ]


def test_authorities_of_the_environment_that_are_not_there_are_warned_of(
    bridge, environment, tmp_path
) -> None:
    bridge.configure(http_sink("https://ci.example"))
    environment("SSL_CERT_FILE", str(bridge.folder / "config.toml"))
    environment("SSL_CERT_DIR", f"/none:{tmp_path}")
    there = bridge.run("check")
    environment("SSL_CERT_FILE", "/none.pem")
    environment("SSL_CERT_DIR", "/none:/no")
    gone = bridge.run("check")

    assert (there.code, there.err, gone.code) == (0, "", 0)
    assert gone.err.splitlines() == [
        (
            "mlflow-bridge: warning: SSL_CERT_FILE: /none.pem cannot be read (No such file or directory): "
            "no sink trusts what should be in it"
        ),
        "mlflow-bridge: warning: SSL_CERT_DIR: /none:/no is no folder: no sink trusts what should be in it",
    ]


def connect(bridge, registry, *sinks: str) -> tuple[int, list[str]]:
    bridge.configure(*sinks, registry=registry.url)
    done = bridge.run("check", "--connect")
    faults = [line for line in done.err.splitlines() if "warning" not in line]
    assert SECRET not in done.out + done.err
    return done.code, [line.removeprefix("mlflow-bridge: ") for line in faults]


def test_with_connect_proxies_that_let_connections_through_are_no_fault(
    bridge, registry, receiver, proxies, environment
) -> None:
    proxy = proxies(login=f"user:{SECRET}", hosts={"ci.example": "127.0.0.1"})
    environment("ALL_PROXY", proxy.url.replace("//", f"//user:{ESCAPED}@"))
    port = receiver.port
    to = [http_sink(f"{scheme}://ci.example:{port}", scheme) for scheme in ("http", "https")]

    assert connect(bridge, registry, *to) == (0, [])
    assert [line for line in proxy.asked if line.startswith("CONNECT")] == [f"CONNECT ci.example:{port}"] * 2
    assert receiver.came == 0


def test_with_connect_each_place_that_a_proxy_refuses_is_a_fault(
    bridge, registry, proxies, environment
) -> None:
    proxy = proxies(refusal=Refusal("403 Forbidden"))
    environment("HTTPS_PROXY", proxy.url)
    environment("HTTP_PROXY", proxy.url)
    environment("NO_PROXY", "127.0.0.1")
    sinks = [http_sink(f"https://{name}.example", name) for name in "ab"]
    again, plain = http_sink("https://a.example", "c"), http_sink("http://plain.example", "plain")

    code, faults = connect(bridge, registry, *sinks, again, plain)

    assert code == 78
    assert [line.partition(": have")[0] for line in faults] == [
        f"HTTPS_PROXY={proxy.url} refused CONNECT to {name}.example: 403 Forbidden" for name in "ab"
    ]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_with_connect_a_password_that_is_missing_is_a_fault(
    bridge, registry, proxies, environment, scheme
) -> None:
    proxy = proxies(login=f"user:{SECRET}")
    environment("ALL_PROXY", proxy.url)
    environment("NO_PROXY", "127.0.0.1")

    code, faults = connect(bridge, registry, http_sink(f"{scheme}://ci.example"))

    assert (code, len(faults)) == (78, 1)
    assert faults[0].startswith(f"ALL_PROXY={proxy.url} wants a user name and a password (HTTP 407)")


def test_with_connect_a_proxy_that_is_down_is_one_fault_however_many_go_by_it(
    bridge, registry, environment
) -> None:
    port = free_port()
    environment("ALL_PROXY", f"127.0.0.1:{port}")
    environment("NO_PROXY", "127.0.0.1")

    found = connect(bridge, registry, *(http_sink(f"https://{name}.example", name) for name in "abc"))

    assert found == (
        78,
        [f"ALL_PROXY=http://127.0.0.1:{port}: no connection to the proxy: Connection refused"],
    )


def test_with_connect_a_proxy_that_hangs_is_a_fault(bridge, registry, environment, monkeypatch) -> None:
    monkeypatch.setattr(proxy_connection_test, "_STEP_S", 0.2)
    proxy = RawReceiver(b"", hang=20)
    environment("HTTPS_PROXY", proxy.url)

    code, faults = connect(bridge, registry, http_sink("https://ci.example"))

    proxy.stop()
    assert (code, len(faults)) == (78, 1)
    assert "no connection to the proxy: no answer within 0.2 s" in faults[0]


@pytest.mark.parametrize(
    ("answer", "why"), [(b"", "it does not answer as HTTP proxies do"), (b"SSH-2.0-x\r\n", "it does")]
)
def test_with_connect_what_is_no_proxy_is_a_fault(bridge, registry, environment, answer, why) -> None:
    proxy = RawReceiver(answer)
    environment("HTTPS_PROXY", proxy.url)

    code, faults = connect(
        bridge, registry, http_sink("https://ci.example"), http_sink("https://cd.example", "cd")
    )

    proxy.stop()
    assert (code, len(faults)) == (78, 1)
    assert why in faults[0]


def test_with_connect_a_proxy_that_speaks_tls_is_greeted_so(
    bridge, registry, receiver, proxies, environment, tmp_path
) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("proxy", "127.0.0.1"))
    proxy = proxies(context=context)
    environment("HTTPS_PROXY", proxy.url)
    to = f"https://127.0.0.1:{receiver.port}"
    trusting = http_sink(to, more=f'tls = {{ ca_file = "{authority.ca_file}" }}')
    broken = http_sink(to, more='tls = { ca_file = "/none" }')

    trusted, distrusted, unread = (
        connect(bridge, registry, sink) for sink in (trusting, http_sink(to), broken)
    )
    raw = RawReceiver(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    environment("HTTPS_PROXY", raw.url.replace("http:", "https:"))
    plain = connect(bridge, registry, http_sink(to))
    raw.stop()

    assert trusted == (0, [])
    assert "no connection to the proxy: its certificate is not trusted (" in distrusted[1][0]
    assert [line.partition(":")[0] for line in unread[1]] == ["sinks.ci.tls.ca_file"]
    assert "does it speak TLS itself? most proxies are http://" in plain[1][0]
