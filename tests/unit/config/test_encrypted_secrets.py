"""Secrets of webhooks, encrypted at rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hooks import KEY, OTHER_KEY

from bridge.config import Secret
from bridge.config.encrypted_secrets import EncryptedSecret, Keys, key_fault
from bridge.errors import SecretUnavailable

OURS, OTHER = Secret(env="KEY"), Secret(env="OTHER_KEY")


@pytest.fixture(autouse=True)
def keys(monkeypatch) -> None:
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", OTHER_KEY)


@given(st.text(min_size=1))
def test_what_was_encrypted_is_read_again(text) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEY", KEY)
        stored = Keys.read([OURS]).encrypted(text)

        assert EncryptedSecret(owner="webhook w", ciphertext=stored, keys=(OURS,)).read() == text
    assert text not in stored or len(text) < 3


def test_each_key_decrypts_and_the_first_encrypts() -> None:
    stored = Keys.read([OURS]).encrypted("s3cret")

    assert Keys.read([OTHER, OURS]).decrypted(stored, "it") == "s3cret"
    again = Keys.read([OTHER, OURS]).reencrypted(stored, "it")
    assert Keys.read([OTHER]).decrypted(again, "it") == "s3cret"


def test_another_key_is_named_as_the_reason() -> None:
    secret = EncryptedSecret(
        owner="webhook w", ciphertext=Keys.read([OURS]).encrypted("s3cret"), keys=(OTHER,)
    )

    with pytest.raises(
        SecretUnavailable, match="the stored secret of webhook w was encrypted with another key"
    ):
        secret.read()
    assert "s3cret" not in repr(secret) + str(secret)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ((), "webhooks.encryption_key is not set"),
        ((Secret(env="NO_SUCH_KEY"),), "environment variable NO_SUCH_KEY is not set"),
    ],
)
def test_without_a_key_nothing_is_encrypted(key, told) -> None:
    with pytest.raises(SecretUnavailable, match=told):
        Keys.read(key).encrypted("s3cret")


@pytest.mark.parametrize("value", ["a passphrase", "a" * 43, "=" * 44, "é" * 44, ""])
def test_what_is_no_key_is_refused_without_being_shown(monkeypatch, value) -> None:
    monkeypatch.setenv("KEY", value)

    assert "is no Fernet key" in key_fault(value)
    with pytest.raises(SecretUnavailable) as caught:
        Keys.read([OURS]).encrypted("s3cret")
    assert value not in str(caught.value) or not value
