"""People manage webhooks in a real browser, over the real daemon, without a script."""

from collections.abc import Iterator

import pytest
from support.browser import CHROMIUM, MISSING, Browser
from support.command import Bridge
from support.hooks import KEY
from support.receiver import Answer, free_port
from support.until import wait_until

pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(CHROMIUM is None, reason=MISSING),
    pytest.mark.filterwarnings("ignore"),
]

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def browser(tmp_path) -> Iterator[Browser]:
    browser = Browser(tmp_path)
    yield browser
    browser.close()


@pytest.fixture
def bridge(tmp_path, server) -> Bridge:
    bridge = Bridge(tmp_path / "bridge", server.url)
    bridge.port = free_port()
    bridge.environment |= {"BRIDGE_TOKEN": TOKEN, "BRIDGE_KEY": KEY}
    more = (
        f'[server]\nlisten = "127.0.0.1:{bridge.port}"\n'
        'tokens = [{ name = "ann", token = { env = "BRIDGE_TOKEN" }, may = ["read", "operate", "webhooks", "request", "decide"] }]\n'
        '[webhooks]\nencryption_key = { env = "BRIDGE_KEY" }\nallowed_hosts = ["127.0.0.0/8"]\n'
        '[[gates]]\nname = "described"\nmode = "audit"\nto_stages = ["Production"]\n'
        'checks = [{ name = "described", require = "version.description != null" }]\n'
    )
    bridge.write(server.url, more=more)
    return bridge


def text(browser: Browser, selector: str = "main") -> str:
    return browser.evaluate(f"document.querySelector({selector!r}).innerText")


def sign_in(browser: Browser, bridge: Bridge, **screen) -> None:
    browser.show(f"http://127.0.0.1:{bridge.port}/webhooks", **screen)
    browser.fill(token=TOKEN)
    browser.press("main button")


def test_a_webhook_from_sign_in_to_its_end(browser, bridge, client, model, receiver) -> None:
    with bridge.running():
        bridge.wait_for_log("baseline.taken")
        sign_in(browser, bridge)
        assert "There are none." in text(browser)

        browser.fill(url=receiver.url, model_name=model, secret="s3cret", description="deploys it")
        browser.press("[aria-labelledby=add] button")
        assert "The webhook is created" in text(browser, "[role=status]")

        browser.press("button[value=test]")
        assert "The test: delivered" in text(browser)
        assert "s3cret" not in text(browser)

        receiver.answer = Answer(400)
        client.transition_model_version_stage(model, "1", "Production")
        bridge.wait_for_log("delivery.dead")
        receiver.answer = Answer()
        browser.press("nav a[href='/deliveries']")
        assert "dead" in text(browser, "tbody")
        browser.press_box("input[name=entries]")
        browser.press("button[value=redrive]")
        wait_until(lambda: len(receiver.got) == 3)
        wait_until(lambda: bridge.status()["sinks"][0]["delivered"] == 1)

        browser.press("nav a[href='/webhooks']")
        browser.press("tbody a")
        browser.press_box("input[name=sure]")
        browser.press("button[value=delete]")
        assert "The webhook is deleted" in text(browser, "[role=status]")
        assert "There are none." in text(browser)
        browser.press("header form button")
        assert "Sign in" in text(browser, "main h2")

    assert [got.body["event"] for got in receiver.got] == ["MODEL_VERSION_TRANSITIONED_STAGE"] * 3
    assert browser.complaints == []
    assert browser.evaluate("document.scripts.length") == 0


def test_a_request_is_decided_on_its_page(browser, bridge, client, model) -> None:
    with bridge.running():
        bridge.wait_for_log("baseline.taken")
        made = bridge.run(
            "requests", "create", model, "1", "Production", "--comment", "please"
        ).stdout.split()[-1]
        bridge.wait_for_log("gate.judged")
        sign_in(browser, bridge)
        browser.press("nav a[href='/requests']")
        assert made[:13] in text(browser, "tbody")
        browser.press("tbody a")
        assert "described: version.description != null is false" in text(browser)
        browser.fill(comment="seen")
        browser.press("button[value=approve]")
        assert "It is approved" in text(browser, "[role=status]")
        wait_until(lambda: client.get_model_version(model, "1").current_stage == "Production")

        browser.press("nav a[href='/requests']")
        browser.fill(name=model, version="1", target="@champion", comment="the best")
        browser.press("[aria-labelledby=ask] button")
        assert "It is asked for" in text(browser, "[role=status]")
        browser.press("button[value=cancel]")
        assert "It is taken back" in text(browser, "[role=status]")

    assert browser.complaints == []
    assert browser.evaluate("document.scripts.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_the_pages_fit_the_screen_and_can_be_read_and_used_by_keyboard(
    browser, bridge, receiver, model, width, scheme
) -> None:
    with bridge.running():
        bridge.wait_for_log("baseline.taken")
        made = bridge.run("webhooks", "create", receiver.url, "--description", "w" * 300).stdout.split()[-1]
        asked = bridge.run("requests", "create", model, "1", "Production", "--comment", "w" * 300)
        request = asked.stdout.split()[-1]
        bridge.wait_for_log("gate.judged")
        sign_in(browser, bridge, width=width, scheme=scheme)
        for path in (
            "/webhooks",
            f"/webhooks/{made}",
            "/deliveries",
            "/requests",
            f"/requests/{request}",
            "/sign-in",
        ):
            browser.show(f"http://127.0.0.1:{bridge.port}{path}", width=width, scheme=scheme)
            wide = browser.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            unnamed = browser.evaluate(
                "[...document.querySelectorAll('input:not([type=hidden]):not([hidden]), select, button')]"
                ".filter(one => !(one.labels && one.labels.length) && !one.innerText).length"
            )
            landmarks = browser.evaluate("document.querySelectorAll('header, nav, main, footer').length")
            assert (wide, unnamed, landmarks) == (0, 0, 4), path
            assert lowest_contrast(browser) >= 4.5, path
    assert browser.complaints == []


def lowest_contrast(browser: Browser) -> float:
    """Return the lowest contrast of a text with the colour behind it (WCAG 2.2, 1.4.3)."""
    return browser.evaluate("""(() => {
        const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
            .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = one => {
            for (; one; one = one.parentElement) {
                const found = numbers(getComputedStyle(one).backgroundColor);
                if (found.length < 4 || found[3] > 0) return found;
            }
            return [255, 255, 255];
        };
        const texts = [...document.body.querySelectorAll('*')].filter(one =>
            [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()) && one.offsetParent);
        return Math.min(...texts.map(one => {
            const both = [light(numbers(getComputedStyle(one).color)), light(ground(one))].sort((a, b) => b - a);
            return (both[0] + 0.05) / (both[1] + 0.05);
        }));
    })()""")
