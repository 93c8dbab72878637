"""Deliveries by way of real proxies on loopback: what comes through, and what is said where nothing does."""

import os
import ssl

import pytest
from support.forward_proxy import ForwardProxy, Refusal
from support.receiver import Answer, RawReceiver, Receiver, free_port
from support.tls import Authority, TlsReceiver

from bridge.config import Access, TlsSettings
from bridge.delivery.allowed_destinations import Targets
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.sinks.base import Request, Response
from bridge.sinks.transport.client_cache import LazyTransport
from bridge.sinks.transport.tls_context import proxy_context_of

SECRET = "pr0xy-P\u00e4:ss/+="
ESCAPED = "pr0xy-P%C3%A4%3Ass%2F%2B%3D"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No variable for proxies but those that a test sets."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    return monkeypatch.setenv


@pytest.fixture
def receiver():
    receiver = Receiver(Answer(200, body=b"thanks"))
    yield receiver
    receiver.stop()


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls_receiver(authority):
    receiver = TlsReceiver(*authority.issue("server", "ci.example"))
    yield receiver
    receiver.stop()


@pytest.fixture
def proxies():
    """Make proxies that know a host ``ci.example``, and are stopped at the end."""
    made: list[ForwardProxy] = []

    def make(**options) -> ForwardProxy:
        made.append(ForwardProxy(hosts={"ci.example": "127.0.0.1"}, **options))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


async def post(
    url: str, *, timeout_ms: int = 10_000, tls: TlsSettings | None = None, **more
) -> Response | Outcome:
    async with LazyTransport() as transport:
        way = transport.through(Access(tls=tls or TlsSettings(), **more))
        return await way.post(Request(f"{url}/hook", {"X-A": "b"}, b'{"a": 1}', timeout_ms))


def at(receiver: Receiver, scheme: str = "http") -> str:
    return f"{scheme}://ci.example:{receiver.port}"


def assert_failed(got: Response | Outcome, reason: Reason, *words: str) -> None:
    assert isinstance(got, Outcome), got
    assert (got.verdict, got.reason) == (Verdict.RETRYABLE, reason), got
    assert [word for word in words if word not in got.detail] == [], got.detail
    assert SECRET not in got.detail
    assert ESCAPED not in got.detail


async def test_plain_http_goes_through_in_absolute_form(proxies, receiver, environment) -> None:
    proxy = proxies()
    environment("HTTP_PROXY", proxy.url)

    got = await post(at(receiver))

    assert isinstance(got, Response), got
    assert (got.status, got.excerpt, receiver.got[0].body) == (200, "thanks", {"a": 1})
    assert proxy.asked == [f"POST http://ci.example:{receiver.port}/hook"]


async def test_https_goes_through_a_tunnel_of_which_the_proxy_sees_nothing(
    proxies, tls_receiver, authority, environment
) -> None:
    proxy = proxies()
    environment("HTTPS_PROXY", proxy.url)

    got = await post(at(tls_receiver, "https"), tls=TlsSettings(ca_file=str(authority.ca_file)))

    assert isinstance(got, Response), got
    assert proxy.asked == [f"CONNECT ci.example:{tls_receiver.port}"]
    assert tls_receiver.asked_for == ["ci.example"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_speaks_tls_itself_is_trusted_by_the_same_authority_and_sees_no_client_certificate(
    proxies, receiver, tls_receiver, authority, environment, scheme
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("proxy", "127.0.0.1"))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(authority.ca_file)
    proxy = proxies(context=context)
    environment("ALL_PROXY", proxy.url)
    cert, key = authority.issue("bridge")
    tls = TlsSettings(ca_file=str(authority.ca_file), client_cert=str(cert), client_key=str(key))

    got = await post(at({"http": receiver, "https": tls_receiver}[scheme], scheme), tls=tls)

    assert isinstance(got, Response), got
    assert len(proxy.asked) == 1
    assert proxy.certificates == [None]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_password_in_the_variable_goes_to_the_proxy_alone(
    proxies, receiver, tls_receiver, authority, environment, scheme
) -> None:
    proxy = proxies(login=f"us@er:{SECRET}")
    environment("ALL_PROXY", proxy.url.replace("//", f"//us%40er:{ESCAPED}@"))
    to = {"http": receiver, "https": tls_receiver}[scheme]

    got = await post(at(to, scheme), tls=TlsSettings(ca_file=str(authority.ca_file)))

    assert isinstance(got, Response), got
    assert "proxy-authorization" not in to.got[0].headers


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_password_says_so_in_the_variables_name(
    proxies, receiver, environment, scheme
) -> None:
    proxy = proxies(login=f"user:{SECRET}")
    environment("ALL_PROXY", proxy.url)
    none = await post(at(receiver, scheme))
    environment("ALL_PROXY", proxy.url.replace("//", f"//user:{ESCAPED}x@"))
    wrong = await post(at(receiver, scheme))

    assert_failed(
        none, Reason.MISCONFIGURED, f"ALL_PROXY={proxy.url} wants a user name and a password (HTTP 407)"
    )
    shown = proxy.url.replace("//", "//***@")
    assert_failed(
        wrong, Reason.MISCONFIGURED, f"ALL_PROXY={shown} refuses its user name and password (HTTP 407)"
    )
    assert receiver.came == 0


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        ("400 Bad Request", Reason.MISCONFIGURED, "refused CONNECT to ci.example:8443: 400 Bad Request"),
        ("403 Forbidden", Reason.MISCONFIGURED, "refused CONNECT to ci.example:8443: 403 Forbidden"),
        ("404 Not Found", Reason.MISCONFIGURED, "refused CONNECT to ci.example:8443: 404 Not Found"),
        ("405 Method Not Allowed", Reason.MISCONFIGURED, "refused CONNECT"),
        ("410 Gone", Reason.MISCONFIGURED, "refused CONNECT"),  # which stops no sink
        ("302 Found", Reason.MISCONFIGURED, "refused CONNECT to ci.example:8443: 302 Found"),
        ("429 Too Many Requests", Reason.MISCONFIGURED, "429 Too Many Requests"),
        ("502 Bad Gateway", Reason.CONNECT, "did not get through to ci.example:8443: 502 Bad Gateway"),
        ("503 Service Unavailable", Reason.CONNECT, "503 Service Unavailable"),
        ("504 Gateway Timeout", Reason.CONNECT, "504 Gateway Timeout"),
        ("403", Reason.MISCONFIGURED, "refused CONNECT to ci.example:8443: 403 Forbidden"),
        ("499", Reason.MISCONFIGURED, "refused CONNECT to ci.example:8443: 499"),
    ],
)
async def test_a_refused_tunnel_is_the_proxys_with_its_words(
    proxies, environment, status, reason, words
) -> None:
    proxy = proxies(refusal=Refusal(status))
    environment("HTTPS_PROXY", proxy.url.replace("//", f"//user:{ESCAPED}@"))

    got = await post("https://ci.example:8443")

    assert_failed(got, reason, f"HTTPS_PROXY=http://***@127.0.0.1:{proxy.port}", words)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("403 Forbidden", {"X-Squid-Error": "ERR_ACCESS_DENIED 0"}),
        ("400 Bad Request", {"X-Squid-Error": "ERR_INVALID_URL 0"}),
        ("404 Not Found", {"Server": "squid/5.7"}),
        ("410 Gone", {"Proxy-Agent": "x"}),
        ("403 Filtered", {"Server": "tinyproxy/1.11.1"}),
        ("302 Found", {"Location": "http://portal/", "Server": "Zscaler/6.2"}),
        ("403 Forbidden", {"Proxy-Status": 'corp; error="http_request_denied"'}),
    ],
)
async def test_a_refusal_that_a_proxy_signs_is_the_proxys_and_no_event_dies_of_it(
    proxies, environment, status, headers
) -> None:
    proxy = proxies(refusal=Refusal(status, headers, f"<h1>No, {SECRET}</h1>".encode()))
    environment("HTTP_PROXY", proxy.url.replace("//", f"//user:{ESCAPED}@"))

    got = await post("http://ci.example:8080")

    number = status.partition(" ")[0]
    shown = f"HTTP_PROXY=http://***@127.0.0.1:{proxy.port} answered HTTP {number} itself"
    assert_failed(got, Reason.MISCONFIGURED, shown, "name ci.example in NO_PROXY: <h1>No, ***</h1>")


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "403 Forbidden", "503 Service Unavailable", "429 Slow"]
)
async def test_an_answer_that_may_be_the_receivers_stays_one_with_the_proxy_named(
    proxies, receiver, environment, status
) -> None:
    number = int(status.partition(" ")[0])
    receiver.answer = Answer(number, {"Via": "1.1 x", "Retry-After": "7"}, b"no")
    proxy = proxies()
    environment("HTTP_PROXY", proxy.url)

    got = await post(at(receiver))

    assert isinstance(got, Response), got
    assert (got.status, got.headers["retry-after"]) == (number, "7")
    assert got.excerpt == f"no (by way of HTTP_PROXY={proxy.url})"


async def test_an_answer_through_a_tunnel_is_the_receivers(
    proxies, tls_receiver, authority, environment
) -> None:
    tls_receiver.answer = Answer(403, {"Server": "squid"}, b"no")
    environment("HTTPS_PROXY", proxies().url)

    got = await post(at(tls_receiver, "https"), tls=TlsSettings(ca_file=str(authority.ca_file)))

    assert isinstance(got, Response), got
    assert (got.status, got.excerpt) == (403, "no")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_down_is_named(environment, scheme) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    environment("ALL_PROXY", proxy.replace("//", f"//user:{ESCAPED}@"))

    assert_failed(
        await post(f"{scheme}://ci.example"), Reason.CONNECT, f"ALL_PROXY={proxy.replace('//', '//***@')}"
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_whose_name_has_no_address_is_named(environment, scheme) -> None:
    environment("ALL_PROXY", "proxy.invalid:3128")

    got = await post(f"{scheme}://ci.example")

    assert_failed(got, Reason.CONNECT, "ALL_PROXY=http://proxy.invalid:3128")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_does_not_answer_is_named(environment, scheme) -> None:
    proxy = RawReceiver(b"", hang=5)
    environment("ALL_PROXY", proxy.url)

    got = await post(f"{scheme}://ci.example", timeout_ms=300)

    proxy.stop()
    assert_failed(got, Reason.TIMEOUT, f"ALL_PROXY={proxy.url.rstrip('/')}")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 2"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_what_is_no_proxy_is_named(environment, scheme, answer) -> None:
    proxy = RawReceiver(answer)
    environment("ALL_PROXY", proxy.url)

    got = await post(f"{scheme}://ci.example")

    proxy.stop()
    assert_failed(got, Reason.PROTOCOL, f"ALL_PROXY={proxy.url.rstrip('/')}")


async def test_a_proxy_that_is_no_tls_server_says_what_most_proxies_are(environment) -> None:
    proxy = RawReceiver(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    environment("HTTPS_PROXY", proxy.url.replace("http:", "https:"))

    got = await post("https://ci.example")

    proxy.stop()
    assert_failed(got, Reason.TLS, "HTTPS_PROXY=https://127.0.0.1", "most proxies are spoken to in http://")


async def test_a_receiver_that_is_not_trusted_is_the_receivers_matter_by_way_of_the_proxy(
    proxies, tls_receiver, environment
) -> None:
    proxy = proxies()
    environment("HTTPS_PROXY", proxy.url)

    got = await post(at(tls_receiver, "https"))

    assert_failed(got, Reason.TLS, "CERTIFICATE_VERIFY_FAILED", f"(by way of HTTPS_PROXY={proxy.url})")


async def test_socks_is_refused_by_name_for_what_would_go_through_it(receiver, environment) -> None:
    environment("ALL_PROXY", "socks5://user:s3cret@127.0.0.1:1080")
    environment("NO_PROXY", "127.0.0.0/8")

    refused = await post("https://ci.example")

    assert isinstance(await post(receiver.url), Response)
    assert_failed(
        refused,
        Reason.MISCONFIGURED,
        "ALL_PROXY: is a SOCKS proxy (socks5://)",
        "name ci.example in NO_PROXY",
    )
    assert "s3cret" not in refused.detail


@pytest.mark.parametrize(
    "no_proxy", ["localhost,[::1]", "fd00::/8", "[fd00::]/8", "http://", ":::", "[", "\u00e4..b"]
)
async def test_no_value_of_no_proxy_keeps_anything_from_being_delivered(
    receiver, environment, no_proxy
) -> None:
    environment("NO_PROXY", no_proxy)

    assert isinstance(await post(receiver.url), Response)


async def test_hosts_in_no_proxy_are_reached_by_no_proxy(proxies, receiver, environment) -> None:
    proxy = proxies()
    environment("HTTP_PROXY", proxy.url)
    environment("NO_PROXY", "[::1], 127.0.0.0/8")

    assert isinstance(await post(receiver.url), Response)
    assert (receiver.came, proxy.asked) == (1, [])


async def test_where_targets_are_limited_no_proxy_is_asked_whatever_it_is(receiver, environment) -> None:
    environment("ALL_PROXY", "socks5://127.0.0.1:1080")

    assert isinstance(await post(receiver.url, targets=Targets.of(["127.0.0.0/8"])), Response)


async def test_a_proxy_that_comes_and_goes_is_asked_again(proxies, receiver, environment) -> None:
    proxy = proxies()
    environment("HTTP_PROXY", proxy.url)
    request = Request(f"{at(receiver)}/hook", {}, b"{}", 10_000)
    async with LazyTransport() as transport:
        first = await transport.post(request)
        proxy.stop()
        without = await transport.post(request)
        proxies(port=proxy.port)
        again = await transport.post(request)

    assert (type(first), type(without), type(again)) == (Response, Outcome, Response)


async def test_no_password_of_netrc_is_sent(receiver, environment, tmp_path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login l password p\n")
    environment("NETRC", str(tmp_path / "netrc"))

    await post(receiver.url)

    assert "authorization" not in receiver.got[0].headers


@pytest.mark.parametrize("place", ["/no/such/folder/keys", "/proc", "/dev/null/keys"])
async def test_a_key_log_that_cannot_be_written_keeps_nothing_from_being_delivered(
    proxies, receiver, tls_receiver, authority, environment, capsys, place
) -> None:
    environment("SSLKEYLOGFILE", place)
    environment("HTTPS_PROXY", proxies().url)

    plain = await post(receiver.url)
    secure = await post(at(tls_receiver, "https"), tls=TlsSettings(ca_file=str(authority.ca_file)))

    assert (type(plain), type(secure)) == (Response, Response), (plain, secure)
    said = capsys.readouterr().out
    assert said.count("tls.key_log_ignored") == 1
    assert f"SSLKEYLOGFILE: {place} cannot be written" in said


async def test_a_key_log_that_can_be_written_is(
    tls_receiver, authority, environment, tmp_path, proxies
) -> None:
    environment("SSLKEYLOGFILE", str(tmp_path / "keys"))
    environment("HTTPS_PROXY", proxies().url)

    await post(at(tls_receiver, "https"), tls=TlsSettings(ca_file=str(authority.ca_file)))

    assert "CLIENT_HANDSHAKE_TRAFFIC_SECRET" in (tmp_path / "keys").read_text()


async def test_the_authorities_of_the_environment_are_those_of_the_system(
    tls_receiver, authority, environment, proxies
) -> None:
    environment("SSL_CERT_FILE", str(authority.ca_file))
    environment("HTTPS_PROXY", proxies().url)

    assert isinstance(await post(at(tls_receiver, "https")), Response)


def test_without_any_authority_of_the_receivers_the_systems_are_left() -> None:
    context = proxy_context_of(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
