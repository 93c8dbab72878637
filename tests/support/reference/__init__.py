"""The pages of reference, generated: `make reference` writes them anew."""

from pathlib import Path

from support.reference import api, commands, settings

ROOT = Path(__file__).parents[3]
COMMAND = "make reference"


def pages() -> dict[Path, str]:
    """Return each generated page by its path."""
    return {
        ROOT / "docs" / "configuration.md": settings.page(ROOT, COMMAND),
        ROOT / "docs" / "cli.md": commands.page(COMMAND),
        ROOT / "docs" / "api.md": api.page(COMMAND),
    }
