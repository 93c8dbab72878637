"""MLflow's own pages in a real browser, from a server with the plug-in: what a gate refuses, they show with its reasons."""

from collections.abc import Iterator

import pytest
from mlflow import MlflowClient
from support.browser import CHROMIUM, MISSING, Browser
from support.governed import version_with
from support.plugged_server import PluggedServer
from support.until import wait_until

pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(CHROMIUM is None, reason=MISSING),
    pytest.mark.filterwarnings("ignore"),
]

WHY = "mlflow-bridge refuses version 1 of 'governed' to {}: gate quality: accuracy: below 0.90"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[tuple[str, MlflowClient]]:
    """Return the address of the page of a version that the gate does not let through, and a client of its server."""
    folder = tmp_path_factory.mktemp("pages")
    with PluggedServer(folder / "server").running() as plugged, plugged.bridge(folder / "bridge"):
        client = MlflowClient(plugged.url)
        client.create_registered_model("governed")
        version = version_with(client, "governed", validation_accuracy=0.8)
        yield f"{plugged.url}/#/models/governed/versions/{version}", client


@pytest.fixture
def browser(tmp_path) -> Iterator[Browser]:
    browser = Browser(tmp_path)
    yield browser
    browser.close()


def text(browser: Browser) -> str:
    return browser.evaluate("document.body.innerText")


def test_a_refused_transition_shows_the_reasons(browser, page) -> None:
    url, client = page
    browser.show(url)
    browser.click("[data-component-id*=toggleswitch]")
    browser.click("[role=dialog] button", "Disable")
    browser.click("span, div", "None")
    browser.click("[role=menuitem], li", "Production")
    browser.click("[role=dialog] button", "OK")
    wait_until(lambda: WHY.format("Production") in text(browser))
    assert client.get_model_version("governed", "1").current_stage == "None"


def test_a_refused_alias_shows_the_reasons(browser, page) -> None:
    url, client = page
    browser.show(url)
    browser.click("[data-component-id*=aliaseditor]", "Add")
    browser.click("[role=dialog] input")
    browser.write("champion")
    offered = "document.querySelector('input[value=champion][aria-expanded=true]') !== null"
    wait_until(lambda: browser.evaluate(offered))
    browser.press_enter()
    browser.click("[role=dialog] button:not(:disabled)", "Save aliases")
    wait_until(lambda: WHY.format("@champion") in text(browser))
    assert client.get_registered_model("governed").aliases == {}
