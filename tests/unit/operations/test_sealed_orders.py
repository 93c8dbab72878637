"""Orders that pass the database of a shared state hold no secret that can be read there."""

import pytest
from cryptography.fernet import Fernet

from bridge.config import Settings
from bridge.control.socket_messages import Request
from bridge.errors import InvalidState, SecretUnavailable
from bridge.operations.sealed_orders import opened, sealed

GIVEN = {"http_url_spec": {"url": "https://ci.example.com/", "secret": "s3cret"}}
BY_COMMAND = Request("webhooks", {"verb": "create", "given": GIVEN, "who": "ann"})
BY_API = Request(
    "api", {"method": "POST", "path": "/api/2.0/mlflow/registry-webhooks/create", "arguments": GIVEN}
)


def settings(*keys: str, webhooks: bool = True) -> Settings:
    section = {"encryption_key": [{"env": key} for key in keys]} if keys else {}
    more = {"webhooks": section} if webhooks else {}
    return Settings.model_validate({"registry": {"tracking_uri": "http://127.0.0.1:1"}, **more})


@pytest.fixture(autouse=True)
def _keys(monkeypatch) -> None:
    for name in ("ONE", "OTHER"):
        monkeypatch.setenv(name, Fernet.generate_key().decode())


@pytest.mark.parametrize("request_", [BY_COMMAND, BY_API])
def test_a_secret_is_sealed_and_comes_out_as_it_was(request_) -> None:
    closed = sealed(settings("ONE"), request_)

    assert "s3cret" not in repr(closed)
    assert closed.command == request_.command
    assert opened(settings("OTHER", "ONE"), closed) == request_


@pytest.mark.parametrize("request_", [BY_COMMAND, BY_API])
def test_a_secret_goes_nowhere_without_a_key(request_) -> None:
    with pytest.raises(SecretUnavailable, match="encryption_key is not set"):
        sealed(settings(), request_)


def test_an_owner_with_another_key_says_so() -> None:
    with pytest.raises(SecretUnavailable, match="another key"):
        opened(settings("OTHER"), sealed(settings("ONE"), BY_COMMAND))


def test_orders_about_anything_else_need_no_key() -> None:
    order = Request("redrive", {"entries": [1]})
    plain = Request("webhooks", {"verb": "delete", "given": {"id": "1"}, "who": "ann"})

    assert sealed(settings("ONE"), order) == order
    assert sealed(settings(), plain) == plain
    with pytest.raises(InvalidState, match="switched off"):
        sealed(settings(webhooks=False), BY_COMMAND)
    assert sealed(settings(webhooks=False), plain) == plain
    assert opened(settings(), plain) == plain
