"""Where the control socket is, where it cannot be, and what is said to who asks there in vain."""

import errno
import os
import socket
import stat
import sys
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.control import Works, asked, refused
from support.patience import patience

from bridge.control.socket_client import ask
from bridge.control.socket_messages import Request
from bridge.errors import OwnerUnavailable
from bridge.server.command_socket import listening


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


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b'{"version": 1, "bridge": "1.0"}\n', "after an upgrade, restart the daemon"),
        (b"", "ended before it had answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "ended before it had answered"),
    ],
    ids=["of an earlier version", "nothing", "cut off"],
)
def test_what_is_no_answer_is_told(tmp_path, answer, told) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "control"))
        other.listen()
        peer = threading.Thread(target=_answer_once, args=(other, answer))
        peer.start()
        with pytest.raises(OwnerUnavailable, match=told):
            ask(tmp_path, Request("echo", {}), patience())
        peer.join()


def _answer_once(listener: socket.socket, answer: bytes) -> None:
    listener.accept()[0].close()  # looks whether somebody listens
    channel, _ = listener.accept()
    with channel:
        channel.recv(65_536)
        channel.sendall(answer)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
async def test_root_leaves_a_socket_that_the_service_can_use(tmp_path) -> None:
    os.chown(tmp_path, 65534, 65534)
    async with listening(tmp_path, {}):
        assert (tmp_path / "control").stat().st_uid == 65534


def refusing(number: int):
    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems give a socket its mode by its name alone"
)
@pytest.mark.parametrize("mask", [0o000, 0o077])
async def test_a_socket_is_private_without_a_call_that_a_mount_may_refuse(
    tmp_path, monkeypatch, mask
) -> None:
    monkeypatch.setattr(Path, "chmod", refusing(errno.EPERM))
    before = os.umask(mask)
    try:
        async with listening(tmp_path, Works().commands):
            assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o600
            assert await asked(tmp_path) == {"heard": {}}
    finally:
        os.umask(before)


async def test_where_a_mode_cannot_be_given_before_it_is_given_after(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "fchmod", refusing(errno.EINVAL))
    async with listening(tmp_path, Works().commands):
        assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o600


async def test_a_socket_that_cannot_be_made_private_is_not_there(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "fchmod", refusing(errno.EINVAL))
    monkeypatch.setattr(Path, "chmod", refusing(errno.EPERM))
    with capture_logs() as logs:
        async with listening(tmp_path, {}):
            assert list(tmp_path.iterdir()) == []

    assert logs[0]["event"] == "control.unavailable"


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EROFS, errno.EADDRINUSE])
async def test_a_folder_that_holds_no_sockets_is_told_with_what_helps(tmp_path, monkeypatch, number) -> None:
    class Channel(socket.socket):
        bind = refusing(number)

    monkeypatch.setattr(socket, "socket", Channel)
    with capture_logs() as logs:
        async with listening(tmp_path, {}):
            pass

    assert [(line["event"], line["error"]) for line in logs] == [("control.unavailable", os.strerror(number))]
    assert "a reload needs SIGHUP" in logs[0]["mend"]


async def test_a_folder_that_is_gone_ends_no_daemon(tmp_path) -> None:
    with capture_logs() as logs:
        async with listening(tmp_path / ("x" * 120) / "gone", {}):
            pass

    assert logs[0]["event"] == "control.unavailable"


async def test_a_socket_that_cannot_be_given_to_the_folders_owner_is_ours(tmp_path, monkeypatch) -> None:
    real = Path.stat

    def theirs(path, **options):
        fields = list(real(path, **options))
        fields[stat.ST_UID] += path == tmp_path
        return os.stat_result(fields)

    monkeypatch.setattr(Path, "stat", theirs)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", refusing(errno.EPERM))
    async with listening(tmp_path, Works().commands):
        assert await asked(tmp_path) == {"heard": {}}
