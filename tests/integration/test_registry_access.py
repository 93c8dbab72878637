"""How the registry is reached: credentials, workspace, TLS."""

import base64
import datetime as dt
import ipaddress
import os
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mlflow import MlflowClient
from support.gateway import Gateway
from support.mlflow_server import MlflowServer
from support.receiver import Answer, WebServer

from bridge.config import RegistrySettings, workspace_of
from bridge.diff.known_snapshot import PlainModels
from bridge.errors import (
    ConfigurationError,
    RegistryLacks,
    RegistryRefused,
    RegistryUnreachable,
    SecretUnavailable,
)
from bridge.registry.base import Deadline
from bridge.registry.error_translation import translate
from bridge.registry.mlflow_client_variables import environment
from bridge.registry.mlflow_reader import MlflowRegistry

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def environment_restored(monkeypatch):
    """MLflow's client takes its settings from the process' environment."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def empty(got) -> Answer:
    """Answer as an MLflow server without any models does."""
    if "/registered-models/get" in got.path:
        return Answer(404, {}, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"}')
    return Answer(200, {"Content-Type": "application/json"}, b"{}")


@pytest.fixture
def registry():
    server = WebServer(empty)
    yield server
    server.stop()


def scan(url: str, **settings) -> None:
    reader = MlflowRegistry(RegistrySettings(tracking_uri=url, **{"timeout": "5s", **settings}))
    reader.scan(PlainModels(), Deadline.after(20_000), with_facts=True)


def test_a_user_and_a_password_reach_every_request(registry, monkeypatch) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "p w")
    scan(registry.url, username="ann", password={"env": "REGISTRY_PASSWORD"})

    expected = "Basic " + base64.b64encode(b"ann:p w").decode()
    assert {got.headers["authorization"] for got in registry.got} == {expected}
    assert len(registry.got) >= 3


def test_a_rotated_token_is_read_again(registry, tmp_path) -> None:
    token = tmp_path / "token"
    reader = MlflowRegistry(
        RegistrySettings(tracking_uri=registry.url, token={"file": str(token)}, timeout="5s")
    )
    for value in ("first", "second"):
        token.write_text(f"{value}\n")
        reader.scan(PlainModels(), Deadline.after(20_000), with_facts=True)

    seen = [got.headers["authorization"] for got in registry.got]
    assert (seen[0], seen[-1]) == ("Bearer first", "Bearer second")


def test_a_workspace_on_a_server_without_any_is_said_to_be_that(server) -> None:
    with pytest.raises(RegistryRefused, match=r"does it have workspaces \(registry\.workspace\)"):
        scan(server.url, workspace="team-a")


def test_each_workspace_is_a_registry_of_its_own(tmp_path) -> None:
    server = MlflowServer(tmp_path, "--enable-workspaces").start()
    try:
        client = MlflowClient(server.url)
        client.create_workspace("team-a")
        os.environ["MLFLOW_WORKSPACE"] = "team-a"
        client.create_registered_model("theirs")
        del os.environ["MLFLOW_WORKSPACE"]

        reader = MlflowRegistry(RegistrySettings(tracking_uri=server.url, workspace="team-a"))
        assert list(reader.scan(PlainModels(), Deadline.after(20_000), with_facts=True).models) == ["theirs"]
        assert reader.fingerprint(Deadline.after(20_000)) is None
        with pytest.raises(RegistryRefused, match=r"check registry\.workspace"):
            scan(server.url, workspace="nowhere")
        del os.environ["MLFLOW_WORKSPACE"]
        assert (
            MlflowRegistry(RegistrySettings(tracking_uri=server.url))
            .scan(PlainModels(), Deadline.after(20_000), with_facts=True)
            .models
            == {}
        )
    finally:
        server.stop()


def test_the_workspace_may_come_from_the_environment(monkeypatch) -> None:
    settings = RegistrySettings(tracking_uri="http://h")
    monkeypatch.delenv("MLFLOW_WORKSPACE", raising=False)
    assert workspace_of(settings.workspace) is None
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team-b")
    assert workspace_of(settings.workspace) == "team-b"


def test_telemetry_is_off_and_timeouts_are_set() -> None:
    variables = environment(RegistrySettings(tracking_uri="http://h", timeout="2500ms"))

    assert variables["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert variables["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
    assert variables["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"


def test_nothing_sleeps_inside_a_request_whatever_the_environment_says(monkeypatch) -> None:
    for name in ("BACKOFF_FACTOR", "BACKOFF_JITTER", "MAX_RETRIES"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "100")
    monkeypatch.setenv("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "true")
    registry = WebServer(Answer(503, {"Retry-After": "600"}))
    began = time.monotonic()
    with pytest.raises(RegistryUnreachable, match="600 s"):
        scan(registry.url)
    assert time.monotonic() - began < 300
    registry.stop()


@pytest.mark.parametrize(
    ("limit", "status", "page"),
    [
        (4_094, 400, b"<h1>Bad Request</h1>Request Line is too large (5000 &gt; 4094)"),  # gunicorn
        (2_048, 404, b"<h2>HTTP Error 404.15 - Not Found</h2>"),  # IIS
        (1_024, 414, b"<h1>414 Request-URI Too Large</h1>"),
        (512, 431, b""),
    ],
)
def test_many_names_get_past_what_limits_the_length_of_requests(server, client, limit, status, page) -> None:
    names = [f"{limit}-不正検知-{number}-" + "m" * 60 for number in range(12)] + [f"{limit} it's"]
    for name in names:
        client.create_registered_model(name)
    gateway = Gateway(
        server.url, lambda got: Answer(status, {}, page) if len(got.path) > limit - 13 else None
    )
    reader = MlflowRegistry(RegistrySettings(tracking_uri=gateway.url, timeout="5s"))
    for _ in range(2):
        found = reader.rows(names, Deadline.after(60_000))
        assert sorted(row.name for row in found) == sorted(names)
    gateway.stop()


@pytest.mark.parametrize(
    ("status", "page"), [(414, b""), (431, b""), (400, b"Request Line is too large (5000 > 4094)")]
)
def test_a_request_that_is_too_long_by_itself_is_told_as_that(status, page) -> None:
    gateway = WebServer(Answer(status, {}, page))
    reader = MlflowRegistry(RegistrySettings(tracking_uri=gateway.url, timeout="5s"))
    with pytest.raises(RegistryRefused, match=f"takes no request as long as this one .HTTP {status}"):
        reader.rows(["m" * 200], Deadline.after(60_000))
    gateway.stop()


def test_databricks_sdk_retries_no_longer_than_the_timeout() -> None:
    variables = environment(RegistrySettings(tracking_uri="databricks", timeout="7s"))
    assert variables["MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT"] == "7"


@pytest.mark.parametrize(
    ("registry", "variable"),
    [
        ({"tracking_uri": "http://h"}, "MLFLOW_TRACKING_TOKEN"),
        ({"tracking_uri": "databricks"}, "DATABRICKS_TOKEN"),
        ({"tracking_uri": "databricks", "registry_uri": "databricks-uc"}, "DATABRICKS_TOKEN"),
        ({"tracking_uri": "http://h", "registry_uri": "uc:http://c"}, "MLFLOW_UC_OSS_TOKEN"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_token_goes_where_mlflow_looks_for_it(registry, variable, monkeypatch) -> None:
    monkeypatch.setenv("OURS", "t0ken")
    variables = environment(RegistrySettings(**registry, token={"env": "OURS"}))

    assert [name for name, value in variables.items() if value == "t0ken"] == [variable]


def test_a_file_store_keeps_mlflow_off_the_tracking_server_of_the_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////precious.db")
    (tmp_path / "models").mkdir()

    variables = environment(RegistrySettings(tracking_uri=str(tmp_path)))

    assert variables["MLFLOW_TRACKING_URI"] == str(tmp_path)


def test_databricks_sdk_is_left_out_where_a_token_will_do_and_nobody_asked_for_it(monkeypatch) -> None:
    settings = RegistrySettings(tracking_uri="databricks")
    for name in ("DATABRICKS_TOKEN", "MLFLOW_ENABLE_DB_SDK"):
        monkeypatch.delenv(name, raising=False)
    assert "MLFLOW_ENABLE_DB_SDK" not in environment(settings)
    monkeypatch.setenv("DATABRICKS_TOKEN", "t")
    assert environment(settings)["MLFLOW_ENABLE_DB_SDK"] == "false"
    monkeypatch.setenv("MLFLOW_ENABLE_DB_SDK", "true")
    assert environment(settings)["MLFLOW_ENABLE_DB_SDK"] == "true"


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.search_registered_models(order_by=["name ASC"]),
        lambda client: client.search_registered_models("name = 'a.b.c'"),
        lambda client: client.search_model_versions(""),
        lambda client: client.search_model_versions("name IN ('a.b.c')"),
        lambda client: client.get_model_version_by_alias("a.b.c", "champion"),
    ],
    ids=["order", "filter", "no filter", "names", "alias"],
)
def test_what_mlflows_client_declines_for_a_kind_of_registry_is_a_lack(call) -> None:
    client = MlflowClient("http://127.0.0.1:1", registry_uri="uc:http://127.0.0.1:1")
    with pytest.raises(Exception) as declined:  # noqa: PT011 - MLflow raises several kinds
        call(client)

    assert isinstance(translate(declined.value, "uc:http://127.0.0.1:1"), RegistryLacks)


def test_a_missing_secret_names_its_key(monkeypatch) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    with pytest.raises(SecretUnavailable, match=r"registry\.token: environment variable NOT_THERE"):
        scan("http://127.0.0.1:1", token={"env": "NOT_THERE"})


def test_an_authority_that_cannot_be_read_names_its_key() -> None:
    with pytest.raises(ConfigurationError, match=r"registry\.ca_file: /nope cannot be read"):
        scan("https://127.0.0.1:1", ca_file="/nope")


@pytest.fixture
def certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test registry")])
    now = dt.datetime.now(dt.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return pem


def test_an_authority_of_ones_own_is_trusted_when_it_is_named(registry, certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    registry._server.socket = context.wrap_socket(registry._server.socket, server_side=True)
    url = registry.url.replace("http:", "https:")

    with pytest.raises(RegistryUnreachable, match=r"certificate is not trusted: set registry\.ca_file"):
        scan(url)
    scan(url, ca_file=str(certificate))


def test_a_server_that_refuses_the_name_it_is_called_by_is_told_from_a_missing_permission(server) -> None:
    """MLflow's guard takes localhost and private addresses; 127.1 is the same host by another name."""
    with pytest.raises(RegistryRefused, match="this name: start MLflow with --allowed-hosts"):
        scan(f"http://127.1:{server.port}")
