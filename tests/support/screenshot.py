"""Write docs/images anew: the status page of a night when not all is well (`make screenshot`)."""

import asyncio
import os
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image

from bridge.config import ServerSettings
from bridge.server.http_application import serving
from bridge.server.page.page_templates import TYPE
from bridge.server.page.status_page import render
from support.browser import CHROMIUM, MISSING, Browser
from support.hooks import Hooks, api_of
from support.page_story import Story
from support.receiver import free_port

IMAGES = Path(__file__).parents[2] / "docs" / "images"
TOKEN = "0123456789abcdef0123456789abcdef"
SHOTS = (
    ("status-page", "/", 1120, 1420, "light"),
    ("status-page-well", "/well", 1120, 760, "dark"),
    ("status-page-phone", "/", 390, 844, "light"),
)


def pages() -> dict:
    night, well = render(Story().view()), render(Story(well=True).view())
    return {"/": lambda: (200, TYPE, night), "/well": lambda: (200, TYPE, well)}


async def main(folder: Path) -> None:
    os.environ["GITHUB_TOKEN"] = "x"
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), pages()):
        with tempfile.TemporaryDirectory() as home:
            await asyncio.to_thread(shoot, port, folder, Path(home))
    await webhooks(folder)


async def webhooks(folder: Path) -> None:
    """Shoot the page of webhooks, signed in."""
    os.environ["CI"] = TOKEN
    hooks = Hooks()
    await hooks.created(description="Deploys what is promoted", model_name="fraud-detector")
    await hooks.created(events=["MODEL_VERSION_ALIAS_SET"], status="TEST_MODE")
    token = {"name": "ann", "token": {"env": "CI"}, "may": ["read", "operate", "webhooks"]}
    async with api_of(hooks, token) as api:
        with tempfile.TemporaryDirectory() as home:
            await asyncio.to_thread(shoot_webhooks, api.port, folder, Path(home))


def shoot_webhooks(port: int, folder: Path, home: Path) -> None:
    browser = Browser(home)
    browser.show(f"http://127.0.0.1:{port}/webhooks", 1120, 760)
    browser.fill(token=TOKEN)
    browser.press("main button")
    _save(browser.picture(), folder / "webhooks-page.png")
    browser.close()


def shoot(port: int, folder: Path, home: Path) -> None:
    browser = Browser(home)
    for name, path, width, height, scheme in SHOTS:
        browser.show(f"http://127.0.0.1:{port}{path}", width, height, scheme)
        _save(browser.picture(), folder / f"{name}.png")
    browser.close()


def _save(picture: bytes, path: Path) -> None:
    """Save with a palette: a page has few colours, and the picture is a third as large."""
    image = Image.open(BytesIO(picture)).convert("RGB")
    image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    if CHROMIUM is None:
        sys.exit(MISSING)
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES))
