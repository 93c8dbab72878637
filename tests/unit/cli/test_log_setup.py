"""Logs: where they go, how they look, and what they never show."""

import json
import logging
import subprocess
import sys

import pytest
import structlog

from bridge.cli.log_setup import configure

SECRET = "ghp_{}".format("TOP" * 3)
"""Not in the source as it is: tracebacks quote the source."""


@pytest.fixture(autouse=True)
def restored():
    yield
    structlog.reset_defaults()
    logging.basicConfig(force=True)


def fail(secret: str) -> None:
    token = secret * 1
    raise ValueError(len(token))


def refuse(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_traceback_never_shows_what_variables_hold(capsys, style) -> None:
    configure("info", style)
    try:
        fail(SECRET)
    except ValueError:
        logging.getLogger("apscheduler").exception("job failed")
        structlog.get_logger().error("unexpected", exc_info=True)

    shown = capsys.readouterr().err
    assert shown.count("ValueError") >= 2
    assert SECRET not in shown


def test_what_an_exception_says_cannot_steer_the_terminal(capsys) -> None:
    configure("info", "console")
    try:
        refuse("\x1b[2J\x1b]0;owned\x07")
    except ValueError:
        logging.getLogger("apscheduler").exception("job \x1b[2J failed")
        structlog.get_logger().exception("unexpected", model="\x1b[31mred")

    shown = capsys.readouterr().err
    assert shown.count("ValueError: \N{REPLACEMENT CHARACTER}[2J") == 2
    assert not {"\x1b", "\x07"} & set(shown)


def test_json_is_one_object_a_line_with_a_constant_name(capsys) -> None:
    configure("info", "json")
    structlog.get_logger().info("poll.committed", events=2)
    structlog.get_logger().debug("too quiet")

    (line,) = capsys.readouterr().err.splitlines()
    document = json.loads(line)
    assert (document["event"], document["events"], document["level"]) == ("poll.committed", 2, "info")


def test_what_libraries_log_comes_out_the_same_way(capsys) -> None:
    configure("info", "json")
    logging.getLogger("apscheduler").warning("missed %s", "run")
    logging.getLogger("apscheduler").info("chatter")

    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "missed run"


def test_a_log_that_cannot_be_written_costs_lines_and_nothing_else() -> None:
    program = (
        "import logging, structlog\nfrom bridge.cli.log_setup import configure\nconfigure('info', 'json')\n"
        "for _ in range(3):\n    structlog.get_logger().error('x')\n    logging.error('y')\nprint('still here')"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec {sys.executable} -c "$0" 2>/dev/full', program],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "still here\n")
