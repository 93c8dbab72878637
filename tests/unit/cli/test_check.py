"""``check``: what is wrong with formats and secrets before anything is sent."""

import json

import pytest
from support.cli import CommandLine
from support.command import http_sink

from bridge.operations.registry_check import RegistryAnswer


@pytest.fixture(autouse=True)
def secret(monkeypatch) -> None:
    monkeypatch.setenv("CI_SECRET", "not base64!")


def test_a_format_that_cannot_tell_of_an_event_fails_with_one_error(bridge) -> None:
    bridge.configure(http_sink("https://h", more='format = "mlflow3"\n'))

    done = bridge.run("check")

    assert done.code == 78
    assert (
        done.err.count("cannot tell of MODEL_VERSION_TRANSITIONED_STAGE, which the sink 'ci' asks for") == 1
    )
    assert "mlflow, databricks, registry, standard, cloudevents, cloudevents-binary can" in done.err


def test_with_connect_a_malformed_secret_is_one_clear_error(bridge) -> None:
    bridge.configure(http_sink("https://h", more='format = "standard"\n'))

    plain, connected = bridge.run("check"), bridge.run("check", "--connect")

    assert (plain.code, connected.code) == (0, 78)
    assert (
        "sinks[0].secret: environment variable CI_SECRET: is no secret of Standard Webhooks" in connected.err
    )
    assert connected.err.count("CI_SECRET") == 1
    assert "not base64" not in connected.err


def test_several_secrets_for_one_signature_are_remarked_on(bridge) -> None:
    sink = http_sink("https://h").replace(
        'secret = { env = "CI_SECRET" }', 'secret = [{ env = "CI_SECRET" }, { env = "OLD" }]'
    )
    assert "OLD" in sink
    bridge.configure(sink)

    done = bridge.run("check")
    bridge.configure(f'{sink}\nsignature = "standard"\n')
    side_by_side = bridge.run("check")

    assert (done.code, side_by_side.code, side_by_side.err) == (0, 0, "")
    assert "warning: sinks.ci.secret: signature 'mlflow' is one signature: made with the first" in done.err


def test_with_connect_a_missing_client_secret_is_named_by_its_key(bridge, monkeypatch) -> None:
    monkeypatch.delenv("CLIENT_SECRET", raising=False)
    own = '{ token_url = "https://id/token", client_id = "x", client_secret = { env = "CLIENT_SECRET" } }'
    bridge.configure(http_sink("https://h", more=f"oauth2 = {own}\n"))

    plain, connected = bridge.run("check"), bridge.run("check", "--connect")

    assert (plain.code, connected.code) == (0, 78)
    assert "sinks[0].oauth2.client_secret: environment variable CLIENT_SECRET is not set" in connected.err


def test_as_json_it_lists_faults_by_their_keys_and_the_code_that_it_exits_with(bridge) -> None:
    bridge.configure(http_sink("ftp://h", "a b"), 'nonsense = "1"')

    done = bridge.run("check", "--output", "json")
    document = json.loads(done.out)

    assert (done.code, document["exit_code"], document["ok"], done.err) == (78, 78, False, "")
    assert [fault["key"] for fault in document["faults"]] == [
        "sinks[0].name",
        "sinks[0].url",
        "sinks[0].nonsense",
    ]
    assert document["faults"][0]["message"].startswith("must be 1 to 64 letters")
    assert (document["configuration"], document["registry"]) == (str(bridge.folder / "config.toml"), None)


def test_as_json_warnings_are_no_faults_and_a_silent_registry_is_one(bridge) -> None:
    bridge.configure(http_sink("http://elsewhere.example"), registry="http://127.0.0.1:1")

    plain = json.loads(bridge.run("check", "--output", "json").out)
    done = bridge.run("check", "--output", "json", "--connect")
    connected = json.loads(done.out)

    assert (plain["ok"], plain["faults"], plain["sinks"]) == (True, [], ["ci"])
    assert [warning["key"] for warning in plain["warnings"]] == ["sinks.ci"]
    assert (done.code, connected["exit_code"]) == (69, 69)
    assert [(fault["key"], fault["exit_code"]) for fault in connected["faults"]] == [(None, 69)]
    assert connected["registry"] == {"uri": "http://127.0.0.1:1", "answer": None}


def test_with_connect_quotation_marks_around_a_secret_are_warned_of(bridge, monkeypatch) -> None:
    bridge.configure(http_sink("https://h"))
    monkeypatch.setenv("CI_SECRET", '"s3cret"')

    quoted = bridge.run("check", "--connect").err
    monkeypatch.setenv("CI_SECRET", "s3cret")
    plain = bridge.run("check", "--connect").err
    monkeypatch.delenv("CI_SECRET")
    missing = bridge.run("check", "--connect").err

    assert "warning: sinks.ci.secret: environment variable CI_SECRET: is in quotation marks" in quoted
    assert "s3cret" not in quoted
    assert ("quotation marks" in plain, "quotation marks" in missing) == (False, False)


# How the registry will be reached


CREDENTIAL = (
    "credential: bearer token, from registry.token (environment variable REGISTRY_TOKEN) "
    "(not MLFLOW_TRACKING_TOKEN of the environment)"
)


@pytest.fixture
def token(monkeypatch) -> str:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REGISTRY_TOKEN", "s3cret-token")
    return 'token = { env = "REGISTRY_TOKEN" }'


def test_it_says_what_is_used_and_where_that_comes_from(bridge, monkeypatch, token) -> None:
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://of.env")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "0ther-token")
    bridge.configure(registry=f'http://registry"\n{token}\ntimeout = "5s')

    done = bridge.run("check")
    document = json.loads(bridge.run("check", "--output", "json").out)

    assert done.out.splitlines()[:3] == [
        "tracking_uri: http://registry, from registry.tracking_uri",
        "registry_uri: http://of.env, from MLFLOW_REGISTRY_URI of the environment",
        CREDENTIAL,
    ]
    assert document["access"]["credential"] == {
        "value": "bearer token",
        "from": "registry.token (environment variable REGISTRY_TOKEN)",
        "not_from": ["MLFLOW_TRACKING_TOKEN of the environment"],
    }
    assert (document["registry"]["uri"], document["access"]["registry_uri"]["value"]) == (
        "http://of.env",
    ) * 2
    assert "-token" not in done.out + done.err + json.dumps(document)


def test_where_nothing_but_the_address_is_used_that_goes_without_saying(bridge, token) -> None:
    bridge.configure()

    assert bridge.run("check").out == f"{bridge.folder}/config.toml: ok, 0 sinks: nothing will be delivered\n"


def test_a_variable_in_quotes_is_named(bridge, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", '"http://of.env"')
    bridge.configure()

    done = bridge.run("check")

    assert done.code == 78
    assert "registry.registry_uri: stands in quotes" in done.err
    assert "(it comes from $MLFLOW_REGISTRY_URI)" in done.err


def test_with_connect_filters_that_match_no_model_are_warned_of(bridge, monkeypatch) -> None:
    answer = RegistryAnswer("answers", frozenset({"[PROD] churn", "fraud-eu"}))
    monkeypatch.setattr("bridge.cli.configuration_checks._ask", lambda _settings, _scanned: answer)
    globs = ["[PROD] churn", "[PROD] *", "fraud-*", "nobody"]
    bridge.configure(http_sink("https://h", more=f"models = {json.dumps(globs)}\n"))

    plain, connected = bridge.run("check"), bridge.run("check", "--connect")

    assert "matches none" not in plain.err
    warnings = [line for line in connected.err.splitlines() if "matches none" in line]
    assert [line.partition(": matches")[0].partition("models")[2][:3] for line in warnings] == ["[1]", "[3]"]
    assert "did you mean '[[]PROD] *'?" in warnings[0]


def test_so_are_gates_that_guard_no_model(bridge, monkeypatch) -> None:
    answer = RegistryAnswer("answers", frozenset({"fraud", "churn"}))
    monkeypatch.setattr("bridge.cli.configuration_checks._ask", lambda _settings, _scanned: answer)
    gate = '[[gates]]\nname = "g"\nmode = "audit"\nmodels = ["Fraud"]\nto_stages = ["Production"]\napprovals = 1\n'
    bridge.configure(http_sink("https://h"), gate)

    connected = bridge.run("check", "--connect")

    assert "gates.g.models[0]: 'Fraud' matches none" in connected.err
    assert "there is 'fraud'" in connected.err
    assert "1 gate" in connected.out


def test_an_empty_registry_says_nothing_of_filters(bridge, monkeypatch) -> None:
    monkeypatch.setattr(
        "bridge.cli.configuration_checks._ask",
        lambda _settings, _scanned: RegistryAnswer("answers", frozenset()),
    )
    bridge.configure(http_sink("https://h", more='models = ["fraud-*"]\n'))

    assert "matches none" not in bridge.run("check", "--connect").err


def test_the_password_of_a_database_is_shown_nowhere(tmp_path, monkeypatch, capsys) -> None:
    line = CommandLine(tmp_path, monkeypatch, capsys)
    (tmp_path / "config.toml").write_text(
        '[registry]\ntracking_uri = "postgresql+pg8000://ann:s3/cret@127.0.0.1:1/mlflow"\nallow_database_uri = true\n'
    )
    for command in (["check"], ["check", "--connect"], ["check", "--output", "json"], ["status"], ["once"]):
        done = line.run(*command)
        assert "127.0.0.1:1/mlflow" in done.out + done.err or command == ["check"]
        assert "cret" not in done.out + done.err
        assert "deprecated" not in done.out + done.err  # what MLflow's database store warns about
