"""Installs the plug-ins of docs/registries.md, as pip would: modules and a .dist-info beside them."""

import re
import tomllib
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "registries.md").read_text()


def install(folder: Path) -> Path:
    """Write the page's package into ``folder``, which then belongs on PYTHONPATH."""
    (project,) = [block for block in map(tomllib.loads, blocks("toml")) if "project" in block]
    for name, source in _modules().items():
        _write(folder / name, source)
    about = folder / "corp_mlflow-1.0.dist-info"
    _write(about / "METADATA", "Metadata-Version: 2.1\nName: corp-mlflow\nVersion: 1.0\n")
    _write(about / "entry_points.txt", _entry_points(project["project"]["entry-points"]))
    return folder


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def _modules() -> dict[str, str]:
    """Return each Python block under the name of the file that is named last before it."""
    found = re.findall(r"`(\w+\.py)`(?:(?!```).)*?^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return dict(found)


def _entry_points(groups: dict[str, dict[str, str]]) -> str:
    return "\n".join(
        f"[{group}]\n" + "\n".join(f"{name} = {where}" for name, where in names.items())
        for group, names in groups.items()
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
