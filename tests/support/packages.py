"""Installs packages with kinds of sinks, as pip would: modules and a .dist-info beside them."""

import itertools
from pathlib import Path

import pytest

GROUP = "mlflow_bridge.sinks"
_NUMBERS = itertools.count()

PROLOGUE = "from bridge.plugin import *\n"

QUIET = """
class Settings(SinkSettings):
    pass

class Quiet:
    def __init__(self, settings, transport, timeout_ms):
        pass

    async def deliver(self, delivery):
        return delivered()

KIND = Kind(Settings, Quiet)
"""
"""A package whose sink takes everything."""


class Packages:
    """A folder of packages on this process' path, for one test."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.folder = folder
        patch.syspath_prepend(str(folder))

    def install(
        self,
        source: str = QUIET,
        *,
        package: str = "acme-sinks",
        version: str = "1.2",
        kinds: tuple[str, ...] = ("acme",),
        value: str = "KIND",
    ) -> str:
        """Install a package; return the name of its module, which is another for each."""
        module = f"acme_{next(_NUMBERS)}"
        (self.folder / f"{module}.py").write_text(PROLOGUE + source)
        about = self.folder / f"{package.replace('-', '_')}-{version}.dist-info"
        about.mkdir(exist_ok=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        lines = "".join(f"{kind} = {module}:{value}\n" for kind in kinds)
        (about / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")
        return module
