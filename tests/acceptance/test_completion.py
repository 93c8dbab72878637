"""Completion, by real shells that load the script as people do."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from support.command import COMMAND, Bridge, github_sink, http_sink
from support.done import done
from support.patience import patience
from support.terminal import Terminal
from support.values import commit, model, transition

from bridge.store.document_state import DocumentState
from bridge.store.tinydb_store import TinyDocuments

BASH = """
complete() {{ builtin complete "$@"; }}
compopt() {{ printf 'compopt'; printf ' %s' "$@"; echo; }}
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_mlflow_bridge_completion mlflow-bridge
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

SHELLS = {shell: shutil.which(shell) for shell in ("bash", "zsh", "fish")}
needs_bash = pytest.mark.skipif(SHELLS["bash"] is None, reason="needs bash")


@pytest.fixture
def bridge(tmp_path) -> Bridge:
    """A configuration with two sinks, and a program of the name that shells know."""
    program = tmp_path / "bin" / "mlflow-bridge"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    found = Bridge(tmp_path, "http://registry", http_sink("http://h"), github_sink("http://h"))
    found.environment["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    found.environment.pop("MLFLOW_BRIDGE_CONFIG", None)
    return found


def script(bridge: Bridge, shell: str) -> Path:
    done = subprocess.run(
        [*COMMAND, "completion", shell],
        capture_output=True,
        text=True,
        env=bridge.environment,
        check=True,
    )
    path = bridge.folder / f"completion.{shell}"
    path.write_text(done.stdout)
    return path


def offered(bridge: Bridge, *lines: str) -> list[list[str]]:
    """Return what bash offers at the end of each line, of which the last word is being typed."""
    path, found = script(bridge, "bash"), []
    for line in lines:
        words = " ".join(map(shlex.quote, line.split(" ")))
        done = subprocess.run(
            [SHELLS["bash"], "--norc", "-c", BASH.format(script=shlex.quote(str(path)), words=words)],
            capture_output=True,
            text=True,
            env=bridge.environment,
            cwd=bridge.folder,
            timeout=patience(),
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), line
        found.append([word for word in done.stdout.splitlines() if word])
    return found


@needs_bash
def test_bash_completes_commands_options_and_what_they_take(bridge) -> None:
    commands, subcommands, options, formats, events, files = offered(
        bridge,
        "mlflow-bridge s",
        "mlflow-bridge outbox ",
        "mlflow-bridge status --",
        "mlflow-bridge status --output ",
        "mlflow-bridge events list --type model_version_transitioned_to_p",
        "mlflow-bridge status --config ",
    )

    assert commands == ["status", "sinks", "state"]
    assert subcommands == ["list", "show", "redrive", "drop"]
    assert {"--config", "--output", "--help"} <= set(options)
    assert formats == ["table", "json"]
    assert events == ["MODEL_VERSION_TRANSITIONED_TO_PRODUCTION"]
    assert files == ["compopt -o default"]


@needs_bash
def test_bash_completes_names_of_sinks_from_whatever_configuration_is_named(bridge) -> None:
    elsewhere = bridge.folder / "elsewhere.toml"
    elsewhere.write_text('[[sinks]]\nname = "eu"\n[[sinks]]\nname = "us"\n')

    usual, begun, named, before, option = offered(
        bridge,
        "mlflow-bridge sinks test ",
        "mlflow-bridge sinks pause d",
        "mlflow-bridge sinks test -c elsewhere.toml ",
        "mlflow-bridge -c elsewhere.toml replay --sink ",
        "mlflow-bridge outbox list --sink c",
    )

    assert (usual, begun, option) == (["ci", "deploy"], ["deploy"], ["ci"])
    assert named == before == ["eu", "us"]


@needs_bash
def test_bash_completes_entries_that_wait_or_are_dead(bridge) -> None:
    state = DocumentState(TinyDocuments.open(bridge.folder / "state"))
    done(state.commit_poll(commit(transition(1), transition(2), models=[model()])))
    state.close()

    assert offered(bridge, "mlflow-bridge outbox show ") == [["2", "1"]]


@needs_bash
@pytest.mark.parametrize("content", [None, "[[sinks", "sinks = 3", "[[sinks]]\nname = 7\n[[sinks]]\n"])
def test_whatever_is_wrong_is_not_told_at_the_tab_key(bridge, content) -> None:
    if content is None:
        bridge.config.unlink()
    else:
        bridge.config.write_text(content)

    (found, entries) = offered(bridge, "mlflow-bridge sinks test ", "mlflow-bridge outbox show ")

    assert entries == []
    assert found in ([], ["7"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_script_calls_the_program_by_its_name(bridge, shell) -> None:
    text = script(bridge, shell).read_text()

    assert "mlflow-bridge" in text
    assert f"_MLFLOW_BRIDGE_COMPLETE={shell}_complete" in text


@pytest.mark.extra
def test_fish_completes_names_of_sinks(bridge) -> None:
    if SHELLS["fish"] is None:
        pytest.skip("needs fish: make test-extra installs it where it can")
    path = script(bridge, "fish")
    typed = "mlflow-bridge sinks test "
    done = subprocess.run(
        [
            SHELLS["fish"],
            "--no-config",
            "-c",
            f"source {shlex.quote(str(path))}; complete --do-complete '{typed}'",
        ],
        capture_output=True,
        text=True,
        env={**bridge.environment, "HOME": str(bridge.folder)},
        cwd=bridge.folder,
        timeout=patience(),
        check=True,
    )

    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["ci", "deploy"]


@pytest.mark.extra
def test_zsh_completes_names_of_sinks(bridge) -> None:
    if SHELLS["zsh"] is None:
        pytest.skip("needs zsh: make test-extra installs it where it can")
    path = script(bridge, "zsh")
    home = bridge.folder / "home"
    home.mkdir()
    (home / ".zshrc").write_text(f"PS1='ready> '\nautoload -Uz compinit && compinit -u\nsource {path}\n")
    terminal = Terminal(
        [SHELLS["zsh"], "-i"],
        bridge.folder,
        100,
        {**bridge.environment, "HOME": str(home), "ZDOTDIR": str(home)},
    )
    try:
        terminal.wait_for("ready> ")
        terminal.type("mlflow-bridge sinks test d\t")
        terminal.wait_for("deploy")
    finally:
        terminal.close()
