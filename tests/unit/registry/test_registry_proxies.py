"""The registry by way of real proxies: MLflow's client goes where deliveries would, and failures name the proxy."""

import os

import pytest
from support.forward_proxy import ForwardProxy, Refusal
from support.receiver import Answer, RawReceiver, WebServer, free_port

from bridge.config import Access, RegistrySettings, web_address
from bridge.errors import ConfigurationError, RegistryError
from bridge.registry.base import Deadline
from bridge.registry.mlflow_client import Connection
from bridge.sinks.transport.preflight_check import route_of

SECRET = "pr0xy-Pa:ss/+="
ESCAPED = "pr0xy-Pa%3Ass%2F%2B%3D"
MEND = "have the proxy let it through, or name mlflow.example in NO_PROXY"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """This process' environment with no variable for proxies but those that a test sets, restored afterwards."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    before = dict(os.environ)
    yield lambda name, value: os.environ.update({name: value})
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def registry():
    """What answers each search as a registry without models does."""
    server = WebServer(Answer(200, {"Content-Type": "application/json"}, b"{}"))
    yield server
    server.stop()


@pytest.fixture
def proxies():
    made: list[ForwardProxy] = []

    def make(**options) -> ForwardProxy:
        made.append(ForwardProxy(hosts={"mlflow.example": "127.0.0.1"}, **options))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


def ask(uri: str, seconds: float = 10) -> list:
    settings = RegistrySettings(tracking_uri=uri, timeout="1s")
    return list(
        Connection(settings).call(
            Deadline.after(int(seconds * 1000)), lambda client: client.search_registered_models()
        )
    )


def failure(uri: str) -> str:
    with pytest.raises(RegistryError) as raised:
        ask(uri)
    said = str(raised.value)
    assert SECRET not in said
    assert ESCAPED not in said
    return said


def test_it_is_asked_by_the_proxy_with_its_password(registry, proxies, environment) -> None:
    proxy = proxies(login=f"user:{SECRET}")
    environment("HTTP_PROXY", proxy.url.replace("//", f"//user:{ESCAPED}@"))

    assert ask(f"http://mlflow.example:{registry.port}") == []
    assert proxy.asked[0].startswith(f"GET http://mlflow.example:{registry.port}/api/2.0/mlflow/")


@pytest.mark.parametrize(
    "no_proxy",
    [
        "127.0.0.0/8",
        "[::1],127.0.0.1:{port}",
        '"127.0.0.1"',
        "localhost 127.0.0.1",
        "x,*",
        "::ffff:127.0.0.1",
    ],
)
def test_what_exempts_receivers_exempts_it(registry, proxies, environment, no_proxy) -> None:
    proxy = proxies()
    environment("HTTP_PROXY", proxy.url)
    environment("NO_PROXY", no_proxy.format(port=registry.port))

    assert ask(registry.url) == []
    assert proxy.asked == []


@pytest.mark.parametrize("written", ["'{}'", '"{}"', " {} ", "{}/", "{}/path"])
def test_a_proxy_is_read_as_for_receivers(registry, proxies, environment, written) -> None:
    proxy = proxies()
    environment("HTTP_PROXY", written.format(proxy.url))

    assert ask(f"http://mlflow.example:{registry.port}") == []
    assert len(proxy.asked) == 1


def test_what_it_is_given_for_itself_changes_nothing_for_sinks_at_its_host(
    registry, proxies, environment
) -> None:
    proxy = proxies()
    environment("HTTP_PROXY", f'"{proxy.url}"')
    environment("NO_PROXY", f"127.0.0.1:{registry.port}")
    ask(registry.url)
    ask(f"http://mlflow.example:{registry.port}")
    ask(registry.url)

    assert os.environ["NO_PROXY"] == f"127.0.0.1:{registry.port},127.0.0.1"
    assert str(route_of(f"http://127.0.0.1:{registry.port}", Access())) == "direct (NO_PROXY)"
    assert str(route_of(f"http://127.0.0.1:{free_port()}", Access())) == f"HTTP_PROXY={proxy.url}"
    environment("NO_PROXY", "")  # what is set later counts
    assert str(route_of(registry.url, Access())) == f"HTTP_PROXY={proxy.url}"


def test_a_variable_with_nothing_but_quotes_is_no_proxy(registry, environment) -> None:
    environment("HTTP_PROXY", '""')

    assert ask(registry.url) == []


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1080", "http://user:s3cret/@proxy:1"])
def test_a_proxy_that_cannot_be_used_is_an_error_of_the_configuration(environment, value) -> None:
    environment("ALL_PROXY", value)

    with pytest.raises(ConfigurationError, match=r"^ALL_PROXY: is ") as raised:
        ask("http://mlflow.example")
    assert "s3cret" not in str(raised.value)


def test_a_proxy_that_cannot_be_used_is_no_matter_to_a_registry_that_is_exempt(registry, environment) -> None:
    environment("ALL_PROXY", "socks5://127.0.0.1:1080")
    environment("NO_PROXY", "127.0.0.1")

    assert ask(registry.url) == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_down_is_named_in_place_of_the_registry(environment, scheme) -> None:
    proxy = f"127.0.0.1:{free_port()}"
    environment("ALL_PROXY", f"user:{ESCAPED}@{proxy}")

    assert failure(f"{scheme}://mlflow.example") == (
        f"{scheme}://mlflow.example cannot be reached: no connection to the proxy "
        f"ALL_PROXY=http://***@{proxy}: connection refused: is it running, and the port right?"
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_whose_name_has_no_address_is_named(environment, scheme) -> None:
    environment("ALL_PROXY", "http://proxy.invalid:3128")

    assert (
        "no connection to the proxy ALL_PROXY=http://proxy.invalid:3128: its name cannot be resolved"
        in failure(f"{scheme}://mlflow.example")
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_hangs_is_named(environment, scheme) -> None:
    proxy = RawReceiver(b"", hang=20)
    environment("ALL_PROXY", proxy.url)

    said = failure(f"{scheme}://mlflow.example")

    proxy.stop()
    assert "no answer within registry.timeout" in said
    assert f"ALL_PROXY={proxy.url.rstrip('/')}" in said


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_password_says_so(proxies, environment, scheme) -> None:
    proxy = proxies(login=f"user:{SECRET}")
    environment("ALL_PROXY", proxy.url)
    none = failure(f"{scheme}://mlflow.example")
    environment("ALL_PROXY", proxy.url.replace("//", f"//user:{ESCAPED}x@"))
    wrong = failure(f"{scheme}://mlflow.example")

    assert f"ALL_PROXY={proxy.url} wants a user name and a password (HTTP 407)" in none
    assert (
        f"ALL_PROXY=http://***@127.0.0.1:{proxy.port} refuses its user name and password (HTTP 407)" in wrong
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("403 Forbidden", f"refused CONNECT to mlflow.example: 403 Forbidden: {MEND}"),
        ("405 Method Not Allowed", "refused CONNECT to mlflow.example: 405 Method Not Allowed"),
        ("503 Service Unavailable", "did not get through to mlflow.example: 503 Service Unavailable"),
    ],
)
def test_a_refused_tunnel_is_told_in_the_proxys_words(proxies, environment, status, words) -> None:
    proxy = proxies(refusal=Refusal(status))
    environment("HTTPS_PROXY", proxy.url)

    assert f"HTTPS_PROXY={proxy.url} {words}" in failure("https://mlflow.example")


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "502 Bad Gateway", "200 OK"])
def test_a_page_in_place_of_an_answer_may_be_the_proxys(proxies, environment, status) -> None:
    proxy = proxies(refusal=Refusal(status, {"Content-Type": "text/html"}, b"<h1>Blocked</h1>"))
    environment("HTTP_PROXY", proxy.url)

    said = failure("http://mlflow.example")

    assert said.startswith("http://mlflow.example ")
    assert said.endswith(f"(by way of HTTP_PROXY={proxy.url}; the answer may be the proxy's: {MEND})")


def test_json_without_mlflows_error_code_is_not_taken_for_its_words(proxies, environment) -> None:
    blocked = Refusal("403 Forbidden", {"Content-Type": "application/json"}, b'{"error": "blocked"}')
    proxy = proxies(refusal=blocked)
    environment("HTTP_PROXY", proxy.url)

    assert f"(by way of HTTP_PROXY={proxy.url}" in failure("http://mlflow.example")


def test_mlflows_own_words_are_not_laid_to_the_proxy(registry, proxies, environment) -> None:
    environment("HTTP_PROXY", proxies().url)
    own = b'{"error_code": "PERMISSION_DENIED", "message": "no"}'
    registry.answer = Answer(403, {"Content-Type": "application/json"}, own)
    document = failure(f"http://mlflow.example:{registry.port}")
    registry.answer = Answer(401, {"Content-Type": "text/html"}, b"You are not authenticated")
    login = failure(f"http://mlflow.example:{registry.port}")

    assert "PROXY" not in document
    assert login.endswith(f"(by way of HTTP_PROXY={os.environ['HTTP_PROXY']})")


def test_a_proxy_that_speaks_no_tls_is_told_apart(environment) -> None:
    proxy = RawReceiver(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    environment("HTTPS_PROXY", proxy.url.replace("http:", "https:"))

    said = failure("https://mlflow.example")

    proxy.stop()
    assert "it does not speak TLS itself: write http:// for it, for https URLs, too" in said


def test_what_closes_the_connection_is_named(environment) -> None:
    proxy = RawReceiver(b"")
    environment("HTTP_PROXY", proxy.url)

    said = failure("http://mlflow.example")

    proxy.stop()
    assert f"no connection to the proxy HTTP_PROXY={proxy.url.rstrip('/')}: it closed the connection" in said


def test_without_a_proxy_failures_are_what_they_were(environment) -> None:
    port = free_port()

    assert "proxy" not in failure(f"http://127.0.0.1:{port}").lower()


def test_a_key_log_that_cannot_be_written_is_no_matter_to_the_registry(registry, environment, capsys) -> None:
    environment("SSLKEYLOGFILE", "/no/such/folder/keys")

    assert ask(registry.url) == []
    assert "SSLKEYLOGFILE: /no/such/folder/keys cannot be written" in capsys.readouterr().out


def test_authorities_of_the_environment_that_are_not_there_are_named(environment) -> None:
    environment("REQUESTS_CA_BUNDLE", "/none.pem")

    assert "REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE of the environment" in failure(
        f"https://127.0.0.1:{free_port()}"
    )


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("http://h:5000/x", "http://h:5000/x"),
        ("https://h", "https://h"),
        ("uc:https://h", "https://h"),
        ("databricks", "https://w.example"),
        ("databricks-uc", "https://w.example"),
        ("databricks://profile", ""),
        ("uc:databricks-uc", "https://w.example"),
        ("sqlite:////x.db", ""),
        ("/a/folder", ""),
        ("file:///a/folder", ""),
    ],
)
def test_requests_for_a_registry_go_to_an_address_that_its_uri_tells(uri, address) -> None:
    assert web_address(uri, {"DATABRICKS_HOST": "https://w.example"}) == address
    assert web_address(uri, {"DATABRICKS_HOST": "w.example"}) == address


def test_a_workspace_that_a_file_of_databricks_names_is_not_known() -> None:
    assert web_address("databricks", {}) == ""
