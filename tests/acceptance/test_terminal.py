"""The command line on a real terminal: what fits, what is coloured, what is asked, how it is interrupted."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from threading import Event

import pytest
from support.command import COMMAND, Bridge, http_sink
from support.done import done
from support.patience import patience
from support.receiver import Answer, Got, WebServer
from support.terminal import Terminal
from support.values import commit, model, transition

from bridge.cli.terminal_output import columns_of
from bridge.store.document_state import DocumentState
from bridge.store.tinydb_store import TinyDocuments

pytestmark = pytest.mark.filterwarnings("ignore")

HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egnp"
WIDE = "予測モデル-" * 12
SEQUENCES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def bridge(tmp_path) -> Bridge:
    """A state with one dead and one waiting entry of models with awkward names."""
    found = Bridge(tmp_path, "http://registry", http_sink("http://127.0.0.1:1"))
    state = DocumentState(TinyDocuments.open(tmp_path / "state"))
    names = (HOSTILE, WIDE)
    events = [transition(number, name) for number, name in enumerate(names, start=1)]
    done(state.commit_poll(commit(*events, models=[model(name) for name in names])))
    state.close()
    return found


def on_terminal(bridge: Bridge, *arguments: str, columns: int = 60, **environment: str) -> str:
    command = [*COMMAND, *arguments, "--config", str(bridge.config)]
    terminal = Terminal(command, bridge.folder, columns, environment)
    assert terminal.finish() == 0, terminal.text
    return terminal.text


@pytest.mark.parametrize(
    ("command", "columns"), [("outbox list", 40), ("events list", 60), ("sinks list", 80)]
)
def test_tables_fit_the_terminal_whatever_is_in_them(bridge, command, columns) -> None:
    text = on_terminal(bridge, *command.split(), columns=columns)

    lines = SEQUENCES.sub("", text).splitlines()
    assert len(lines) > 1
    assert max(map(columns_of, lines)) <= columns
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", SEQUENCES.sub("", text))


def test_into_a_pipe_everything_is_printed_in_full(bridge) -> None:
    done = bridge.run("outbox", "list")

    assert WIDE in done.stdout
    assert "\x1b" not in done.stdout


def test_colours_are_for_terminals_and_honour_no_color(bridge) -> None:
    coloured = on_terminal(bridge, "outbox", "list", columns=200)
    plain = on_terminal(bridge, "outbox", "list", columns=200, NO_COLOR="1")
    dumb = on_terminal(bridge, "outbox", "list", columns=200, TERM="dumb")
    bridge.environment["FORCE_COLOR"] = "1"
    piped = bridge.run("outbox", "list").stdout

    assert [bool(SEQUENCES.search(text)) for text in (coloured, plain, dumb, piped)] == [
        True,
        False,
        False,
        True,
    ]
    assert SEQUENCES.sub("", coloured) == plain


def test_log_lines_are_neutralised_and_coloured_likewise(bridge) -> None:
    program = (
        "import structlog\nfrom bridge.cli.log_setup import configure\nconfigure('info', 'console')\n"
        f"structlog.get_logger().info('event.observed', model={HOSTILE!r})\n"
    )
    found = {}
    for key, environment in {"plain": {"NO_COLOR": "1"}, "coloured": {}}.items():
        terminal = Terminal([sys.executable, "-c", program], bridge.folder, 200, environment)
        assert terminal.finish() == 0
        found[key] = terminal.text

    assert "\x1b" not in found["plain"]
    assert SEQUENCES.search(found["coloured"])
    assert not {"\x07", "\u202e", "\x1b[2J"} & set(re.findall(r"\x1b\[2J|.", found["coloured"]))


def slow(target: str, seconds: float) -> WebServer:
    """Return a server that passes requests on to ``target``, but takes its time over lists of versions."""

    def answer(got: Got) -> Answer:
        if "model-versions/search" in got.path:
            time.sleep(seconds)
        try:
            with urllib.request.urlopen(target + got.path, timeout=patience()) as found:
                return Answer(found.status, {"Content-Type": "application/json"}, found.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, {"Content-Type": "application/json"}, error.read())

    return WebServer(answer)


def test_a_long_scan_tells_how_far_it_has_come_and_leaves_nothing_behind(tmp_path, server, model) -> None:
    registry = slow(server.url, 0.6)
    bridge = Bridge(tmp_path, registry.url)
    try:
        told = on_terminal(bridge, "once", "--full", columns=70)
    finally:
        registry.stop()

    assert re.search(r"\r\x1b\[Kreading the registry: [\d,]+ models?, [\d,]+ versions?", told)
    assert told.endswith("\r\x1b[K")


def test_init_asks_for_what_it_is_not_told_and_tries_the_connection(tmp_path, server) -> None:
    terminal = Terminal([*COMMAND, "init"], tmp_path, environment={"MLFLOW_TRACKING_URI": server.url})
    terminal.wait_for(f"URL of the MLflow server [{server.url}]: ")
    terminal.type("\n")
    terminal.wait_for("Type of the first sink")
    terminal.type("http\n")
    terminal.wait_for("URL of the receiver: ")
    terminal.type("ci.example.com\n")
    terminal.wait_for("Error: --url: must be an http:// or https:// URL")
    terminal.type("https://ci.example.com/hook\n")
    terminal.wait_for("Environment variable with the secret")
    terminal.type("\n")

    assert terminal.finish() == 0, terminal.text
    assert f"{server.url}: answers, " in terminal.text
    bridge = Bridge(tmp_path / "elsewhere", server.url)
    bridge.config = tmp_path / "config.toml"
    bridge.environment["CI_WEBHOOK_SECRET"] = "s"
    checked = bridge.run("check", "--connect", "--output", "json")
    assert (checked.returncode, json.loads(checked.stdout)["sinks"]) == (0, ["ci"])


def test_init_without_anybody_to_ask_waits_for_nobody(tmp_path) -> None:
    done = subprocess.run(
        [*COMMAND, "init"],
        cwd=tmp_path,
        input="",
        capture_output=True,
        text=True,
        timeout=patience(),
        check=False,
    )

    assert (done.returncode, "--url: there is nobody to ask" in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_question_leaves_nothing_behind(tmp_path) -> None:
    terminal = Terminal([*COMMAND, "init"], tmp_path)
    terminal.wait_for("URL of the MLflow server")

    assert terminal.interrupt("interrupted") == 1
    assert terminal.text.rstrip().endswith("mlflow-bridge: interrupted")
    assert "Traceback" not in terminal.text
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_scan_is_told_in_a_word(tmp_path) -> None:
    asked, over = Event(), Event()

    def hang(_got: Got) -> Answer:
        asked.set()
        over.wait(patience())
        return Answer(500)

    registry = WebServer(hang)
    bridge = Bridge(tmp_path, registry.url)
    terminal = Terminal([*COMMAND, "-vv", "diff", "--config", str(bridge.config)], tmp_path)
    try:
        assert asked.wait(patience())
        terminal.type("\x03")
        assert terminal.finish() == 1
    finally:
        over.set()
        terminal.close()
        registry.stop()

    assert terminal.text.rstrip().endswith("mlflow-bridge: interrupted")
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("command", ["outbox list", "events list --output json", "--help"])
def test_whoever_stops_reading_hears_no_complaint(bridge, command) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*COMMAND, *command.split(), *([] if command == "--help" else ["--config", str(bridge.config)])],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=patience(),
            check=False,
        )
    finally:
        os.close(writer)

    assert done.stderr == ""


def test_an_encoding_that_lacks_a_character_costs_that_character_alone(bridge) -> None:
    bridge.environment |= {"PYTHONIOENCODING": "latin-1"}

    done = bridge.run("events", "list")

    assert (done.returncode, done.stderr) == (0, "")
    assert "Staging ? Production" in done.stdout
