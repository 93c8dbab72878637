"""Twenty ways to get it wrong, each told in a sentence that says how to get it right."""

import sys

import pytest
from support.command import http_sink

from bridge.cli import main

WRONG = {
    "a command misspelt": (["statsu"], 2, "Did you mean 'status'?"),
    "another's command": (["deploy-everything"], 2, "There are: run, once, status, diff, events"),
    "help as a command": (["help"], 2, "write mlflow-bridge --help, or mlflow-bridge COMMAND --help"),
    "in capitals": (["STATUS"], 2, "Did you mean 'status'?"),
    "a subcommand misspelt": (["outbox", "lst"], 2, "Did you mean 'list'?"),
    "another's subcommand": (["sinks", "frobnicate"], 2, "There are: list, test, pause, resume."),
    "an option misspelt": (["status", "--ouput", "json"], 2, "Did you mean '--output'?"),
    "a global option misspelt": (["--verison"], 2, "'--version'"),
    "a value misspelt": (["status", "--output", "yaml"], 2, "is not one of 'table', 'json'"),
    "an event misspelt": (
        ["events", "list", "--type", "model_version_transitioned_stag"],
        2,
        "did you mean 'MODEL_VERSION_TRANSITIONED_STAGE'?",
    ),
    "a sink misspelt": (["sinks", "test", "cii"], 1, "no sink is called 'cii' (did you mean 'ci'?)"),
    "a sink misspelt in an option": (["replay", "--all", "--sink", "xx"], 1, "(there are: ci)"),
    "redriven to nobody": (["outbox", "redrive", "--sink", "cii"], 1, "did you mean 'ci'?"),
    "no number": (["outbox", "show", "first"], 2, "'first' is no entry's number: mlflow-bridge outbox list"),
    "no entry": (["outbox", "show", "99"], 1, "there is no entry 99: mlflow-bridge outbox list shows them"),
    "nothing named": (["outbox", "redrive"], 2, "which? Give numbers"),
    "no time": (["events", "list", "--since", "yesterday"], 2, "write 2026-11-01T12:00"),
    "no duration": (["once", "--deadline", "60"], 2, 'such as "30s"'),
    "too much": (["status", "now"], 2, "unexpected extra argument (now)"),
    "too little": (["sinks", "test"], 2, "Missing argument 'NAME'"),
}
CONFIGURATIONS = {
    "none": ("nowhere.toml", "nowhere.toml: there is no such file"),
    "a folder": ("folder", "folder: cannot be read: Is a directory"),
    "binary": ("binary.toml", "binary.toml: is not UTF-8 text (byte 0)"),
    "no TOML": ("no.toml", "no.toml: is not valid TOML"),
    "through a file": ("no.toml/x.toml", "cannot be read: Not a directory"),
}


def run(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["mlflow-bridge", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code), capsys.readouterr().err


@pytest.fixture
def here(bridge, monkeypatch):
    bridge.configure(http_sink("https://h"))
    monkeypatch.chdir(bridge.folder)
    return bridge.folder


@pytest.mark.parametrize(("arguments", "code", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_what_was_probably_meant(
    here, monkeypatch, capsys, arguments, code, message
) -> None:
    found, error = run(monkeypatch, capsys, *arguments)

    assert (found, message in error) == (code, True), error
    assert "Traceback" not in error


@pytest.mark.parametrize(("name", "message"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_configuration_that_cannot_be_read_is_one_sentence(
    here, monkeypatch, capsys, name, message
) -> None:
    (here / "folder").mkdir()
    (here / "binary.toml").write_bytes(b"\xff\xfe")
    (here / "no.toml").write_text("[registry")

    code, error = run(monkeypatch, capsys, "status", "--config", name)

    assert (code, message in error, error.count("\n")) == (78, True, 1), error


def test_no_configuration_at_all_names_the_command_that_writes_one(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_BRIDGE_CONFIG", raising=False)
    monkeypatch.setattr(sys.modules["bridge.config.file_loading"], "SEARCHED", ("config.toml",))

    code, error = run(monkeypatch, capsys, "status")

    assert (code, "mlflow-bridge init writes one" in error) == (78, True)


def test_an_empty_name_is_not_taken_for_none(here, monkeypatch, capsys) -> None:
    code, error = run(monkeypatch, capsys, "status", "--config", "")

    assert (code, "it names no file: it is empty" in error) == (2, True)


def test_options_stand_before_the_command_or_after_it(here, monkeypatch, capsys) -> None:
    (here / "config.toml").rename(here / "mine.toml")

    before = run(monkeypatch, capsys, "-c", "mine.toml", "-v", "status")
    after = run(monkeypatch, capsys, "status", "-c", "mine.toml", "-v", "-q")
    both = run(monkeypatch, capsys, "-c", "nowhere.toml", "status", "-c", "mine.toml")

    assert [code for code, _ in (before, after, both)] == [0, 0, 0]


def test_what_a_server_says_cannot_steer_the_terminal(monkeypatch, capsys) -> None:
    from bridge.cli.command_group import cli
    from bridge.errors import RegistryRefused

    def refuse(*args, **kwargs):
        raise RegistryRefused("it says \x1b[2J\x1b]0;owned\x07")

    monkeypatch.setattr(cli, "main", refuse)

    code, error = run(monkeypatch, capsys, "status")

    assert (code, "\x1b" in error, "\x07" in error) == (69, False, False)
