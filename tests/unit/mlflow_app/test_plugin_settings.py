"""The environment of MLflow's server."""

import pytest

from bridge.mlflow_app.plugin_settings import PluginMisconfigured, plugin_settings

URL, TOKEN = "http://127.0.0.1:9464", "0123456789abcdef"


def settings(**more):
    given = {"MLFLOW_BRIDGE_URL": URL, "MLFLOW_BRIDGE_TOKEN": TOKEN, **more}
    return plugin_settings({name: value for name, value in given.items() if value is not None})


def test_the_address_and_the_token_are_all_it_needs() -> None:
    found = settings()
    assert (found.scheme, found.host, found.port, found.path) == ("http", "127.0.0.1", 9464, "")
    assert (found.authorization(), found.is_open) == (f"Bearer {TOKEN}", False)
    below = settings(MLFLOW_BRIDGE_URL="https://bridge.example.com/below/", MLFLOW_BRIDGE_ON_FAILURE="open")
    assert (below.host, below.port, below.path, below.is_open) == ("bridge.example.com", 443, "/below", True)


def test_the_unix_socket_needs_no_token() -> None:
    found = settings(MLFLOW_BRIDGE_URL="unix:///var/lib/mlflow-bridge/control", MLFLOW_BRIDGE_TOKEN=None)
    assert (found.scheme, found.host) == ("unix", "/var/lib/mlflow-bridge/control")
    assert not found.authorization()


def test_a_token_in_a_file_is_read_anew_each_time(tmp_path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    found = settings(MLFLOW_BRIDGE_TOKEN=None, MLFLOW_BRIDGE_TOKEN_FILE=str(file))
    assert found.authorization() == "Bearer first"
    file.write_text("second")
    assert found.authorization() == "Bearer second"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"MLFLOW_BRIDGE_URL": None}, "MLFLOW_BRIDGE_URL is missing"),
        ({"MLFLOW_BRIDGE_URL": "127.0.0.1:9464"}, "MLFLOW_BRIDGE_URL cannot be used"),
        ({"MLFLOW_BRIDGE_URL": "http://h:port"}, "MLFLOW_BRIDGE_URL is no URL"),
        ({"MLFLOW_BRIDGE_URL": "http://u:p@h"}, "MLFLOW_BRIDGE_URL cannot be used"),
        ({"MLFLOW_BRIDGE_URL": "unix://relative"}, "MLFLOW_BRIDGE_URL cannot be used"),
        ({"MLFLOW_BRIDGE_TOKEN": None}, "MLFLOW_BRIDGE_TOKEN is missing"),
        ({"MLFLOW_BRIDGE_TOKEN": "two words"}, "MLFLOW_BRIDGE_TOKEN holds a character"),
        ({"MLFLOW_BRIDGE_TOKEN_FILE": "/x"}, "are both set"),
        ({"MLFLOW_BRIDGE_TOKEN": None, "MLFLOW_BRIDGE_TOKEN_FILE": "/no/such"}, "No such file"),
        ({"MLFLOW_BRIDGE_TOKEN": None, "MLFLOW_BRIDGE_TOKEN_FILE": "/dev/null"}, "is empty"),
        ({"MLFLOW_BRIDGE_ON_FAILURE": "perhaps"}, "MLFLOW_BRIDGE_ON_FAILURE must be closed"),
    ],
)
def test_what_is_missing_or_wrong_is_told_in_a_sentence(more, why) -> None:
    with pytest.raises(PluginMisconfigured, match=why):
        settings(**more)
