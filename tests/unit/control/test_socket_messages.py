"""One line each way: what is said is what is heard, and garbage is told from it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import __version__, errors
from bridge.control import socket_messages
from bridge.control.socket_messages import (
    LIMIT,
    Request,
    decode_answer,
    decode_request,
    encode_error,
    encode_request,
    encode_result,
)
from bridge.errors import BridgeError, ConfigurationError, OwnerUnavailable, PollHeld, RegistryUnreachable

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)
DOCUMENTS = st.dictionaries(st.text(), VALUES, max_size=4)
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


def raised(line: bytes, decode=decode_answer) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        decode(line)
    return caught.value


@given(st.text(), DOCUMENTS)
def test_a_request_comes_back_as_it_was(command, arguments) -> None:
    assert decode_request(encode_request(Request(command, arguments))) == Request(command, arguments)


@given(DOCUMENTS)
def test_a_result_comes_back_as_it_was(result) -> None:
    assert decode_answer(encode_result(result)) == result


def made(kind: type[BridgeError], message: str) -> BridgeError:
    if kind is PollHeld:
        return PollHeld(message, "digest")
    if kind is ConfigurationError:
        return ConfigurationError([message, "poll.cron: wrong"], "/etc/config.toml")
    return kind(message)


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_is_raised_again_as_what_it_was(kind) -> None:
    error = made(kind, "what is wrong,\nand how to mend it")

    again = raised(encode_error(error))

    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_an_error_of_a_later_version_is_still_told() -> None:
    class Unheard(RegistryUnreachable):
        pass

    later = encode_error(RegistryUnreachable("down")).replace(b"RegistryUnreachable", b"RegistryAsleep")

    assert type(raised(encode_error(Unheard("down")))) is RegistryUnreachable
    assert (type(raised(later)), str(raised(later))) == (BridgeError, "down")


@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_one_clear_error_on_either_side(line) -> None:
    for decode in (decode_request, decode_answer):
        assert type(raised(line, decode)) is OwnerUnavailable


@given(DOCUMENTS)
def test_odd_members_are_an_error_and_nothing_worse(members) -> None:
    for member in ("error", "result", "command", "arguments"):
        said = {"version": socket_messages.VERSION, member: members.get("x", "x"), **members}
        assert isinstance(raised(json.dumps(said).encode(), decode_request), OwnerUnavailable)
    error = {"class": members.get("c", "ConfigurationError"), "problems": list(members), **members}
    raised(json.dumps({"version": socket_messages.VERSION, "error": error}).encode())


@pytest.mark.parametrize("depth", [100_000])
def test_nesting_without_end_is_garbage(depth) -> None:
    assert "does not speak" in str(raised(b"[" * depth, decode_request))


@pytest.mark.parametrize("decode", [decode_request, decode_answer])
def test_another_version_is_refused_with_both_versions_named(monkeypatch, decode) -> None:
    monkeypatch.setattr(socket_messages, "VERSION", 7)
    line = encode_request(Request("poll", {})).replace(__version__.encode(), b"9.9.9")
    monkeypatch.undo()

    told = str(raised(line, decode))

    for part in (
        "version 7",
        "mlflow-bridge 9.9.9",
        f"version {socket_messages.VERSION}",
        f"mlflow-bridge {__version__}",
        "restart",
    ):
        assert part in told


@pytest.mark.parametrize("encode", [encode_result, lambda text: encode_error(BridgeError(str(text)))])
def test_what_is_too_long_is_not_said(encode) -> None:
    with pytest.raises(OwnerUnavailable, match="than fits"):
        encode({"text": "x" * LIMIT})
