"""MLflow's own webhooks, as hints."""

import asyncio
import json
import os
import threading

import pytest
from support.hooks import Hooks, api_of, settings_of

from bridge.events.change_hints import Hint
from bridge.events.delivery_signatures import mlflow_signature

SECRET = "of the webhook"
PATH = "/api/v1/mlflow-webhooks"
BODY = json.dumps({"entity": "model_version_alias", "action": "created", "data": {"name": "m", "alias": "a"}})


@pytest.fixture
async def served(monkeypatch, tmp_path):
    monkeypatch.setenv("OF_MLFLOW", SECRET)
    hooks = Hooks()
    server = {"listen": "127.0.0.1:9", "mlflow_webhook_secret": {"env": "OF_MLFLOW"}}
    hooks.settings = settings_of(server=server)
    async with api_of(hooks) as api:
        api.hooks = hooks
        yield api


async def send(api, body=BODY, *, secret=SECRET, ago_s=0, **headers):
    timestamp = api.hooks.clock.now_ms() // 1000 - ago_s
    signed = {
        "X-MLflow-Delivery-Id": "1",
        "X-MLflow-Timestamp": str(timestamp),
        "X-MLflow-Signature": mlflow_signature(secret, "1", timestamp, body.encode()),
        **headers,
    }
    status, told = await asyncio.to_thread(api.ask, "POST", PATH, body.encode(), **signed)
    return status, told.get("error_code")


async def test_a_signed_delivery_is_a_hint_about_its_model_and_nothing_more(served) -> None:
    assert await send(served) == (202, None)
    assert served.hooks.present.hints == [Hint("m")]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"secret": "another"}, 403),
        ({"ago_s": 400}, 403),
        ({"ago_s": -400}, 403),
        ({"X-MLflow-Timestamp": "now"}, 403),
        ({"X-MLflow-Delivery-Id": "2"}, 403),
        ({"X-MLflow-Signature": ""}, 403),
        ({"body": "{"}, 400),
        ({"body": "[]"}, 400),
        ({"body": '{"data": {"name": ""}}'}, 400),
        ({"body": '{"data": {"name": 7}}'}, 400),
        ({"body": "x" * 2_000_000}, 413),
    ],
)
async def test_what_is_not_signed_not_now_or_about_no_model_is_refused(served, more, status) -> None:
    assert (await send(served, **more))[0] == status
    assert served.hooks.present.hints == []


async def test_without_a_secret_in_the_configuration_none_is_taken(served) -> None:
    served.hooks.settings = settings_of(server={"listen": "127.0.0.1:9"})
    assert await send(served) == (400, "INVALID_STATE")


async def test_the_secret_can_be_in_a_file(served, tmp_path) -> None:
    (tmp_path / "secret").write_text("in a file\n")
    secret = {"file": str(tmp_path / "secret")}
    served.hooks.settings = settings_of(server={"listen": "127.0.0.1:9", "mlflow_webhook_secret": secret})
    assert await send(served, secret="in a file") == (202, None)


async def test_a_secret_whose_file_hangs_is_told_and_holds_up_nothing(served, tmp_path, monkeypatch) -> None:
    os.mkfifo(tmp_path / "secret")
    monkeypatch.setattr("bridge.operations.mlflow_webhook_hints._FILE_S", 0.05)
    secret = {"file": str(tmp_path / "secret")}
    served.hooks.settings = settings_of(server={"listen": "127.0.0.1:9", "mlflow_webhook_secret": secret})
    assert [await send(served) for _ in range(3)] == [(400, "INVALID_STATE")] * 3
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("secret of webhooks in MLflow") == 1
    (tmp_path / "secret").write_text("x")  # lets the thread end
