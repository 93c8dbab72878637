"""What pages refer to is there, and what operators meet is in the pages."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bridge.cli.command_group import cli
from bridge.cli.exit_codes import ExitCode
from bridge.cli.option_types import NOTE_KINDS
from bridge.delivery.attempt_outcome import Reason
from bridge.delivery.sink_state import WORDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
DECISIONS = [page for page in sorted((DOCS / "decisions").glob("*.md")) if page.name != "index.md"]
OPERATIONS = (DOCS / "operations.md").read_text()

_FENCE = re.compile(r"^(```+|~~~+).*?^\1$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?![a-z]+:)([^)\s#]*)(?:#([^)\s]+))?\)")
_LIST = re.compile(r"^(?!(?: *[-*\d]|\s|$|\||#|<!--))[^\n]+\n(?:[-*]|\d+\.) ", re.MULTILINE)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    shown = [re.sub(r"\[([^\]]+)\]\([^)]*\)|`", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in shown}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_of_a_page_leads_to_a_file_and_to_a_heading_in_it(page) -> None:
    broken = []
    for target, anchor in _LINK.findall(prose(page)):
        found = page.parent / target if target else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(f"{target}#{anchor}")

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_lists_stand_apart_from_the_text_before_them(page) -> None:
    """Code hosts forgive it; the site would show one paragraph."""
    assert _LIST.findall(prose(page)) == []


def calls(page: Path) -> Iterator[str]:
    """Yield what pages say to call: in spans of code, and at the beginning of lines in blocks of it."""
    text = page.read_text()
    blocks = "\n".join(found[0] for found in _FENCE.finditer(text))
    yield from re.findall(r"`mlflow-bridge ([^`\n]+)`", _FENCE.sub("", text))
    yield from re.findall(r"^(?:\$ )?mlflow-bridge ([^\n#]+)", blocks, re.MULTILINE)


def options_of(command: click.Command) -> dict[str, bool]:
    """Return the options of a command, and whether each takes a value."""
    options = [one for one in command.params if isinstance(one, click.Option)]
    return {name: not (one.is_flag or one.count) for one in options for name in one.opts}


def fault_of(call: str) -> str:
    """Return what is no command, or no option of it, in a call; nothing where all is well."""
    command: click.Command = cli
    known = {"--help": False, **options_of(cli)}
    words = iter(re.split(r"\s(?:\|\|?|&&|;|>)\s", call)[0].split())  # what comes after it is the shell's
    for word in words:
        name, equals, _ = word.partition("=")
        if word.startswith("-") and name not in known:
            return f"{call}: {word}"
        if word.startswith("-"):
            _ = known[name] and not equals and next(words, "")
        elif isinstance(command, click.Group) and re.fullmatch("[a-z]+", word):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return f"{call}: {word}"
            command, known = found, {**known, **options_of(found)}
    return ""


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "cli.md"], ids=named)
def test_every_command_that_a_page_names_is_one_with_these_options(page) -> None:
    faults = [fault_of(call) for call in calls(page)]

    assert list(filter(None, faults)) == []


def test_a_call_of_something_else_is_found() -> None:
    assert fault_of("outbox show 17 --output json") == ""
    assert fault_of("outbox shwo 17")
    assert fault_of("once --fully")


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=named)
def test_every_module_that_a_page_names_is_there(page) -> None:
    modules = re.findall(r"`((?:[a-z_]+/)+[a-z0-9_]+\.py)(?:::\w+)?`", prose(page))
    places = (ROOT, ROOT / "bridge", ROOT / "deploy" / "examples")

    assert [name for name in modules if not any((place / name).exists() for place in places)] == []


@pytest.mark.parametrize("page", DECISIONS, ids=named)
def test_a_decision_has_its_four_parts_and_is_listed(page) -> None:
    parts = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)

    assert parts[:4] == ["Question", "Choice", "Reason", "Not chosen"]
    assert f"]({page.name})" in (DOCS / "decisions" / "index.md").read_text()
    assert f"- decisions/{page.name}\n" in (ROOT / "mkdocs.yml").read_text()


def test_everything_in_the_navigation_of_the_site_is_there() -> None:
    places = {"index.md": "README.md", "changelog.md": "CHANGELOG.md"}
    places |= {"contributing.md": "CONTRIBUTING.md", "security.md": "SECURITY.md"}
    listed = re.findall(r"^ +- .*?: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    missing = [
        name for name in listed if not (ROOT / places[name] if name in places else DOCS / name).exists()
    ]

    assert len(listed) > 20
    assert missing == []


def in_a_table(word: str) -> bool:
    return re.search(rf"^\|.*(?<![\w.]){re.escape(word)}(?![\w.]\w)", OPERATIONS, re.MULTILINE) is not None


@pytest.mark.parametrize("reason", Reason)
def test_operations_say_what_to_do_about_every_reason(reason) -> None:
    assert re.search(rf"^\| `{reason.value}` \| \S", OPERATIONS, re.MULTILINE)


@pytest.mark.parametrize("code", ExitCode)
def test_operations_say_what_to_do_about_every_exit_code(code) -> None:
    assert re.search(rf"^\| {code.value} \| \S", OPERATIONS, re.MULTILINE)


@pytest.mark.parametrize("word", [word for word in WORDS if word != "running"])
def test_operations_say_what_to_do_about_every_condition_of_a_sink(word) -> None:
    assert in_a_table(f"*{word}*")


def log_events() -> Iterator[str]:
    """Yield the names of log events: whatever looks like one in a module that logs."""
    for path in sorted((ROOT / "bridge").rglob("*.py")):
        source = path.read_text()
        if "get_logger(" in source:
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield from re.findall(r"^[a-z]+\.[a-z]+(?:_[a-z]+)*$", node.value)


LOG_EVENTS = sorted(set(log_events()))


def test_the_log_events_are_found() -> None:
    assert {"poll.failed", "poll.held", "delivery.retry", "state.tail_cut", "poll.committed"} <= {*LOG_EVENTS}


@pytest.mark.parametrize("name", LOG_EVENTS)
def test_operations_say_what_to_do_about_every_log_event(name) -> None:
    assert in_a_table(f"`{name}`")


@pytest.mark.parametrize("kind", NOTE_KINDS)
def test_the_page_of_the_trail_tells_of_every_note(kind) -> None:
    assert re.search(rf"^\|.*`{kind}`", (DOCS / "trail.md").read_text(), re.MULTILINE)
