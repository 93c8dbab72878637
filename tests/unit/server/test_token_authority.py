"""Who asks the API."""

import asyncio
import os
import threading
from base64 import b64encode

import pytest

from bridge.config import PERMISSIONS, Secret, TokenSettings
from bridge.config.server_tokens import token_fault
from bridge.governance.transition_request import ANONYMOUS
from bridge.server import token_authority as module
from bridge.server.token_authority import (
    MAY_HEADER,
    USER_HEADER,
    Caller,
    Everybody,
    PermissionDenied,
    Tokens,
    Unauthenticated,
    check_acts_for_users,
    check_permission,
    with_user,
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
async def test_a_token_is_recognised_as_a_bearer_and_as_a_password(tokens, header) -> None:
    assert (await tokens.caller(header)).name == "token ci"


@pytest.mark.parametrize(
    "header",
    [None, "", CI, "Bearer", "Bearer ", f"Bearer {CI[:-1]}", f"Bearer {CI}x", "Bearer short", "Bearer é",
     "Basic", "Basic !!!", basic(CI), basic(f"{CI}:"), basic(f"{CI}:x"), "Basic /w==", f"Digest {CI}"],
)  # fmt: skip
async def test_anything_else_is_refused_without_being_shown(tokens, header) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await tokens.caller(header)
    assert not header or CI not in str(caught.value)


async def test_without_tokens_it_is_said_how_to_get_one() -> None:
    with pytest.raises(Unauthenticated, match=r"for looking only: add one as \[\[server\.tokens\]\]"):
        await Tokens(()).caller(f"Bearer {CI}")


async def test_a_token_that_was_replaced_counts_from_the_next_request_on(tokens, monkeypatch) -> None:
    monkeypatch.setenv("CI", "another-token-of-ours")

    assert (await tokens.caller("Bearer another-token-of-ours")).name == "token ci"
    with pytest.raises(Unauthenticated):
        await tokens.caller(f"Bearer {CI}")


async def test_a_token_may_do_what_its_settings_say(tokens) -> None:
    check_permission(await tokens.caller(f"Bearer {CI}"), "webhooks")
    with pytest.raises(PermissionDenied, match='token eye may not do this: it needs "webhooks" in its may'):
        check_permission(await tokens.caller(f"Bearer {EYE}"), "webhooks")


async def test_at_the_socket_everybody_may_do_everything() -> None:
    for permission in PERMISSIONS:
        check_permission(await Everybody().caller(None), permission)


def test_a_token_is_long() -> None:
    assert (token_fault("x" * 16), "too short" in token_fault("x" * 15)) == ("", True)


@pytest.mark.parametrize("value", ["\udcff" * 16, "é" * 16, "a b" * 8, "token\n" * 4])
def test_a_token_has_no_character_that_another_could_be_taken_for(value) -> None:
    assert "holds a character that no token has" in token_fault(value)


async def test_a_file_that_hangs_holds_up_no_other_token_and_is_read_by_one_thread(
    monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(module, "_FILE_S", 0.2)
    monkeypatch.setenv("CI", CI)
    os.mkfifo(tmp_path / "hangs")
    hangs = TokenSettings(name="hangs", token=Secret(file=str(tmp_path / "hangs")), may=("read",))
    tokens = Tokens([hangs, TokenSettings(name="ci", token=Secret(env="CI"), may=("read",))])

    callers = await asyncio.gather(*(tokens.caller(f"Bearer {CI}") for _ in range(20)))

    assert {one.name for one in callers} == {"token ci"}
    assert sum(thread.name == "token file" for thread in threading.enumerate()) == 1
    (tmp_path / "hangs").write_text("x")


PLUGIN = Caller("token mlflow", ("read", "request", "decide"), acts_for_users=True)


def test_mlflows_server_says_on_whose_behalf_it_asks_and_what_they_may() -> None:
    ann = with_user(PLUGIN, {USER_HEADER: "ann%20b", MAY_HEADER: "read, request,operate"})
    assert (ann.user, ann.name, list(ann.may)) == ("ann b", "ann b (token mlflow)", ["read", "request"])
    nobody = with_user(PLUGIN, {USER_HEADER: ""})
    assert (nobody.user, nobody.name, list(nobody.may)) == (ANONYMOUS, "token mlflow", list(PLUGIN.may))
    assert with_user(PLUGIN, {}) is PLUGIN


def test_nobody_else_says_on_whose_behalf_they_ask() -> None:
    other = Caller("token ci", ("read",))
    with pytest.raises(PermissionDenied, match="acts_for_users = true"):
        with_user(other, {USER_HEADER: "ann"})
    with pytest.raises(PermissionDenied, match="acts_for_users = true"):
        check_acts_for_users(other)
    assert with_user(other, {}) is other


@pytest.mark.parametrize("name", [ANONYMOUS, "a%0Ab", "x" * 300])
def test_what_cannot_be_a_users_name_is_refused(name) -> None:
    with pytest.raises(PermissionDenied, match="cannot be the name of a user"):
        with_user(PLUGIN, {USER_HEADER: name})


def test_no_token_has_the_name_of_whoever_is_not_known() -> None:
    with pytest.raises(ValueError, match="give the token another name"):
        TokenSettings(name=ANONYMOUS, token=Secret(env="CI"), may=("read",))
