"""The status page of a real daemon, beside a real registry and real receivers."""

import http.client
import urllib.request
from contextlib import contextmanager
from http import HTTPStatus

import pytest
from support.chaos.wire import Wire
from support.command import Bridge, http_sink, only, stop
from support.page_reader import Node, read
from support.patience import patience
from support.receiver import Answer, Receiver, free_port, lasting_port
from support.until import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")

HOSTILE = "<script>alert(1)<img src=x onerror=alert(2)>"


class Seen:
    """A daemon with a status page."""

    def __init__(self, folder, registry: str, *sinks: str) -> None:
        self.port = free_port()
        self.bridge = Bridge(folder, registry)
        self.bridge.write(registry, *sinks, more=f'[server]\nlisten = "127.0.0.1:{self.port}"\n')

    @contextmanager
    def running(self):
        with self.bridge.running() as daemon:
            wait_until(self.has_polled)
            yield daemon

    def has_polled(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=patience()) as answer:
            return b'polls_total{outcome="' in answer.read()

    def page(self) -> Node:
        """Return the page; on a loaded machine the loop can be late, which is told as 503."""
        found = {}
        wait_until(lambda: found.update([self.get("/")]) or HTTPStatus.OK in found)
        return read(found[HTTPStatus.OK])

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience())
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def wait_for(self, *words: str) -> Node:
        shown = {}

        def holds() -> bool:
            shown["page"] = self.page()
            return all(word in shown["page"].text for word in words)

        try:
            wait_until(holds)
        except AssertionError:
            raise AssertionError(f"{words} did not come: {shown['page'].text}") from None
        return shown["page"]


def test_a_night_is_shown_as_it_is(tmp_path, server, client, model, receiver) -> None:
    """Delivered, dead and waiting; of models whose names are hostile."""
    hostile = f"{model[:40]}{HOSTILE}\u202e{'x' * 400}"
    client.create_registered_model(hostile)
    client.create_model_version(hostile, "s3://b/x")
    refusing = Receiver(Answer(400, body=b"<b>no such model</b>"))
    mine = f'models = ["{model[:40]}*"]'
    seen = Seen(
        *(tmp_path, server.url, http_sink(receiver.url, "ci", mine), http_sink(refusing.url, "strict", mine)),
        http_sink(f"http://127.0.0.1:{lasting_port()}", "down", mine),
    )
    with seen.running() as daemon:
        assert "Nothing has changed since the baseline" in seen.page().within("timeline").text
        client.transition_model_version_stage(model, "1", "Staging")
        client.transition_model_version_stage(hostile, "1", "Production")
        refusing.wait_for(2)
        shown = seen.wait_for(
            "ci delivered", "strict dead: refused", "down pending: connect", "2 dead letters"
        )
        assert stop(daemon) == 0
    refusing.stop()

    assert {row.text for row in shown.all("tr") if row.attributes.get("class") == "model"} >= {model}
    assert not {one.tag for one in shown.all()} & {"script", "b", "img"}
    assert HOSTILE in shown.within("timeline").text
    assert "\u202e" not in shown.text
    assert "<b>no such model</b>" in shown.within("dead").text
    assert "mlflow-bridge outbox redrive --sink strict" in shown.within("verdict").text
    assert len(shown.within("dead").all("li")) == 2
    assert "s3cret-in-env" not in shown.text
    assert "✓ yes" in shown.within("registry").text


def test_a_registry_that_goes_and_comes_back_is_told(tmp_path, server, client, model, receiver) -> None:
    wire = Wire(server.port)
    seen = Seen(tmp_path, wire.url, http_sink(receiver.url, more=only(model)))
    with seen.running():
        assert seen.page().within("verdict").all("h2")[0].text == "All is well"
        wire.fail("refuse")
        told = seen.wait_for("The registry cannot be read").within("verdict")
        assert "mlflow-bridge check --connect" in told.text
        wire.mend()
        seen.wait_for("All is well")
    wire.stop()


def test_it_answers_while_a_poll_and_a_delivery_hang(tmp_path, server, client, model) -> None:
    hanging = Receiver(Answer(204, delay=600))
    wire = Wire(server.port)
    seen = Seen(tmp_path, wire.url, http_sink(hanging.url, more=f'{only(model)}\ntimeout = "10m"'))
    with seen.running():
        client.transition_model_version_stage(model, "1", "Staging")
        hanging.wait_until_one_came()
        wire.fail("hang")
        shown = seen.wait_for("under way for", "ci pending")
        paths = ("/livez", "/readyz", "/metrics", "/")
        wait_until(lambda: [seen.get(path)[0] for path in paths] == [200] * 4)
        refused = [200, 200, 200, 421]
        wait_until(lambda: [seen.get(path, Host="evil.example")[0] for path in paths] == refused)
    wire.stop()

    assert "1oldest" in shown.within("sinks").text
