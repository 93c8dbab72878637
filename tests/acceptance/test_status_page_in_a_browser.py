"""The status page as a browser shows it."""

import asyncio
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from support.browser import CHROMIUM, MISSING, Browser
from support.page_story import Story
from support.receiver import free_port

from bridge.config import ServerSettings
from bridge.diff.registry_changes import ChangeKind
from bridge.server.http_application import serving
from bridge.server.page.page_templates import TYPE
from bridge.server.page.status_page import render

pytestmark = [pytest.mark.extra, pytest.mark.skipif(CHROMIUM is None, reason=MISSING)]

HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "</td></tr></table></main><style>*{display:none}</style>",
    "\u202e\u2066gnp.exe",
    "w" * 500,
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u05e2\u05d1\u05e8\u05d9\u05ea",
    "\ud800\n\t\0",
    "a" + "\u0301" * 300,
)


@pytest.fixture
def story(monkeypatch) -> Story:
    monkeypatch.setenv("GITHUB_TOKEN", "x")
    told = Story()
    for name in HOSTILE:
        told.moved(3, name, "9" * 40, "None", "Production")
        told.happen(2, name, "1", ChangeKind.VERSION_TAG_SET, key=name, value=name, previous_value=None)
    return told


@pytest.fixture
def browser(tmp_path) -> Iterator[Browser]:
    browser = Browser(tmp_path)
    yield browser
    browser.close()


async def shown(browser: Browser, story: Story, look, **screen):
    """Return what ``look`` finds while the page of ``story`` is shown, served as the daemon serves it."""
    port = free_port()
    page = (HTTPStatus.OK, TYPE, render(story.view()))

    def there():
        browser.show(f"http://127.0.0.1:{port}/", **screen)
        return look(browser)

    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), {"/": lambda: page}):
        return await asyncio.to_thread(there)


# What is seen of each text: its colour, and the first ground under it that is not see-through.
CONTRASTS = """(() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => parts(colour).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = one => { const own = getComputedStyle(one).backgroundColor;
    return parts(own)[3] === 0 && one.parentElement ? ground(one.parentElement) : own; };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim(), one = texts.currentNode.parentElement;
    if (!text) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
    found.push([text.slice(0, 40), (a + 0.05) / (b + 0.05)]);
  }
  return found;
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read(browser, story, scheme) -> None:
    told = await shown(browser, story, lambda it: it.evaluate(CONTRASTS), scheme=scheme)

    assert len(told) > 150
    assert [(text, round(ratio, 2)) for text, ratio in told if ratio < 4.5] == []


async def test_light_and_dark_follow_the_reader(browser, story) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    colours = [
        await shown(browser, story, lambda it: it.evaluate(ground), scheme=scheme)
        for scheme in ("light", "dark")
    ]

    assert colours == ["rgb(244, 246, 248)", "rgb(15, 20, 25)"]


@pytest.mark.parametrize("width", [320, 360, 768, 1200])
async def test_nothing_sticks_out_at_the_side(browser, story, width) -> None:
    """And what comes from outside is kept to its own place."""
    out = """[...document.querySelectorAll('main *')].filter(one => !one.closest('thead, caption'))
      .filter(one => one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 200))"""
    found, wide = await shown(
        browser,
        story,
        lambda it: (it.evaluate(out), it.evaluate("document.documentElement.scrollWidth")),
        width=width,
        height=800,
    )

    assert found == []
    assert wide <= width
    clipped = "[...document.querySelectorAll('bdi')].map(one => getComputedStyle(one).overflowY)"
    assert set(browser.evaluate(clipped)) == {"clip"}  # letters can be piled up


async def test_names_run_nothing_load_nothing_and_hide_nothing(browser, story) -> None:
    """The browser agrees that they are text; and it finds nothing to complain of."""
    look = "[document.title, document.scripts.length, document.images.length, document.styleSheets.length]"
    title, scripts, images, sheets = await shown(browser, story, lambda it: it.evaluate(look))
    height = browser.evaluate("document.querySelector('main').offsetHeight")

    assert title == "2 things need you \u00b7 mlflow-bridge"
    assert (scripts, images, sheets) == (0, 0, 1)
    assert height > 500
    assert browser.complaints == []
    assert {url.split("/", 3)[3] for url in browser.requests if url.startswith("http")} <= {"", "favicon.ico"}


async def test_what_the_policy_forbids_is_forbidden(browser, story) -> None:
    """A style that is not the page's own, were it to get in, is not applied; no script runs."""
    plant = """(() => { const style = document.createElement('style');
      style.textContent = 'body { color: rgb(1, 2, 3) !important }'; document.head.append(style);
      const script = document.createElement('script');
      script.textContent = "document.title = 'owned'"; document.head.append(script);
      return [getComputedStyle(document.body).color, document.title]; })()"""
    colour, title = await shown(browser, story, lambda it: it.evaluate(plant))

    assert colour != "rgb(1, 2, 3)"
    assert title != "owned"


async def test_a_table_stays_a_table_for_who_listens_to_it_on_a_phone(browser, story) -> None:
    """Laid out as cards, it would be none to some browsers, were it not for its roles."""
    nodes = await shown(browser, story, lambda it: it.accessible(), width=360, height=800)
    roles = [one["role"]["value"] for one in nodes if not one.get("ignored")]

    assert roles.count("table") == 4 - 1  # the attempts of a dead letter are folded
    assert {"rowheader", "columnheader", "cell", "row", "heading", "main", "banner"} <= set(roles)
