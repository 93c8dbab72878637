"""What make install puts in place: units, scripts and the configuration to begin with."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from bridge.config.file_loading import build
from bridge.sinks.sink_type_table import SETTINGS

ROOT = Path(__file__).parents[2]

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (apt install systemd)"
)

PAGES = ["docs/running/systemd.md", "docs/running/cron.md"]


@pytest.mark.parametrize("page", [*PAGES, "systemd/config.toml"])
def test_the_configurations_to_begin_with_are_valid_and_keep_the_state_where_it_may_be(page) -> None:
    text = (ROOT / page).read_text()
    found = (
        [text]
        if page.endswith(".toml")
        else re.findall(r"^```toml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    )
    for toml in found:
        assert build(tomllib.loads(toml), SETTINGS).state.folder == "/var/lib/mlflow-bridge"
    assert len(found) == 1


def test_what_is_commented_out_of_the_configuration_to_begin_with_is_a_valid_sink() -> None:
    text = (ROOT / "systemd/config.toml").read_text()
    (sink,) = build(tomllib.loads(re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)), SETTINGS).sinks

    assert (sink.name, sink.type) == ("ci", "http")


def test_both_services_are_the_same_user_in_the_same_sandbox() -> None:
    """The state is one user's, whichever of them runs; and neither is easier to break out of."""
    sandboxes = [
        (ROOT / "systemd" / unit)
        .read_text()
        .split("DynamicUser=yes\n")[1]
        .split("\n# Protect")[0]
        .split("\n")
        for unit in ("mlflow-bridge.service", "mlflow-bridge-once.service")
    ]
    first, second = (
        [line for line in lines if "=" in line and not line.startswith(("Environment", "WantedBy"))]
        for lines in sandboxes
    )

    assert first == second
    assert "User=mlflow-bridge" in first


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"PYTHON": "/bin/false"}, "needs a Python 3.11 or later"),
        ({"PREFIX": "opt"}, "PREFIX=opt is no path"),
        ({"PREFIX": "/opt/my bridge"}, "is no path"),
    ],
)
def test_an_installation_that_cannot_work_is_refused_before_anything_is_written(
    tmp_path, settings, refusal
) -> None:
    done = subprocess.run(
        ["/bin/sh", ROOT / "systemd/install.sh"],
        env={"PATH": "/usr/bin:/bin", "DESTDIR": str(tmp_path), **settings},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, refusal in done.stderr) == (1, "", True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_installation_leaves_what_it_did_not_make_alone(tmp_path) -> None:
    (tmp_path / "opt/mlflow-bridge/bin").mkdir(parents=True)
    for script in ("install", "uninstall"):
        done = subprocess.run(
            ["/bin/sh", ROOT / f"systemd/{script}.sh"],
            env={"PATH": "/usr/bin:/bin", "DESTDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "by make install" in done.stderr) == (1, True)
    assert (tmp_path / "opt/mlflow-bridge/bin").exists()


UNITS = sorted(path.name for path in (ROOT / "systemd").glob("mlflow-bridge*"))


def units_here(folder: Path) -> list[Path]:
    """Copy the units with a command that exists on this machine."""
    for name in UNITS:
        text = (ROOT / "systemd" / name).read_text()
        (folder / name).write_text(text.replace("/opt/mlflow-bridge/bin/mlflow-bridge", "/bin/true"))
    return [folder / name for name in UNITS]


def test_the_unit_for_several_registries_differs_in_its_places_alone() -> None:
    one, several = ((ROOT / "systemd" / f"mlflow-bridge{at}.service").read_text() for at in ("", "@"))

    def settings(text: str) -> list[str]:
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return [line for line in lines if not line.startswith(("After=", "Conflicts=", "Description="))]

    alike = several.replace("/etc/mlflow-bridge/%i.toml", "/etc/mlflow-bridge/config.toml")
    alike = alike.replace("/etc/mlflow-bridge/%i.environment", "/etc/mlflow-bridge/environment")
    assert settings(alike.replace("mlflow-bridge-%i", "mlflow-bridge")) == settings(one)
    assert "%i" not in alike.replace("mlflow-bridge-%i", "").replace("Description=mlflow-bridge %i", "")


@pytest.mark.extra
@needs_systemd
def test_systemd_finds_no_fault_in_the_units(tmp_path) -> None:
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", "verify", *units_here(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.extra
@needs_systemd
@pytest.mark.parametrize("unit", [name for name in UNITS if name.endswith(".service")])
def test_the_units_expose_little(tmp_path, unit) -> None:
    units_here(tmp_path)
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", "security", "--offline=true", "--threshold=15", tmp_path / unit],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-300:]
