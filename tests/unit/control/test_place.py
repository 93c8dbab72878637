"""Where the control socket is, where it cannot be, and what is said to who asks there in vain."""

import os
import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.control import Works, asked, refused

from bridge.control import ask, client, listening
from bridge.control.protocol import Request
from bridge.errors import OwnerUnavailable


async def test_a_socket_that_a_killed_owner_left_is_replaced(tmp_path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "control"))
    assert "no daemon listens" in str(await refused(tmp_path))

    async with listening(tmp_path, Works().commands):
        assert await asked(tmp_path) == {"heard": {}}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux' /proc")
async def test_a_folder_with_a_long_path_has_its_socket_as_well(tmp_path) -> None:
    folder = tmp_path / ("x" * 120) / ("y" * 120)
    folder.mkdir(parents=True)
    async with listening(folder, Works().commands):
        assert (folder / "control").is_socket()
        assert await asked(folder) == {"heard": {}}

    assert not (folder / "control").exists()


async def test_where_no_socket_can_be_made_that_is_told_once_and_by_who_asks(tmp_path) -> None:
    (tmp_path / "control").mkdir()
    with capture_logs() as logs:
        async with listening(tmp_path, {}):
            error = await refused(tmp_path)

    assert [line["event"] for line in logs] == ["control.unavailable"]
    assert "cannot be asked to do this: no daemon listens" in str(error)


async def test_a_path_that_is_too_long_where_there_is_no_proc_is_told(tmp_path, monkeypatch) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    with capture_logs() as logs:
        async with listening(folder, {}):
            error = await refused(folder)

    assert [(line["event"], line["error"]) for line in logs] == [
        ("control.unavailable", "AF_UNIX path too long")
    ]
    assert "AF_UNIX path too long" in str(error)


async def test_a_daemon_that_does_not_answer_is_not_waited_for_longer_than_asked(tmp_path) -> None:
    async with listening(tmp_path, Works().commands):
        error = await refused(tmp_path, "wait", patience_s=0.2, name="long")

    assert (type(error), "no answer within" in str(error)) == (OwnerUnavailable, True)


def test_without_a_socket_it_says_that_nobody_listens(tmp_path) -> None:
    with pytest.raises(OwnerUnavailable, match="no daemon listens"):
        ask(tmp_path, Request("echo", {}), 1)


def test_an_answer_that_never_ends_is_no_answer(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(client, "LIMIT", 10)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x" * 100)
        assert not client._read_line(ours, float("inf")).endswith(b"\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
async def test_root_leaves_a_socket_that_the_service_can_use(tmp_path) -> None:
    os.chown(tmp_path, 65534, 65534)
    async with listening(tmp_path, {}):
        assert (tmp_path / "control").stat().st_uid == 65534
