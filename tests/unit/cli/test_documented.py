"""What docs/command-line.md promises to programs."""

import json
import re
from pathlib import Path

import pytest
from support.command import http_sink
from support.values import commit, model, request, transition

from bridge.delivery.webhook import Webhook

PAGE = (Path(__file__).parents[3] / "docs" / "command-line.md").read_text()
KEYS = {
    command: re.findall(r"`(\w+)`", keys)
    for command, keys in re.findall(r"^\| `([^`]+)` \| (`.*`) \|$", PAGE, re.MULTILINE)
}
WEBHOOK = "0123456789abcdef0123456789abcdef"
REQUEST = "tr_0123456789abcdef0123456789abcdef"
ARGUMENTS = {
    "events list --at": ["events", "list", "--at", "1970-01-01T00:00:02.500Z"],
    "webhooks show": ["webhooks", "show", WEBHOOK],
    "webhooks create": ["webhooks", "create", "https://h/x"],
    "webhooks update": ["webhooks", "update", WEBHOOK, "--status", "DISABLED"],
    "webhooks delete": ["webhooks", "delete", WEBHOOK, "--yes"],
    "webhooks test": ["webhooks", "test", WEBHOOK, "--dry-run"],
    "requests show": ["requests", "show", REQUEST],
    "requests create": ["requests", "create", "m", "1", "Production"],
    "requests approve": ["requests", "approve", REQUEST],
    "requests reject": ["requests", "reject", REQUEST],
    "requests cancel": ["requests", "cancel", REQUEST],
    "gates check": ["gates", "check", "m", "1", "Production"],
    "sinks test": ["sinks", "test", "ci", "--dry-run"],
    "outbox redrive": ["outbox", "redrive", "--all"],
    "outbox drop": ["outbox", "drop", "--all", "--yes"],
    "replay": ["replay", "--all", "--yes"],
}


@pytest.fixture
def observed(bridge, monkeypatch):
    """A state with an event and its entry."""
    monkeypatch.setenv("CI_SECRET", "s")
    bridge.configure("[webhooks]", http_sink("https://h"))
    bridge.keep(Webhook(WEBHOOK, ("MODEL_VERSION_CREATED",), "https://h/x"))
    bridge.commit(commit(transition(1), models=[model()]))
    bridge.ask(request(REQUEST))
    return bridge


@pytest.mark.parametrize("command", [command for command in KEYS if command != "diff"])
def test_every_command_prints_the_keys_that_the_page_names(observed, command) -> None:
    done = observed.run(*ARGUMENTS.get(command, command.split()), "--output", "json")

    assert list(json.loads(done.out)) == KEYS[command], done.err
    assert done.out.isascii()


def test_one_event_and_one_entry_have_the_keys_that_the_page_names(observed) -> None:
    event = json.loads(observed.run("events", "show", "event-1", "--output", "json").out)
    entry = json.loads(observed.run("outbox", "show", "1", "--output", "json").out)

    assert (event["id"], len(event["deliveries"])) == ("event-1", 1)
    assert (entry["id"], entry["event"]["id"], entry["attempts_on_record"]) == (1, "event-1", [])


def test_every_command_that_takes_output_json_is_on_the_page() -> None:
    import click

    from bridge.cli.command_group import cli

    def walk(command, path=()):
        takes = any(getattr(param.type, "choices", ()) == ("table", "json") for param in command.params)
        if takes and not isinstance(command, click.Group):
            yield " ".join(path)
        for name in command.list_commands(None) if isinstance(command, click.Group) else ():
            yield from walk(command.get_command(None, name), (*path, name))

    assert set(walk(cli)) == (KEYS.keys() - {"events list --at"}) | {"events show", "outbox show"}
