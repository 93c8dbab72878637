"""systemd's notify protocol, against a real socket."""

import os
import socket

import pytest
from support.patience import patience

from bridge.daemon.systemd_notify import notify, notify_ready, notify_status, watchdog_interval


@pytest.mark.parametrize("abstract", [False, True])
def test_a_state_reaches_the_service_manager(tmp_path, monkeypatch, abstract) -> None:
    path = f"@mlflow-bridge-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + path[1:] if abstract else path)
        manager.settimeout(patience())
        monkeypatch.setenv("NOTIFY_SOCKET", path)

        assert notify("READY=1")
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("well", "STATUS=well"),
        ("two\nlines\r\n\x1b[31mand \udc80 more", "STATUS=two lines [31mand more"),
        ("x" * 10_000, "STATUS=" + "x" * 500),
    ],
)
def test_a_status_is_one_line_whatever_it_holds(tmp_path, monkeypatch, text, said) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(patience())
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify_status(text)
        notify_ready(text)

        assert manager.recv(2_000).decode() == said
        assert manager.recv(2_000).decode() == f"READY=1\n{said}"


@pytest.mark.parametrize("address", ["", "relative", "/no/such/socket"])
def test_without_a_manager_nothing_happens(monkeypatch, address) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    assert not notify("READY=1")


@pytest.mark.parametrize(
    ("microseconds", "pid", "expected"),
    [
        ("30000000", None, 15.0),
        ("30000000", "1", None),
        ("", None, None),
        ("x", None, None),
        ("0", None, None),
    ],
)
def test_the_watchdog_is_fed_twice_an_interval_if_it_is_ours(
    monkeypatch, microseconds, pid, expected
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid:
        monkeypatch.setenv("WATCHDOG_PID", pid)

    assert watchdog_interval() == expected
