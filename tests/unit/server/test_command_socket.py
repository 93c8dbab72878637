"""The control socket, with real sockets, and peers that behave badly."""

import asyncio
import json
import socket
import stat
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs
from support.control import Works, asked, refused
from support.patience import patience
from support.until import eventually

from bridge import __version__
from bridge.control.socket_messages import LIMIT, PATH, VERSION, Request, decode_answer, encode_request
from bridge.errors import BridgeError, OwnerUnavailable, PollHeld
from bridge.server import asgi_server, command_socket
from bridge.server.command_socket import listening


@pytest.fixture
async def works(tmp_path):
    works = Works()
    async with listening(tmp_path, works.commands):
        yield works


@asynccontextmanager
async def peer(folder: Path):
    reader, writer = await asyncio.open_unix_connection(str(folder / "control"), limit=LIMIT)
    try:
        yield reader, writer
    finally:
        writer.close()


def posted(message: bytes) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: bridge\r\nContent-Length: {len(message)}\r\n\r\n"
    return head.encode() + message


async def test_a_command_is_carried_out_and_answered(tmp_path, works) -> None:
    assert await asked(tmp_path, number=1, text="\ud800\n") == {"heard": {"number": 1, "text": "\ud800\n"}}


async def test_only_its_owner_can_connect(tmp_path, works) -> None:
    mode = (tmp_path / "control").stat().st_mode

    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)


async def test_nobody_can_connect_before_the_socket_is_private(tmp_path, monkeypatch) -> None:
    tried = []

    def kept(path: str, folder: Path) -> None:
        with socket.socket(socket.AF_UNIX) as early, pytest.raises(ConnectionRefusedError):
            early.connect(path)
        tried.append(path)

    monkeypatch.setattr(command_socket, "_keep_private", kept)
    async with listening(tmp_path, {}):
        pass

    assert tried == [str(tmp_path / "control")]


async def test_an_error_of_a_command_is_raised_again(tmp_path, works) -> None:
    error = await refused(tmp_path, "held")

    assert (type(error), str(error), error.digest) == (PollHeld, "too much", "abc")


async def test_a_bug_in_a_command_is_told_without_its_text_and_ends_nothing(tmp_path, works) -> None:
    with capture_logs() as logs:
        error = await refused(tmp_path, "bug")

    assert (type(error), str(error)) == (BridgeError, "a fault in the running daemon: KeyError")
    assert [line["error"] for line in logs if line["event"] == "control.failed"] == ["KeyError"]
    assert await asked(tmp_path) == {"heard": {}}


async def test_a_command_that_is_not_known_is_told_those_that_are(tmp_path, works) -> None:
    error = await refused(tmp_path, "fly")

    assert type(error) is OwnerUnavailable
    assert "knows no command 'fly': it knows bug, cleans, echo, held, long, odd, wait" in str(error)
    assert f"mlflow-bridge {__version__}, control protocol {VERSION}" in str(error)


async def test_two_at_once_do_not_wait_for_one_another(tmp_path, works) -> None:
    slow = asyncio.create_task(asked(tmp_path, "wait", name="slow"))
    await eventually(lambda: works.begun)

    assert await asked(tmp_path) == {"heard": {}}
    assert not slow.done()
    works.release.set()
    assert await slow == {}


async def test_a_peer_that_hangs_is_dropped_and_holds_up_nobody(tmp_path, works, monkeypatch) -> None:
    monkeypatch.setattr(asgi_server, "REQUEST_S", 0.2)
    async with peer(tmp_path) as (reader, writer):
        writer.write(posted(b"{")[:-1])
        assert await asked(tmp_path) == {"heard": {}}
        assert await asyncio.wait_for(reader.read(), patience()) == b""


async def test_a_peer_that_does_not_take_its_answer_is_dropped(tmp_path, works, monkeypatch) -> None:
    monkeypatch.setattr(asgi_server, "REQUEST_S", 0.2)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(tmp_path / "control"))
        request = posted(encode_request(Request("echo", {"text": "x" * (LIMIT // 2)})))
        await asyncio.to_thread(deaf.sendall, request)
        await asyncio.sleep(1.0)
        assert await asked(tmp_path) == {"heard": {}}
        deaf.settimeout(patience())
        assert await asyncio.to_thread(_taken, deaf) < LIMIT // 2


def _taken(peer: socket.socket) -> int:
    """Return how many bytes come until the end."""
    found = 0
    with suppress(ConnectionResetError):
        while more := peer.recv(1 << 16):
            found += len(more)
    return found


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"GET / HTTP/1.1", "does not speak the bridge's control protocol"),
        (b"\xff\x00\n", "does not speak"),
        (b'{"version": 1}', "version 1"),
        (b'{"version": 2}', "names no command"),
        (b"x" * LIMIT + b"x", f"longer than {LIMIT} bytes"),
    ],
    ids=["http", "bytes", "version", "no command", "too long"],
)
async def test_garbage_gets_a_clear_error(tmp_path, works, sent, told) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(tmp_path / "control"))) as client:
        answer = await asyncio.to_thread(client.post, f"http://bridge{PATH}", content=sent)

    with pytest.raises(OwnerUnavailable, match=told):
        decode_answer(answer.content)
    assert await asked(tmp_path) == {"heard": {}}


async def test_a_command_of_an_earlier_version_is_told_that_the_daemon_is_of_another(tmp_path, works) -> None:
    async with peer(tmp_path) as (reader, writer):
        writer.write(b'{"version": 1, "bridge": "0.1", "command": "echo", "arguments": {}}\n')
        answer = json.loads(await asyncio.wait_for(reader.readline(), patience()))

    assert answer["version"] == VERSION
    assert "of an earlier version" in answer["error"]["message"]
    assert await asked(tmp_path) == {"heard": {}}


@pytest.mark.parametrize(("command", "told"), [("odd", "TypeError"), ("long", "than fits")])
async def test_an_answer_that_cannot_be_given_is_told(tmp_path, works, command, told) -> None:
    assert told in str(await refused(tmp_path, command))
    assert await asked(tmp_path) == {"heard": {}}


async def test_peers_that_say_nothing_do_not_end_a_command(tmp_path, works, monkeypatch) -> None:
    monkeypatch.setattr(asgi_server, "MOST_CONNECTIONS", 8)
    slow = asyncio.create_task(asked(tmp_path, "wait", name="slow"))
    await eventually(lambda: works.begun)
    async with AsyncExitStack() as held:
        for _ in range(40):
            await held.enter_async_context(peer(tmp_path))
        assert await asked(tmp_path) == {"heard": {}}
        works.release.set()
        assert await slow == {}


async def test_a_file_of_certificates_that_is_not_there_is_nothing_to_commands(
    tmp_path, works, monkeypatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))

    assert await asked(tmp_path) == {"heard": {}}


async def test_the_end_waits_until_a_command_that_it_cancels_has_ended(tmp_path) -> None:
    works = Works()
    async with listening(tmp_path, works.commands):
        waiting = asyncio.create_task(refused(tmp_path, "cleans", name="late"))
        await eventually(lambda: works.begun)

    assert works.ended == ["late"]
    await waiting


async def test_a_peer_that_goes_away_without_a_word_breaks_nothing(tmp_path, works) -> None:
    for sent in (b"", b"POST /comm", posted(b"{}")[:-1]):
        async with peer(tmp_path) as (_, writer):
            writer.write(sent)

    assert await asked(tmp_path) == {"heard": {}}


async def test_a_command_that_was_begun_goes_on_when_the_peer_goes_away(tmp_path, works) -> None:
    async with peer(tmp_path) as (_, writer):
        writer.write(posted(encode_request(Request("wait", {"name": "gone"}))))
        await eventually(lambda: works.begun)
    assert works.ended == []
    works.release.set()

    await eventually(lambda: works.ended)
    assert await asked(tmp_path) == {"heard": {}}


async def test_the_end_drops_who_waits_and_removes_the_socket_without_a_word(tmp_path, caplog) -> None:
    works = Works()
    async with listening(tmp_path, works.commands), peer(tmp_path):
        waiting = asyncio.create_task(refused(tmp_path, "wait", name="late"))
        await eventually(lambda: works.begun)

    assert "ended before it had answered" in str(await waiting)
    assert (works.ended, (tmp_path / "control").exists()) == (["late"], False)
    assert caplog.records == []
