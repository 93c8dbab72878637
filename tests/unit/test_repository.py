"""What code hosts and editors read: it parses, and names what is there."""

import configparser
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOW = yaml.safe_load((GITHUB / "workflows/tests.yml").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
FORMS = ["bug", "feature"]
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def called(target: str) -> set[str]:
    """Return the programs of .venv that a target calls."""
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1]
    return set(re.findall(r"^\t\$\(BIN\)/(\S+)", recipe, re.MULTILINE))


def test_the_workflow_calls_targets_of_the_makefile_for_pushes_and_pull_requests() -> None:
    commands = [shlex.split(step["run"]) for step in STEPS if "run" in step]
    made = [word for command in commands if command[0] == "make" for word in command[1:]]

    assert made == ["test", "test-extra"]
    assert {*made} <= TARGETS
    assert set(WORKFLOW[True]) == {"push", "pull_request"}  # YAML 1.1 reads `on` as a boolean


def test_the_workflow_may_read_only_and_its_actions_are_pinned() -> None:
    actions = [step["uses"] for step in STEPS if "uses" in step]

    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in WORKFLOW["jobs"].values())
    assert actions
    assert [one for one in actions if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", one)] == []


def test_the_workflow_tries_the_oldest_and_the_newest_python_that_is_supported() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    oldest, newest = min(named, key=minor), max(named, key=minor)

    assert PROJECT["project"]["requires-python"] == f">={oldest}"
    for job in WORKFLOW["jobs"].values():
        assert job["strategy"]["matrix"]["python"] == [oldest, newest]


def minor(version: str) -> int:
    return int(version.partition(".")[2])


def test_commits_are_checked_by_the_programs_of_make_check_without_a_download() -> None:
    hooks = [hook for repository in HOOKS for hook in repository["hooks"]]
    programs = [shlex.split(hook["entry"])[0] for hook in hooks]

    assert [repository["repo"] for repository in HOOKS] == ["local"]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {Path(program).name for program in programs} == called("check")
    assert [program for program in programs if not (ROOT / program).is_file()] == []


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_issues_are_complete(name) -> None:
    form = yaml.safe_load((GITHUB / f"ISSUE_TEMPLATE/{name}.yml").read_text())
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]

    assert all(form[key] for key in ("name", "description", "labels"))
    assert len(set(ids)) == len(ids) == len({field["attributes"]["label"] for field in fields})
    assert {field["type"] for field in fields} <= {"textarea", "input", "dropdown", "checkboxes"}
    assert all(
        "options" in field["attributes"] for field in fields if field["type"] in ("dropdown", "checkboxes")
    )


def test_there_are_no_other_forms() -> None:
    names = sorted(path.stem for path in (GITHUB / "ISSUE_TEMPLATE").iterdir())

    assert names == sorted([*FORMS, "config"])
    assert yaml.safe_load((GITHUB / "ISSUE_TEMPLATE/config.yml").read_text()) == {
        "blank_issues_enabled": False
    }


def test_targets_and_pages_that_the_forms_name_are_there() -> None:
    texts = "\n".join(path.read_text() for path in [*GITHUB.rglob("*.yml"), *GITHUB.rglob("*.md")])
    pages = set(re.findall(r"[\w/-]+\.md\b", texts))

    assert set(re.findall(r"`make ([a-z-]+)", texts)) <= TARGETS
    assert {"CONTRIBUTING.md", "SECURITY.md", "docs/writing-a-sink.md"} <= pages
    assert [page for page in pages if not (ROOT / page).exists()] == []


def test_editors_keep_to_what_the_formatter_does() -> None:
    editors = configparser.ConfigParser()
    editors.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())

    assert editors["top"]["root"] == "true"
    assert editors["*.py"].getint("max_line_length") == PROJECT["tool"]["ruff"]["line-length"]
    assert (editors["*"]["indent_size"], editors["Makefile"]["indent_style"]) == ("4", "tab")


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_files_and_targets_that_contributors_are_shown_are_there() -> None:
    paths = re.findall(r"`((?:bridge|deploy|docs|tests)/[\w./-]+|\.[\w./-]+\.ya?ml)`", CONTRIBUTING)
    targets = set(re.findall(r"`make ([a-z-]+)`", CONTRIBUTING))

    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert {"dev", "test", "test-extra", "check"} <= targets <= TARGETS


def test_the_names_that_contributors_are_sent_to_are_in_these_files() -> None:
    sent = re.findall(r"`(\w+)`(?: of | in |\s\()\[?`?((?:bridge|tests)/[\w/]+\.py)", CONTRIBUTING)

    assert len(sent) >= 10
    assert [(name, path) for name, path in sent if name not in (ROOT / path).read_text()] == []


def test_the_help_of_make_lists_what_contributors_need() -> None:
    listed = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)

    assert {"dev", "demo", "test", "test-extra", "check"} <= set(listed)
