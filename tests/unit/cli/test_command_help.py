"""Help that teaches: what every command says of itself holds."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from bridge.cli.command_group import SECTIONS, cli
from bridge.cli.exit_codes import GIVEN, MEANINGS, ExitCode

_CONTRACT = {0, 1, 2, 65, 69, 73, 74, 75, 78}


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from walk(command.get_command(context, name), (*path, name))


COMMANDS = dict(walk(cli))


def shown(path: str, width: int = 80) -> str:
    runner = CliRunner(env={"COLUMNS": str(width)})
    done = runner.invoke(
        cli,
        [*path.split(), "--help"],
        prog_name="mlflow-bridge",
        terminal_width=width,
        max_content_width=width,
    )
    assert done.exit_code == 0, done.output
    return done.output


def examples(path: str) -> list[str]:
    found = re.search(r"Examples.*:\n((?: {4}.*\n)+)", shown(path, 200))
    assert found, f"{path} has no examples"
    return [line.strip() for line in found[1].replace("\\\n", "").splitlines()]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_says_what_it_does_in_a_line_and_a_paragraph(path) -> None:
    summary, _, rest = COMMANDS[path].help.partition("\n\n")

    assert re.fullmatch(r"[A-Z].*[.]", " ".join(summary.split()))
    assert len(summary) <= 110
    assert len(rest.partition("\b")[0].split()) >= 10


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_examples_and_each_can_be_typed(path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = click.Command.invoke
    monkeypatch.setattr(
        click.Command, "invoke", lambda self, ctx: run(self, ctx) if isinstance(self, click.Group) else 0
    )

    found = examples(path)

    assert 2 <= len(found) <= 4
    for line in found:
        for part in re.findall(
            r"(?:^|[ (])mlflow-bridge((?: +(?![|>&#)])[^ )]+)*)", line.replace("COMMAND", "status")
        ):
            typed = [word for word in shlex.split(part) if word != "--help"]
            assert cli.main(typed, prog_name="mlflow-bridge", standalone_mode=False) == 0


def test_the_exit_codes_that_are_told_are_those_of_the_table() -> None:
    assert set(GIVEN) == set(COMMANDS)
    assert {int(code) for code in ExitCode} == {int(code) for code in MEANINGS} == _CONTRACT
    for path in COMMANDS:
        section = shown(path, 200).partition("Exit codes:\n")[2]
        told = {int(number): text for number, text in re.findall(r"^ +(\d+) +(.*)$", section, re.MULTILINE)}
        assert told == {int(code): MEANINGS[code] for code in GIVEN[path]}, path


def test_a_group_gives_every_code_that_one_of_its_commands_gives() -> None:
    for path, command in COMMANDS.items():
        if isinstance(command, click.Group):
            within = {code for other, codes in GIVEN.items() if other.startswith(path) for code in codes}
            assert within == set(GIVEN[path]), path


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("path", COMMANDS)
def test_help_is_wrapped_to_the_terminal(path, width) -> None:
    copyable = {line.strip() for line in COMMANDS[path].help.partition("\b")[2].splitlines()}
    unbreakable = re.compile(r"\S{25,}|\[[\w|]+\]")

    long = [
        line
        for line in shown(path, width).splitlines()
        if len(line) > width and line.strip() not in copyable and not unbreakable.search(line)
    ]
    assert long == []


def test_the_commands_are_grouped_by_what_they_are_for_in_their_own_words() -> None:
    text = shown("", 120)

    assert re.findall(r"^(\w[\w ]+):$", text, re.MULTILINE) == [
        "Options",
        "Run it",
        "Look",
        "Act",
        "Set up",
        "Exit codes",
    ]
    for section in SECTIONS.values():
        for name, summary in section.items():
            assert COMMANDS[name].get_short_help_str(200) == summary


def test_alone_it_shows_its_help_as_wrong_usage(bridge) -> None:
    done = CliRunner().invoke(cli, [], prog_name="mlflow-bridge")

    assert (done.exit_code, "Run it:" in done.output) == (2, True)
