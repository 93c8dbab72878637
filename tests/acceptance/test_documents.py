"""What README, units and manifests say, tried."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

pytestmark = pytest.mark.filterwarnings("ignore")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_the_shell_snippet_computes_the_signature(tmp_path) -> None:
    from bridge.events.delivery_signatures import mlflow_signature

    (snippet,) = [block for block in blocks("sh") if "openssl" in block]
    (tmp_path / "body.json").write_bytes(b'{"a": 1}')
    done = subprocess.run(
        ["/bin/sh", "-c", snippet],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"DELIVERY_ID": "id", "TIMESTAMP": "17", "CI_WEBHOOK_SECRET": "s", "PATH": "/usr/bin:/bin"},
    )

    assert "v1," + done.stdout.strip() == mlflow_signature("s", "id", 17, b'{"a": 1}')


def test_every_file_that_a_page_links_to_exists() -> None:
    for page in (
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/architecture.md",
        "docs/registries.md",
        "docs/running/kubernetes.md",
        "docs/running/monitoring.md",
        "docs/running/systemd.md",
        "docs/running/cron.md",
        "docs/trail.md",
        "docs/command-line.md",
        "docs/writing-a-sink.md",
    ):
        text = (ROOT / page).read_text()
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_every_command_of_the_readme_exists() -> None:
    from bridge.cli.command_group import cli

    for command in re.findall(r"^mlflow-bridge (\w+)", README, re.MULTILINE):
        assert cli.get_command(None, command) is not None


def test_every_test_that_a_page_names_exists() -> None:
    named = set()
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        named |= set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text()))

    assert len(named) > 20
    missing = [
        (file, test)
        for file, test in sorted(named)
        if not (ROOT / file).exists() or (test and f"def {test}(" not in (ROOT / file).read_text())
    ]
    assert missing == []
