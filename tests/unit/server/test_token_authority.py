"""Who asks the API."""

from base64 import b64encode

import pytest

from bridge.config import PERMISSIONS, Secret, TokenSettings
from bridge.config.server_tokens import token_fault
from bridge.server.token_authority import (
    Everybody,
    PermissionDenied,
    Tokens,
    Unauthenticated,
    check_permission,
)

CI, EYE = "0123456789abcdef" * 2, "fedcba9876543210"


@pytest.fixture
def tokens(monkeypatch) -> Tokens:
    monkeypatch.setenv("CI", CI)
    monkeypatch.setenv("EYE", EYE)
    monkeypatch.setenv("SHORT", "short")
    return Tokens(
        [
            TokenSettings(name="gone", token=Secret(env="NO_SUCH_TOKEN"), may=("read",)),
            TokenSettings(name="short", token=Secret(env="SHORT"), may=("read",)),
            TokenSettings(name="ci", token=Secret(env="CI"), may=("webhooks",)),
            TokenSettings(name="eye", token=Secret(env="EYE"), may=("read",)),
        ]
    )


def basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {CI}",
        f"bearer  {CI} ",
        basic(f"anybody:{CI}"),
        basic(f":{CI}"),
        f"BASIC {basic(f'x:{CI}')[6:]}",
    ],
)
def test_a_token_is_recognised_as_a_bearer_and_as_a_password(tokens, header) -> None:
    assert tokens.caller(header).name == "token ci"


@pytest.mark.parametrize(
    "header",
    [None, "", CI, "Bearer", "Bearer ", f"Bearer {CI[:-1]}", f"Bearer {CI}x", "Bearer short", "Bearer é",
     "Basic", "Basic !!!", basic(CI), basic(f"{CI}:"), basic(f"{CI}:x"), "Basic /w==", f"Digest {CI}"],
)  # fmt: skip
def test_anything_else_is_refused_without_being_shown(tokens, header) -> None:
    with pytest.raises(Unauthenticated) as caught:
        tokens.caller(header)
    assert not header or CI not in str(caught.value)


def test_without_tokens_it_is_said_how_to_get_one() -> None:
    with pytest.raises(Unauthenticated, match=r"for looking only: add one as \[\[server\.tokens\]\]"):
        Tokens(()).caller(f"Bearer {CI}")


def test_a_token_that_was_replaced_counts_from_the_next_request_on(tokens, monkeypatch) -> None:
    monkeypatch.setenv("CI", "another-token-of-ours")

    assert tokens.caller("Bearer another-token-of-ours").name == "token ci"
    with pytest.raises(Unauthenticated):
        tokens.caller(f"Bearer {CI}")


def test_a_token_may_do_what_its_settings_say(tokens) -> None:
    check_permission(tokens.caller(f"Bearer {CI}"), "webhooks")
    with pytest.raises(PermissionDenied, match='token eye may not do this: it needs "webhooks" in its may'):
        check_permission(tokens.caller(f"Bearer {EYE}"), "webhooks")


def test_at_the_socket_everybody_may_do_everything() -> None:
    for permission in PERMISSIONS:
        check_permission(Everybody().caller(None), permission)


def test_a_token_is_long() -> None:
    assert (token_fault("x" * 16), "too short" in token_fault("x" * 15)) == ("", True)
