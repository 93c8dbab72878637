"""``check``: what is wrong with formats and secrets before anything is sent."""

import json

import pytest
from support.command import http_sink


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
    assert "mlflow, databricks, standard, cloudevents, cloudevents-binary can" in done.err


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
