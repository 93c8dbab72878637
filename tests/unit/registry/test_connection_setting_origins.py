"""What `check` says of how a registry is reached, and where that comes from."""

import pytest

from bridge.config import RegistrySettings
from bridge.registry.connection_setting_origins import registry_sources
from bridge.registry.mlflow_client_variables import set_environment


def told(keys=(), **settings) -> dict[str, str]:
    found = registry_sources(RegistrySettings(**{"tracking_uri": "https://h", **settings}), keys)
    return {part.what: str(part).partition(": ")[2] for part in found}


def test_the_configuration_and_the_environment_are_told_apart(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team-a")

    found = told({"registry_uri"}, registry_uri="https://r")
    ours = told(workspace="team-b")

    assert found["tracking_uri"] == "https://h, from registry.tracking_uri"
    assert found["registry_uri"] == "https://r, from MLFLOW_REGISTRY_URI of the environment"
    assert found["workspace"] == "team-a, from MLFLOW_WORKSPACE of the environment"
    assert ours["workspace"] == "team-b, from registry.workspace"


def test_a_credential_is_told_by_its_kind_and_place_never_by_its_value(monkeypatch) -> None:
    monkeypatch.setenv("OURS", "s3cret")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "0ther-s3cret")

    found = told(token={"env": "OURS"})["credential"]

    assert found == (
        "bearer token, from registry.token (environment variable OURS) "
        "(not MLFLOW_TRACKING_TOKEN of the environment)"
    )


def test_what_the_bridge_sets_itself_is_not_told_as_the_operators(monkeypatch) -> None:
    monkeypatch.setenv("OURS", "s3cret")
    settings = {"tracking_uri": "https://h", "token": {"env": "OURS"}, "workspace": "team-a"}
    before = told(**settings)

    set_environment(RegistrySettings(**settings))

    assert told(**settings) == before


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "the usual authorities, from the package certifi"),
        ({"REQUESTS_CA_BUNDLE": "/b"}, "/b, from REQUESTS_CA_BUNDLE of the environment"),
        ({"CURL_CA_BUNDLE": "/b"}, "/b, from CURL_CA_BUNDLE of the environment"),
        (
            {"MLFLOW_TRACKING_SERVER_CERT_PATH": "/a", "REQUESTS_CA_BUNDLE": "/b"},
            "/a, from MLFLOW_TRACKING_SERVER_CERT_PATH of the environment",
        ),
        (
            {"MLFLOW_TRACKING_INSECURE_TLS": "True"},
            "none: any certificate is taken, from MLFLOW_TRACKING_INSECURE_TLS of the environment",
        ),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_authorities_are_told_where_there_is_tls(monkeypatch, variables, expected) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert told()["ca_file"] == expected
    assert told(ca_file="/c")["ca_file"] == "/c, from registry.ca_file"
    assert "ca_file" not in told(tracking_uri="http://h")


def test_a_client_certificate_is_told(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_CLIENT_CERT_PATH", "/client.pem")

    assert told()["client_certificate"].startswith("/client.pem, from MLFLOW_TRACKING_CLIENT_CERT_PATH")


@pytest.mark.parametrize(
    ("uris", "variables", "expected"),
    [
        ({"tracking_uri": "databricks"}, {"DATABRICKS_TOKEN": "t"}, "bearer token"),
        ({"tracking_uri": "databricks://staging"}, {"DATABRICKS_TOKEN": "t"}, "profile staging"),
        ({"tracking_uri": "databricks"}, {"DATABRICKS_CONFIG_PROFILE": "p"}, "profile p"),
        ({"tracking_uri": "databricks"}, {"DATABRICKS_CLIENT_ID": "i"}, "OAuth client"),
        ({"tracking_uri": "databricks"}, {}, "Databricks' own sign-in"),
        ({"registry_uri": "uc:http://c"}, {"MLFLOW_UC_OSS_TOKEN": "t"}, "bearer token"),
        ({"registry_uri": "uc:http://c"}, {"MLFLOW_TRACKING_TOKEN": "t"}, "none"),
        ({}, {"MLFLOW_TRACKING_AWS_SIGV4": "1", "MLFLOW_TRACKING_TOKEN": "t"}, "AWS signature version 4"),
        ({}, {"MLFLOW_TRACKING_USERNAME": "u"}, "none"),
    ],
)
def test_each_kind_of_registry_has_its_own_ways_to_sign_in(monkeypatch, uris, variables, expected) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert told(**uris)["credential"].partition(", from ")[0] == expected


def test_a_folder_and_a_database_take_no_credential(tmp_path) -> None:
    assert list(told(tracking_uri=str(tmp_path))) == ["tracking_uri"]
    assert list(told(tracking_uri="sqlite:///x.db", allow_database_uri=True)) == ["tracking_uri"]


@pytest.mark.parametrize(
    "content", ["not an ini file", "[other]\na = b\n", "[mlflow]\nmlflow_tracking_username = u\n"]
)
def test_files_of_credentials_that_are_none_are_passed_over(tmp_path, content) -> None:
    home = tmp_path / "home"
    (home / ".mlflow").mkdir()
    (home / ".mlflow" / "credentials").write_text(content)
    (home / ".netrc").write_text("machine 127.0.0.1 login")

    assert told()["credential"].startswith("none")
