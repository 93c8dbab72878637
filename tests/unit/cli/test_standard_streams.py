"""Standard streams as cron, service managers and shells leave them: closed, full, cut off, slow."""

import fcntl
import io
import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

import pytest
from support.patience import patience

from bridge.cli.standard_streams import Messages, Results
from bridge.errors import BridgeError
from bridge.store.tinydb_store import TinyDocuments

CLOSED = ("2>&-", ">&-", "<&-", "<&- >&-", ">&- 2>&-", "<&- 2>&-", "<&- >&- 2>&-")
"""What a shell closes."""

_PIPE = 4096


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "config.toml"
    path.write_text('[registry]\ntracking_uri = "http://127.0.0.1:1"\n[state]\nurl = "tinydb:./state"\n')
    return path


@cache
def usual(config: Path, *arguments: str) -> subprocess.CompletedProcess:
    return run(config, "", *arguments)


def run(config: Path, redirections: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = f'exec "$0" -m bridge "$@" {redirections}'
    return subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(),
        cwd=config.parent,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize(
    ("code", "arguments"),
    [(0, ("check",)), (0, ("status",)), (2, ("nope",)), (78, ("check", "-c", "nowhere"))],
)
def test_a_closed_stream_changes_no_exit_code_and_no_other_stream(config, closed, code, arguments) -> None:
    open_ones, done = usual(config, *arguments), run(config, closed, *arguments)

    assert (open_ones.returncode, done.returncode) == (code, code)
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else open_ones.stdout)
    assert done.stderr == ("" if "2>&-" in closed else open_ones.stderr)


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_run_that_fails_says_so_by_its_code_and_prints_into_no_file(config, closed) -> None:
    assert run(config, closed, "-vv", "once").returncode == 69

    journal = config.parent / "state" / "journal"
    assert b"mlflow-bridge:" not in journal.read_bytes()
    documents = TinyDocuments.read(journal.parent)
    assert not documents.torn
    documents.close()


def test_results_that_cannot_be_written_are_told(config) -> None:
    done = run(config, ">/dev/full", "status")

    assert (done.returncode, done.stderr) == (
        1,
        "mlflow-bridge: stdout cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize("arguments", [("check", "-c", "nowhere"), ("nope",)])
def test_messages_that_cannot_be_written_are_lost_and_nothing_else(config, arguments) -> None:
    expected = usual(config, *arguments).returncode
    read, write = os.pipe()
    os.close(read)
    cut_off = subprocess.run(
        [sys.executable, "-m", "bridge", *arguments], stderr=write, check=False, cwd=config.parent
    )
    os.close(write)

    assert run(config, "2>/dev/full", *arguments).returncode == expected
    assert cut_off.returncode == expected


def test_a_reader_that_has_gone_ends_a_command_in_silence(config) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "status"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        cwd=config.parent,
    )
    os.close(write)

    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONUNBUFFERED": "1"},
    ],
)
def test_what_an_encoding_lacks_is_replaced(config, environment) -> None:
    odd = config.with_name("odd.toml")
    odd.write_text(
        f'{config.read_text()}[[sinks]]\nname = "s"\ntype = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"\n'
    )
    done = run(config, "", "check", "-c", "odd.toml", **environment)

    assert done.returncode == 78
    assert "caf" in done.stderr
    assert "unexpected" not in done.stderr


def pipe_that_does_not_wait() -> tuple[int, int]:
    """Return the ends of a pipe that is full after a page, and says so (EAGAIN)."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE)
    os.set_blocking(write, False)
    return read, write


@pytest.mark.parametrize("kind", [Results, Messages])
def test_a_slow_reader_gets_all_of_it(kind) -> None:
    read, write = pipe_that_does_not_wait()
    got = io.BytesIO()

    def reads() -> None:
        while chunk := os.read(read, 1000):
            got.write(chunk)

    reader = threading.Thread(target=reads)
    reader.start()
    assert kind(write).write(b"x" * 100_000) == 100_000
    os.close(write)
    reader.join()
    os.close(read)

    assert got.getvalue() == b"x" * 100_000


def test_messages_do_not_wait_twice_for_a_reader_that_is_stuck_and_go_on_when_it_reads() -> None:
    read, write = pipe_that_does_not_wait()
    messages = Messages(write)
    assert messages.write(b"x" * 2 * _PIPE) == 2 * _PIPE
    assert messages.patience_ms == 0
    messages.write(b"lost")
    os.read(read, _PIPE)
    messages.write(b"there")

    assert os.read(read, _PIPE) == b"there"
    assert messages.patience_ms > 0
    for descriptor in (read, write):
        os.close(descriptor)


def test_a_stream_is_what_its_file_is() -> None:
    with Path(os.devnull).open("wb") as stream:
        results = Results(stream.fileno())

        assert (results.writable(), results.isatty(), results.fileno()) == (True, False, stream.fileno())


def test_results_are_cut_off_as_by_any_pipe_and_refused_in_a_sentence() -> None:
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError):
        Results(write).write(b"x")
    os.close(write)

    with (
        Path(os.devnull).open("rb") as stream,
        pytest.raises(BridgeError, match="stdout cannot be written: Bad"),
    ):
        Results(stream.fileno()).write(b"x")
