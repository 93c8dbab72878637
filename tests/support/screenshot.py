"""Write docs/images anew: the status page of a night when not all is well (`make screenshot`)."""

import asyncio
import os
import sys
import tempfile
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from PIL import Image

from bridge.config import ServerSettings
from bridge.delivery.outbox_entry import Status
from bridge.governance.gate import Finding, GateMode, Verdict
from bridge.governance.transition_request import Approval
from bridge.governance.transition_target import Target
from bridge.server.http_application import serving
from bridge.server.page.page_templates import TYPE
from bridge.server.page.status_page import render
from bridge.store.base import GovernanceCommit
from bridge.store.document_state import DocumentState
from support.browser import CHROMIUM, MISSING, Browser
from support.hooks import Hooks, api_of
from support.page_story import Story
from support.receiver import free_port
from support.values import commit, model, onto, request, transition

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
    """Shoot the pages of webhooks and of a model, signed in."""
    os.environ["CI"] = TOKEN
    hooks = Hooks()
    await hooks.created(description="Deploys what is promoted", model_name="fraud-detector")
    await hooks.created(events=["MODEL_VERSION_ALIAS_SET"], status="TEST_MODE")
    await promote(hooks.state)
    asked = await ask(hooks)
    token = {
        "name": "ann",
        "token": {"env": "CI"},
        "may": ["read", "operate", "webhooks", "request", "decide"],
    }
    async with api_of(hooks, token) as api:
        with tempfile.TemporaryDirectory() as home:
            await asyncio.to_thread(shoot_signed_in, api.port, folder, Path(home), asked)


async def promote(state: DocumentState) -> None:
    """Have three versions of a model promoted, one after the other, in the last three weeks."""
    now, day = time.time_ns() // 1_000_000, 86_400_000
    story = [(20, "5", "None", "Staging"), (18, "5", "Staging", "Production"), (11, "6", "None", "Staging")]
    story += [(9, "6", "Staging", "Production"), (9, "5", "Production", "Archived")]
    story += [
        (3, "7", "None", "Staging"),
        (1, "7", "Staging", "Production"),
        (1, "6", "Production", "Archived"),
    ]
    known = model("fraud-detector")
    for number, (days, version, before, after) in enumerate(story):
        at = now - days * day
        event = transition(
            number,
            "fraud-detector",
            timestamp=at,
            observed_at=at,
            model_version=version,
            changed={"to_stage": after, "from_stage": before},
        )
        (entry,) = await state.commit_poll(onto(state, commit(event, models=[known])))
        await state.settle([replace(entry, status=Status.DELIVERED if days > 1 else Status.PENDING)])


async def ask(hooks: Hooks) -> str:
    """Have somebody ask for a promotion that a gate cannot decide alone; return the id of the request."""
    now = time.time_ns() // 1_000_000
    values = {
        "run.metrics.validation_accuracy": 0.942,
        "incumbent.run.metrics.validation_accuracy": 0.936,
        "version.description": "Trained on the data of October.",
    }
    verdict = Verdict("quality", GateMode.DECIDE, Finding.PASSED, (), values, now)
    asked = request(
        "tr_" + "5f0c9d2e" * 4,
        model_name="fraud-detector",
        version="8",
        lane="fraud-detector",
        target=Target("Production"),
        before="Staging",
        creator="ci",
        comment="Beats version 7 on the data of November.",
        created_at=now - 3_600_000,
        expires_at=now + 6 * 86_400_000,
        archives=True,
        verdicts=(verdict,),
        approvals=(Approval("bob", now - 60_000, "reviewed the report"),),
    )
    await hooks.state.commit_governance(GovernanceCommit(now, [asked]))
    return asked.id


def shoot_signed_in(port: int, folder: Path, home: Path, asked: str) -> None:
    browser = Browser(home)
    browser.show(f"http://127.0.0.1:{port}/webhooks", 1120, 760)
    browser.fill(token=TOKEN)
    browser.press("main button")
    _save(browser.picture(), folder / "webhooks-page.png")
    browser.show(f"http://127.0.0.1:{port}/models?name=fraud-detector", 1120, 800)
    _save(browser.picture(), folder / "model-page.png")
    browser.show(f"http://127.0.0.1:{port}/requests/{asked}", 1120, 900)
    _save(browser.picture(), folder / "request-page.png")
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
