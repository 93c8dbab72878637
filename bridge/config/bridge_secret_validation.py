"""The secrets of the bridge itself, beside those of the registry and the sinks: tokens of the API, encryption keys."""

from collections.abc import Callable, Iterator

from bridge.config.encrypted_secrets import key_fault
from bridge.config.server_tokens import token_fault
from bridge.config.setting_types import Secret
from bridge.config.settings import Settings
from bridge.errors import SecretUnavailable


def own_secret_faults(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the key and the fault of each secret that cannot be used now; files are read."""
    for key, secret, misfit in _own_secrets(settings):
        try:
            fault = misfit(secret.read())
        except SecretUnavailable as error:
            yield key, str(error)
        else:
            if fault:
                yield key, f"{secret}: {fault}"


def _no_fault(_value: str) -> str:
    return ""


def _own_secrets(settings: Settings) -> Iterator[tuple[str, Secret, Callable[[str], str]]]:
    if settings.server is not None:
        for key, secret in settings.server.secrets().items():
            yield f"server.{key}", secret, token_fault if key.startswith("tokens") else _no_fault
    if settings.webhooks is not None:
        for key, secret in settings.webhooks.secrets().items():
            yield f"webhooks.{key}", secret, key_fault
