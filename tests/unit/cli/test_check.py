"""``check``: what is wrong with formats and secrets before anything is sent."""

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
