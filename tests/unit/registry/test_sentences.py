"""What is said of a registry that does not answer as MLflow does: what was asked, by which way, and what came."""

import re
import socket
from datetime import UTC, datetime

import pytest
from support.receiver import Answer, RawReceiver, WebServer, free_port
from support.tls import DAY, Authority, TlsReceiver

from bridge.config import RegistrySettings
from bridge.diff.known_snapshot import PlainModels
from bridge.errors import RegistryError, RegistryRefused, RegistryUnreachable
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry

pytestmark = pytest.mark.filterwarnings("ignore")

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}


def failure(url: str, **settings) -> RegistryError:
    reader = MlflowRegistry(RegistrySettings(tracking_uri=url, **{"timeout": "5s", **settings}))
    reader.prepare()
    with pytest.raises(RegistryError) as caught:
        reader.scan(PlainModels(), Deadline.after(60_000), with_facts=True)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture
def answering():
    """Start what answers everything alike; return its URL."""
    servers = []

    def start(answer) -> str:
        servers.append(WebServer(answer))
        return servers[-1].url

    yield start
    for server in servers:
        server.stop()


NOTHING = {
    "an empty page": Answer(200, {}, b""),
    "an empty object": Answer(200, JSON, b"{}"),
    "a blank": Answer(200, HTML, b" \n "),
    "200 OK": Answer(200, {"Content-Type": "text/plain"}, b"200 OK"),
    "health": Answer(200, JSON, b'{"status": "ok"}'),
    "another list": Answer(200, JSON, b'{"items": [], "next_page_token": ""}'),
    "models without names": Answer(200, JSON, b'{"registered_models": [{}]}'),
}


@pytest.mark.parametrize("answer", NOTHING.values(), ids=NOTHING)
def test_what_answers_everything_with_nothing_is_no_empty_registry(answering, answer) -> None:
    error = failure(answering(answer))

    assert isinstance(error, RegistryRefused)
    assert "is not an MLflow server (its answers are empty)" in str(error)
    assert re.search(r"GET /api/2\.0/mlflow/registered-models/\w+ was answered with HTTP 200", str(error))


PAGES = [
    (
        Answer(200, HTML, b"<html><head><title>Back soon</title></head><body>x</body></html>"),
        "it answered with a page): GET {search} was answered with HTTP 200, text/html: 'Back soon'",
    ),
    (
        Answer(200, HTML, b"<style>p {}</style><script>alert('x')</script><p>Down for\n  maintenance"),
        "'Down for maintenance'",
    ),
    (Answer(404, HTML, b"<h1>404 Not Found</h1><hr>nginx"), "HTTP 404, text/html: '404 Not Found nginx'"),
    (Answer(404, JSON, b'{"detail": "Not Found"}'), 'HTTP 404, application/json: \'{"detail": "Not Found"}\''),
    (Answer(400, JSON, b'{"error": {"code": 7}}'), "is not an MLflow server"),
    (Answer(405, HTML, b"Not Allowed"), "HTTP 405, text/html: 'Not Allowed'"),
    (Answer(400, HTML, b"<title>400 The plain HTTP request was sent to HTTPS port</title>"), "write https://"),
    (Answer(400, {}, b"Client sent an HTTP request to an HTTPS server.\n"), "write https://"),
    (Answer(204, {}, b""), "HTTP 204, which is empty"),
    (Answer(200, JSON, b'{"registered_models": ['), "is not an MLflow server (it answered with a page)"),
    (Answer(200, JSON, b"null"), "is not an MLflow server (it answered with a page)"),
    (Answer(200, HTML, b"x" * 5000), f"'{'x' * 80}...'"),
    (Answer(403, HTML, b"<title>Access denied by policy</title>"), "READ permission: GET {search} was answered with HTTP 403"),
    (Answer(401, HTML, b"<title>401 Authorization Required</title>nginx"), "'401 Authorization Required'"),
    (Answer(401, HTML, b"You are not authenticated. Please see https://www.mlflow.org/x"), "registry.token$"),
    (Answer(403, HTML, b"Permission denied"), "needs READ permission$"),
    (Answer(403, JSON, b'{"error_code": "PERMISSION_DENIED"}'), "needs READ permission$"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "expected"), PAGES)
def test_a_page_is_told_with_what_was_asked_and_how_it_begins(answering, answer, expected) -> None:
    """The version is asked for first, and every server may answer that with a page."""
    url = answering(lambda got: Answer(404, {}, b"") if got.path == "/version" else answer)
    error = failure(url)

    assert isinstance(error, RegistryRefused)
    told = expected.replace("{search}", "/api/2.0/mlflow/registered-models/search")
    if told.endswith("$"):
        assert str(error).endswith(told[:-1])
    else:
        assert told in str(error)


def test_an_answer_of_another_shape_is_told_as_it_came(answering) -> None:
    error = failure(answering(Answer(200, JSON, b'{"registered_models": 7}')))

    assert isinstance(error, RegistryUnreachable)
    assert "can read (ParseError): GET /api/2.0/" in str(error)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_in_trouble_may_be_itself_again(answering, status) -> None:
    error = failure(answering(Answer(status, HTML, b"<title>Bad Gateway</title>")))

    assert isinstance(error, RegistryUnreachable)
    assert f"answers with errors (HTTP {status})" in str(error)


def test_a_redirect_to_a_page_to_sign_in_at_is_told_by_its_origin_alone(answering) -> None:
    sign_in = answering(Answer(200, HTML, b"<title>Sign in</title>"))
    url = answering(lambda _got: Answer(302, {"Location": f"{sign_in}/login?state=s3cret"}, b""))

    told = str(failure(url))

    assert f"was redirected to {sign_in} and was answered with HTTP 200, text/html: 'Sign in'" in told
    assert "perhaps a page to sign in at" in told
    assert "s3cret" not in told


def test_a_redirect_that_ends_nowhere_names_where_it_leads(answering) -> None:
    port = free_port()
    url = answering(lambda _got: Answer(302, {"Location": f"http://127.0.0.1:{port}/login"}, b""))

    told = str(failure(url))

    assert f"was redirected to http://127.0.0.1:{port}" in told
    assert "connection refused" in told


def test_a_redirect_in_a_circle_is_told(answering) -> None:
    url = answering(lambda got: Answer(302, {"Location": got.path}, b""))

    assert "it redirects in a circle" in str(failure(url))


def test_a_redirect_to_mlflow_itself_is_followed(answering, monkeypatch) -> None:
    """As from http:// to https://."""
    error = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}'
    there = answering(
        lambda got: (
            Answer(404, JSON, error)
            if "/get" in got.path
            else Answer(200, JSON, b'{"registered_models": []}')
        )
    )
    url = answering(lambda got: Answer(301, {"Location": there + got.path}, b""))

    reader = MlflowRegistry(RegistrySettings(tracking_uri=url, timeout="5s"))

    assert reader.scan(PlainModels(), Deadline.after(60_000), with_facts=True).counted == (0, 0)


@pytest.mark.parametrize("kind", ["token", "user"])
def test_a_page_that_echoes_the_credential_does_not_show_it(answering, monkeypatch, kind) -> None:
    monkeypatch.setenv("OURS", "s3cret-0f-ours")
    settings = {
        "token": {"token": {"env": "OURS"}},
        "user": {"username": "ann", "password": {"env": "OURS"}},
    }[kind]
    url = answering(lambda got: Answer(404, HTML, f"{got.headers['authorization']} s3cret-0f-ours".encode()))

    told = str(failure(url, **settings))

    assert "***" in told
    assert "s3cret" not in told
    assert "YW5u" not in told


# What is no HTTP answer


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x0a", "this port wants TLS: write https://"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "speaks another protocol than HTTP"),
        (b"", "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{", "its answer broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "Content-Encoding"),
    ],
)
def test_what_is_no_answer_says_what_to_mend(content, expected) -> None:
    server = RawReceiver(content)
    error = failure(server.url)
    server.stop()

    assert isinstance(error, RegistryUnreachable)
    assert expected in str(error)


def test_https_to_a_port_without_tls_is_said_to_be_that(answering) -> None:
    url = answering(Answer(200, JSON, b"{}")).replace("http://", "https://")

    assert "this port speaks plain HTTP: write http://" in str(failure(url))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://no-such-host.invalid:5000", "cannot be reached: (no such host|its name cannot be resolved)"),
        ("http://127.0.0.1:{port}", "connection refused: is the server running"),
    ],
)
def test_what_cannot_be_reached_says_why(url, expected) -> None:
    assert re.search(expected, str(failure(url.format(port=free_port()))))


def test_a_connection_that_nobody_takes_is_a_matter_of_the_network() -> None:
    """A full queue drops what comes, as a firewall does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        taken = [socket.socket() for _ in range(4)]
        for one in taken:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        told = str(failure(f"http://127.0.0.1:{port}", timeout="1s"))
        for one in taken:
            one.close()

    assert re.search(r"no (connection|answer) within registry\.timeout", told)


def test_aws_signature_without_its_package_names_package_and_variable(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_AWS_SIGV4", "true")

    error = failure("http://127.0.0.1:1")

    assert isinstance(error, RegistryRefused)
    assert "the package requests-auth-aws-sigv4 for MLFLOW_TRACKING_AWS_SIGV4" in str(error)


def test_a_variable_that_mlflow_cannot_read_is_named(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_AWS_SIGV4", "yes")

    assert "one of ['true', 'false', '1', '0'] in MLFLOW_TRACKING_AWS_SIGV4" in str(
        failure("http://127.0.0.1:1")
    )


@pytest.mark.parametrize("uri", ["http://*.example.com", "http://a..b:5000"])
def test_a_host_that_can_be_none_is_refused_with_the_configuration(uri) -> None:
    with pytest.raises(ValueError, match="has a host that is none"):
        failure(uri)


@pytest.mark.parametrize(
    "variable", ["MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
)
def test_a_file_of_authorities_that_is_not_there_is_told_with_what_may_name_it(monkeypatch, variable) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "/nowhere.pem")

    told = str(failure("https://127.0.0.1:1"))

    assert "the file of authorities is not there" in told
    assert variable in told


def test_so_is_a_client_certificate(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_CLIENT_CERT_PATH", "/nowhere.pem")

    assert "MLFLOW_TRACKING_CLIENT_CERT_PATH is not there" in str(failure("https://127.0.0.1:1"))


def test_a_file_of_authorities_without_one_is_told(answering, tmp_path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    url = answering(Answer(200, JSON, b"{}")).replace("http:", "https:")

    told = str(failure(url, ca_file=str(tmp_path / "ca.pem")))

    assert "the file of authorities holds no certificate: check registry.ca_file" in told


def test_two_variables_of_which_mlflow_takes_one_are_named(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", "/ca.pem")

    told = str(failure("https://127.0.0.1:1"))

    assert "MLFLOW_TRACKING_INSECURE_TLS and MLFLOW_TRACKING_SERVER_CERT_PATH are both set" in told


@pytest.mark.parametrize("token", ["t\N{EURO SIGN}ken", "two\nlines"])
def test_a_token_that_no_header_can_hold_is_told_without_showing_it(monkeypatch, token) -> None:
    monkeypatch.setenv("OURS", token)

    told = str(failure("http://127.0.0.1:1", token={"env": "OURS"}))

    assert "a credential holds characters that a header cannot: check registry.token" in told
    assert "ken" not in told.replace("token", "")
    assert "lines" not in told


def test_a_proxy_is_named_without_its_password(answering, monkeypatch) -> None:
    proxy = answering(Answer(403, HTML, b"<title>Blocked by policy</title>"))
    monkeypatch.setenv("http_proxy", proxy.replace("http://", "http://ann:s3cret@"))
    monkeypatch.setenv("no_proxy", "")

    told = str(failure("http://mlflow.example.com"))

    assert f"through the proxy {proxy} was answered with HTTP 403, text/html: 'Blocked by policy'" in told
    assert "s3cret" not in told


# Certificates


@pytest.mark.parametrize(
    ("hosts", "days", "is_trusted", "expected"),
    [
        (["127.0.0.1"], 1, False, "its certificate is not trusted: set registry.ca_file"),
        (["127.0.0.1"], -1, True, "its certificate has expired"),
        (["other.example"], 1, True, "its certificate is (not for this address|for another name)"),
        (["127.0.0.1"], 1, True, "it wants a client certificate: set MLFLOW_TRACKING_CLIENT_CERT_PATH"),
    ],
    ids=["of another authority", "expired", "for another name", "none of ours"],
)
def test_what_is_wrong_with_a_certificate_is_told(tmp_path, hosts, days, is_trusted, expected) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server", *hosts, until=datetime.now(UTC) + days * DAY)
    wants_ours = authority.ca_file if "client" in expected else None
    server = TlsReceiver(cert, key, wants_ours)
    access = {"ca_file": str(authority.ca_file)} if is_trusted else {}
    try:
        told = str(failure(server.url, **access))
    finally:
        server.stop()

    assert re.search(expected, told)
