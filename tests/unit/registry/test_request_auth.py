"""Which credential reaches an MLflow server, and that `check` says the same."""

import base64
import os
from pathlib import Path

import pytest
from support.receiver import Answer, WebServer

from bridge.config import RegistrySettings
from bridge.diff.known_snapshot import PlainModels
from bridge.errors import RegistryError
from bridge.registry.base import Deadline
from bridge.registry.connection_setting_origins import registry_sources
from bridge.registry.mlflow_client_variables import environment, set_environment
from bridge.registry.mlflow_reader import MlflowRegistry

pytestmark = pytest.mark.filterwarnings("ignore")

OF_OTHERS = {
    "netrc": lambda home, _env: _write(home / ".netrc", "machine 127.0.0.1 login netrc password n"),
    "another netrc": lambda home, env: env(
        "NETRC", str(_write(home / "other", "machine 127.0.0.1 login netrc password n"))
    ),
    "default of netrc": lambda home, _env: _write(home / ".netrc", "default login netrc password n"),
    "mlflow's file": lambda home, _env: _write(
        home / ".mlflow" / "credentials",
        "[mlflow]\nmlflow_tracking_username = file\nmlflow_tracking_password = f\n",
    ),
    "user": lambda _home, env: [
        env("MLFLOW_TRACKING_USERNAME", "environ"),
        env("MLFLOW_TRACKING_PASSWORD", "e"),
    ],
    "token": lambda _home, env: env("MLFLOW_TRACKING_TOKEN", "environ"),
    "plug-in": lambda _home, env: env("MLFLOW_TRACKING_AUTH", "ticket"),
    "AWS": lambda _home, env: env("MLFLOW_TRACKING_AWS_SIGV4", "true"),
}


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def registry():
    server = WebServer(Answer(200, {"Content-Type": "application/json"}, b"{}"))
    yield server
    server.stop()


@pytest.fixture
def others(tmp_path, monkeypatch):
    """Put credentials where MLflow's client, or requests, would look for them."""

    def put(*names: str) -> None:
        for name in names:
            OF_OTHERS[name](tmp_path / "home", monkeypatch.setenv)

    return put


@pytest.fixture
def configured(monkeypatch):
    monkeypatch.setenv("OURS", "good")
    return {
        "token": {"token": {"env": "OURS"}},
        "user": {"username": "ann", "password": {"env": "OURS"}},
        "nothing": {},
    }


EXPECTED = {"token": "Bearer good", "user": basic("ann", "good")}


def sent(url: str, **settings) -> None:
    reader = MlflowRegistry(RegistrySettings(tracking_uri=url, timeout="5s", **settings))
    try:
        reader.scan(PlainModels(), Deadline.after(60_000), with_facts=True)
    except RegistryError:
        return  # the answers are empty


def told(url: str, **settings) -> str:
    parts = registry_sources(RegistrySettings(tracking_uri=url, **settings), ())
    return next(part for part in parts if part.what == "credential").value


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.parametrize("other", [*OF_OTHERS, "all of them"])
def test_the_configured_credential_is_sent_whatever_others_there_are(
    registry, others, configured, kind, other
) -> None:
    others(*(OF_OTHERS if other == "all of them" else [other]))
    word = told(registry.url, **configured[kind])

    sent(registry.url, **configured[kind])

    assert {got.headers.get("authorization") for got in registry.got} == {EXPECTED[kind]}
    assert word == {"token": "bearer token", "user": "user name and password"}[kind]


@pytest.mark.parametrize(
    ("names", "expected", "word"),
    [
        ([], None, "none"),
        (["netrc"], basic("netrc", "n"), "user name and password"),
        (["another netrc"], basic("netrc", "n"), "user name and password"),
        (["mlflow's file"], basic("file", "f"), "user name and password"),
        (["user"], basic("environ", "e"), "user name and password"),
        (["token"], "Bearer environ", "bearer token"),
        (["token", "user"], basic("environ", "e"), "user name and password"),
        (["token", "netrc"], basic("netrc", "n"), "user name and password"),
        (["user", "netrc"], basic("netrc", "n"), "user name and password"),
        (["user", "mlflow's file"], basic("environ", "e"), "user name and password"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_without_one_mlflows_own_way_holds_and_check_names_it(
    registry, others, names, expected, word
) -> None:
    others(*names)
    assert told(registry.url) == word

    sent(registry.url)

    assert {got.headers.get("authorization") for got in registry.got} == {expected}


def test_a_plug_in_that_the_environment_names_signs_where_nothing_is_configured(
    registry, monkeypatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "ticket")

    assert "MLFLOW_TRACKING_AUTH" not in environment(RegistrySettings(tracking_uri=registry.url))
    assert told(registry.url) == "plug-in ticket"


def test_no_other_credential_follows_a_redirect(registry, others, configured) -> None:
    """requests looks into ~/.netrc at each redirect, and puts that in the place of what is there."""
    others("netrc")
    first = WebServer(lambda got: Answer(302, {"Location": registry.url + got.path}, b""))

    sent(first.url, **configured["token"])
    first.stop()

    assert {got.headers["authorization"] for got in first.got} == {"Bearer good"}
    assert {got.headers.get("authorization") for got in registry.got} == {None}  # another port: another place


def test_a_token_is_read_from_where_it_is_at_each_request(registry, others, tmp_path) -> None:
    others("user")
    token = tmp_path / "token"
    for value in ("first", "second"):
        token.write_text(value)
        sent(registry.url, token={"file": str(token)})

    assert {got.headers["authorization"] for got in registry.got} == {"Bearer first", "Bearer second"}


@pytest.mark.parametrize(
    ("settings", "set_before", "expected"),
    [
        (
            {"ca_file": __file__},
            {"MLFLOW_TRACKING_INSECURE_TLS": "true"},
            {"MLFLOW_TRACKING_INSECURE_TLS": "false"},
        ),
        (
            {"ca_file": __file__},
            {"MLFLOW_TRACKING_SERVER_CERT_PATH": "/other"},
            {"MLFLOW_TRACKING_SERVER_CERT_PATH": __file__},
        ),
        ({"workspace": "ours"}, {"MLFLOW_WORKSPACE": "other"}, {"MLFLOW_WORKSPACE": "ours"}),
        ({}, {"MLFLOW_TRACKING_URI": "http://other"}, {"MLFLOW_TRACKING_URI": "https://h"}),
        (
            {"registry_uri": "https://r"},
            {"MLFLOW_REGISTRY_URI": "http://o"},
            {"MLFLOW_REGISTRY_URI": "https://r"},
        ),
    ],
    ids=["insecure", "authority", "workspace", "tracking server", "registry"],
)
def test_what_the_configuration_names_stands_before_the_environment(
    monkeypatch, settings, set_before, expected
) -> None:
    for name, value in set_before.items():
        monkeypatch.setenv(name, value)

    found = environment(RegistrySettings(tracking_uri="https://h", **settings))

    assert {name: found[name] for name in expected} == expected


def test_a_databricks_token_stands_before_all_other_ways_to_sign_in(monkeypatch, configured) -> None:
    for name in ("DATABRICKS_USERNAME", "DATABRICKS_PASSWORD", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_ID"):
        monkeypatch.setenv(name, "other")

    set_environment(RegistrySettings(tracking_uri="databricks", **configured["token"]))

    found = {
        name: os.environ[f"DATABRICKS_{name}"] for name in ("USERNAME", "PASSWORD", "TOKEN", "AUTH_TYPE")
    }
    assert found == {"USERNAME": "", "PASSWORD": "", "TOKEN": "good", "AUTH_TYPE": "pat"}
    assert told("databricks", **configured["token"]) == "bearer token"


def test_plug_ins_that_ask_mlflow_get_the_configured_tracking_server(registry, monkeypatch, tmp_path) -> None:
    """What MLflow would take by itself is a database that it makes in the working directory."""
    import mlflow

    monkeypatch.chdir(tmp_path)
    sent(registry.url)

    assert mlflow.get_tracking_uri() == registry.url
    assert mlflow.get_registry_uri() == registry.url
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
