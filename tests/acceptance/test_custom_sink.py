"""The package of docs/writing-a-sink.md: installed as users install it, tested, and delivering."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import Bridge, http_sink, only
from support.patience import patience

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "examples" / "custom-sink"
PAGE = (ROOT / "docs" / "writing-a-sink.md").read_text()

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A copy of the package, as its author has it."""
    return Path(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("author") / "custom-sink"))


@pytest.fixture(scope="module")
def environment(package, tmp_path_factory) -> dict[str, str]:
    """The environment in which the package is installed over that of these tests."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--target", target, package], check=True)
    return layered(target)


def layered(folder: Path) -> dict[str, str]:
    known = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), known)))}


def journal(file: str = "events.jsonl", more: str = "") -> str:
    return f'[[sinks]]\nname = "journal"\ntype = "jsonl_file"\nfile = "{file}"\n{more}\n'


@pytest.fixture
def bridge(environment, tmp_path) -> Bridge:
    made = Bridge(tmp_path, "http://127.0.0.1:1", journal())
    made.environment.update(environment)
    return made


def test_the_page_shows_the_package_as_it_is() -> None:
    shown = re.findall(r"^`custom-sink/([\w./-]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    config = EXAMPLE / "config.toml"
    files = {str(path.relative_to(EXAMPLE)) for path in EXAMPLE.rglob("*") if path.suffix in {".py", ".toml"}}

    assert {name: (EXAMPLE / name).read_text() for name, _ in shown} == dict(shown)
    assert files == {name for name, _ in shown} | {config.name}
    assert f"```toml\n{config.read_text()}```" in PAGE


def test_the_page_names_all_that_is_public() -> None:
    import bridge.plugin

    listed = PAGE[PAGE.index("| name | is |") :]

    assert set(re.findall(r"`(\w+)`", listed)) == set(bridge.plugin.__all__)


def test_the_package_passes_its_own_tests(package, environment) -> None:
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        pytest_, cwd=package, env=environment, capture_output=True, text=True, check=False, timeout=patience()
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "18 passed, 1 skipped" in done.stdout, done.stdout  # it has no secret that could be missing


def test_check_and_the_list_say_which_package_a_kind_comes_from(bridge) -> None:
    checked = bridge.run("check")
    listed = bridge.run("sinks", "list")
    (sink,) = json.loads(bridge.run("sinks", "list", "--output", "json").stdout)["sinks"]

    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("jsonl_file: from mlflow-bridge-jsonl 1.0.0\n")
    assert "jsonl_file of mlflow-bridge-jsonl 1.0.0" in listed.stdout
    assert (sink["type"], sink["package"]) == ("jsonl_file", "mlflow-bridge-jsonl 1.0.0")
    assert sink["to"] == str(bridge.folder / "events.jsonl")  # relative to the configuration


def test_sinks_test_writes_and_a_dry_run_does_not(bridge) -> None:
    dry = bridge.run("sinks", "test", "journal", "--dry-run")
    assert (dry.returncode, (bridge.folder / "events.jsonl").exists()) == (1, False)
    assert "does not go out by HTTP alone" in dry.stderr

    done = bridge.run("sinks", "test", "journal")
    (line,) = (bridge.folder / "events.jsonl").read_text().splitlines()
    assert (done.returncode, done.stdout) == (0, "delivered\n")
    assert json.loads(line)["model_name"] == "mlflow-bridge-test"

    bridge.write("http://127.0.0.1:1", journal("."))
    failed = bridge.run("sinks", "test", "journal")
    assert failed.returncode == 1
    assert "not delivered, a real event would be tried again: misconfigured: " in failed.stdout
    assert "Is a directory" in failed.stdout


def test_events_of_a_real_registry_are_delivered_beside_other_sinks(bridge, server, client, model) -> None:
    bridge.write(
        server.url,
        journal(more=only(model)),
        http_sink("http://127.0.0.1:1", "dead", f'first_retry = "1h"\n{only(model)}'),
    )
    assert bridge.run("once").returncode == 0  # the baseline
    for stage in ("Staging", "Production"):
        client.transition_model_version_stage(model, "1", stage)
        assert bridge.run("once").returncode == 74  # the other sink's receiver is not there

    lines = [json.loads(line) for line in (bridge.folder / "events.jsonl").read_text().splitlines()]
    assert [(line["from_stage"], line["to_stage"]) for line in lines] == [
        ("None", "Staging"),
        ("Staging", "Production"),
    ]
    shown = json.loads(bridge.run("outbox", "list", "--output", "json").stdout)
    assert {entry["sink"] for entry in shown["entries"]} == {"dead"}


def test_a_configuration_that_asks_for_no_package_imports_none(bridge, environment, tmp_path) -> None:
    bridge.write("http://127.0.0.1:1", http_sink("http://127.0.0.1:1"))
    loud = tmp_path / "loud" / "mlflow_bridge_jsonl"
    loud.mkdir(parents=True)
    (loud / "__init__.py").write_text("raise SystemExit('imported')")
    bridge.environment["PYTHONPATH"] = os.pathsep.join((str(loud.parent), environment["PYTHONPATH"]))

    assert bridge.run("check").returncode == 0
    version = [sys.executable, "-m", "bridge", "--version"]
    assert subprocess.run(version, env=bridge.environment, check=False).returncode == 0
    bridge.write("http://127.0.0.1:1", journal())
    refused = bridge.run("check")
    assert refused.returncode == 78
    assert "sinks[0].type: 'jsonl_file' comes from mlflow-bridge-jsonl 1.0.0, which cannot be imported" in (
        refused.stderr
    )
