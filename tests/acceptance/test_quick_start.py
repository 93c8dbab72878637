"""The commands of README and quick start, run as they stand, by a person with several shells."""

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
from support.pages import Block, blocks
from support.receiver import free_port, is_listening
from support.shell import Shell
from support.until import wait_until

ROOT = Path(__file__).parents[2]
README, QUICK_START = ROOT / "README.md", ROOT / "docs" / "quick-start.md"
PAGES = (README, QUICK_START)

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not Path("/bin/bash").exists(), reason="needs bash"),
]

_PYTHON = """\
#!/bin/sh
# A virtual environment without pip: that takes seconds less.
[ "$1 $2" = "-m venv" ] && exec {python} -m venv --without-pip "$3"
exec {python} "$@"
"""
_PIP = """\
#!/bin/sh
# What `pip install .` comes to: the command, in the virtual environment; its libraries are on $PYTHONPATH.
[ "$*" = "install ." ] || exit 64
printf '#!/bin/sh\\nexec python -m bridge "$@"\\n' > "$VIRTUAL_ENV/bin/mlflow-bridge"
chmod +x "$VIRTUAL_ENV/bin/mlflow-bridge"
"""


_LISTENING = {"mlflow": "5000", "receiver": "8080"}
"""What listens at which port, as pages have it."""


class Reader:
    """Does what a page says, in a folder of their own, with other ports."""

    def __init__(self, folder: Path, tools: Sequence[Path], ports: Mapping[str, str], *code: Path) -> None:
        """Read with ``tools`` on the PATH, and with ``code`` beside the libraries."""
        self._ports = ports
        self._shells: dict[str, Shell] = {}
        self._closed: list[str] = []
        self.folder = folder
        self._environment = {
            "PATH": os.pathsep.join([*map(str, tools), "/usr/bin", "/bin"]),
            "PYTHONPATH": os.pathsep.join([*map(str, code), sysconfig.get_path("purelib")]),
            "HOME": str(folder),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def shell(self, name: str) -> Shell:
        if name not in self._shells:
            log = self.folder.parent / f"{name}.{len(self._closed)}.log"
            self._shells[name] = Shell(self.folder, log, self._environment)
        return self._shells[name]

    def follow(self, block: Block) -> None:
        how, text = block.how, self.here(block.text)
        if "stop" in how:
            self.close(how["stop"])
        if "file" in how:
            self.save(how["file"], text)
        elif "printed by" in how:
            shell = self.shell(how["printed by"])
            shell.wait(lambda: set(text.splitlines()) <= set(shell.output.splitlines()), text)
        elif "until" in how:
            shell = self.shell(how["shell"])
            shell.begin(text)
            shell.wait(lambda: how["until"] in shell.output, text)
        elif "runs" in how:
            self.shell(how["shell"]).begin(text)
        elif "shell" in how:
            self.shell(how["shell"]).run(text)
        if how.get("shell") in _LISTENING:
            port = int(self._ports[_LISTENING[how["shell"]]])
            wait_until(lambda: is_listening(port))
            if how["shell"] == "mlflow":
                wait_until(lambda: _is_healthy(port))

    def here(self, text: str) -> str:
        return re.sub("|".join(self._ports), lambda found: self._ports[found[0]], text)

    def save(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def close(self, name: str) -> None:
        self._shells.pop(name).stop()
        self._closed.append(name)

    def leave(self) -> None:
        for name in list(self._shells):
            self.close(name)


def _is_healthy(port: int) -> bool:
    """Whether MLflow's server answers: it listens before its workers are there."""
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        return answer.status == 200
    return False


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "clone").mkdir()
    return tmp_path / "clone"


@pytest.fixture
def tools(tmp_path) -> Path:
    """A folder with a python3 and a pip that need no network and little time."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in (("python3", _PYTHON.format(python=sys.executable)), ("pip", _PIP)):
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
    return tools


@pytest.fixture
def reader(folder, tools, server) -> Iterator[Reader]:
    """Who reads has an MLflow server already."""
    reader = Reader(folder, [tools], {"5000": str(server.port), "8080": str(free_port())}, ROOT)
    yield reader
    reader.leave()


def receiver_of_the_readme() -> str:
    (program,) = [block.text for block in blocks(README) if block.language == "python"]
    return program


@pytest.mark.extra
def test_the_quick_start_delivers_an_event_and_what_was_missed_meanwhile(reader) -> None:
    reader.save("receiver.py", reader.here(receiver_of_the_readme()))
    for block in blocks(QUICK_START):
        if block.how.get("shell") != "mlflow":
            reader.follow(block)

    assert "204" in reader.shell("bridge").output
    assert "MODEL_VERSION_CREATED" in reader.shell("you").output


@pytest.mark.extra
def test_the_quick_start_works_from_a_clone_with_a_real_installation_and_a_server_of_its_own(
    tmp_path, folder
) -> None:
    for part in ("bridge", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    ports = {"5000": str(free_port()), "8080": str(free_port())}
    reader = Reader(folder, [tools, Path(sys.executable).parent], ports)
    try:
        reader.save("receiver.py", reader.here(receiver_of_the_readme()))
        for block in blocks(QUICK_START):
            reader.follow(block)
        assert list(folder.glob("bridge-venv/lib/*/site-packages/bridge/__main__.py"))
    finally:
        reader.leave()


def test_the_five_minutes_of_the_readme_deliver_an_event(reader, client) -> None:
    client.create_registered_model("of-the-readme")
    client.create_model_version("of-the-readme", "s3://b/x")
    reader.save("receiver.py", reader.here(receiver_of_the_readme()))
    for block in blocks(README):
        reader.follow(block)
    client.transition_model_version_stage("of-the-readme", "1", "Production")  # "in MLflow's UI"
    reader.shell("bridge 2").run(". bridge-venv/bin/activate; mlflow-bridge once --full")
    receiver = reader.shell("receiver")
    line = "MODEL_VERSION_TRANSITIONED_STAGE of-the-readme 1 Production"
    receiver.wait(lambda: line in receiver.output, "the delivery")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_commands_is_run_or_says_why_not(page) -> None:
    silent = [
        block.text
        for block in blocks(page)
        if block.language == "sh" and not {"shell", "not run"} & block.how.keys()
    ]

    assert silent == []
    assert [block for block in blocks(page) if "shell" in block.how]
