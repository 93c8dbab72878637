"""The recipes: each configuration loads, and what it sends is what its receiver takes."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from support.receiver import Answer, Receiver
from support.sinks import DELIVERY
from support.values import transition

from bridge.config import Secret
from bridge.config.file_loading import build
from bridge.delivery.attempt_outcome import Verdict
from bridge.events.event_names import EVENT_NAMES
from bridge.events.sample_events import synthetic_event
from bridge.sinks.base import Delivery
from bridge.sinks.sink_type_table import KINDS, SETTINGS
from bridge.sinks.transport.exchange_recorder import NoTransport, RecordingTransport
from bridge.sinks.transport.http_client import Client

RECIPES = Path(__file__).parents[3] / "docs" / "recipes"
NAMES = ["fraud-detector", "<!channel> & *bold*", 'a "b"\n${model_version}\\', "\ud800"]
NOW = 1_700_000_000_500


def blocks(page: str, language: str) -> list[str]:
    text = (RECIPES / f"{page}.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def settings_of(recipe: str):
    (toml,) = blocks(recipe, "toml")
    (sink,) = build({"registry": {"tracking_uri": "http://r"}, **tomllib.loads(toml)}, SETTINGS).sinks
    return sink


async def request_of(settings, event_name: str, event):
    recording = RecordingTransport(NoTransport())
    sink = KINDS[settings.type].build(settings, recording, 1_000)
    outcome = await sink.deliver(Delivery(event, event_name, NOW))
    assert outcome.verdict is Verdict.DELIVERED
    (exchange,) = recording.exchanges
    return exchange.request


async def bodies_of(recipe: str) -> list:
    """Return the bodies for every event that the recipe asks for, and for models of any name."""
    settings = settings_of(recipe)
    found = []
    for name in settings.events:
        samples = [synthetic_event(name, settings.to_stages, "event-1", NOW)]
        samples += [transition(model=one, user_id="ann") for one in NAMES]
        for event in samples:
            request = await request_of(settings, EVENT_NAMES[name].name, event)
            found.append(json.loads(request.body))
    return found


@pytest.fixture(autouse=True)
def secrets(monkeypatch, tmp_path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    monkeypatch.setenv("GOVERNANCE_SECRET", "s3cret")
    monkeypatch.setenv("AIRFLOW_TOKEN", "s3cret")
    monkeypatch.setenv("TEAMS_SIG", "a+b/c=")
    monkeypatch.setattr(Secret, "_path", lambda _secret: token)


@pytest.mark.parametrize("recipe", ["slack", "teams", "airflow", "argo-events", "flask"])
def test_nothing_in_a_recipe_is_warned_about(recipe) -> None:
    settings = settings_of(recipe)

    assert list(settings.remarks()) == []


def slack_faults(message: dict) -> list[str]:
    """Return what is wrong with a message by Slack's reference (Block Kit: section, text object)."""
    faults = [] if isinstance(message.get("text"), str) and message["text"] else ["text"]
    faults += [key for key in message if key not in {"text", "blocks"}]
    blocks = message.get("blocks", [])
    faults += ["blocks"] if len(blocks) > 50 else []
    for block in blocks:
        text = block.get("text", {})
        is_section = block.get("type") == "section" and block.keys() == {"type", "text"}
        is_text = text.keys() == {"type", "text"} and text["type"] in {"plain_text", "mrkdwn"}
        if not (is_section and is_text and isinstance(text["text"], str) and 0 < len(text["text"]) <= 3000):
            faults.append(f"block {block}")
    return faults


async def test_slack_gets_messages_in_which_a_name_is_no_mention() -> None:
    sample, *messages = (await bodies_of("slack"))[: 1 + len(NAMES)]

    assert sample["blocks"][0]["text"]["text"] == "mlflow-bridge-test v1: Staging → Production"
    for name, message in zip(NAMES, messages, strict=True):
        assert slack_faults(message) == []
        assert message["text"] == "A model changed its stage"
        text = message["blocks"][0]["text"]
        assert text == {"type": "plain_text", "text": f"{name} v1: Staging → Production by ann"}


async def test_teams_gets_cards_in_which_a_name_is_no_markdown() -> None:
    """Teams, *Create and send messages*: a message with one adaptive card; RichTextBlock and TextRun of its schema."""
    _, *messages = (await bodies_of("teams"))[: 1 + len(NAMES)]

    for name, message in zip(NAMES, messages, strict=True):
        assert message.keys() == {"type", "attachments"}
        (attachment,) = message["attachments"]
        assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        card = attachment["content"]
        assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
        (block,) = card["body"]
        text = f"{name} v1: Staging → Production by ann"
        assert block == {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text}]}


async def test_the_secret_of_a_workflow_is_put_into_its_url() -> None:
    settings = settings_of("teams")

    request = await request_of(settings, settings.events[0], transition(model="fraud"))

    assert request.url.endswith("&sv=1.0&sig=a%2Bb%2Fc%3D")
    assert "a+b/c=" in request.secrets


@pytest.mark.parametrize(
    ("recipe", "answer", "expected"),
    [
        ("slack", Answer(200, body=b"ok"), Verdict.DELIVERED),
        ("slack", Answer(200, body=b"<html>Sign in</html>"), Verdict.RETRYABLE),
        ("slack", Answer(200, body=b'{"ok": false, "error": "channel_not_found"}'), Verdict.RETRYABLE),
        ("teams", Answer(202), Verdict.DELIVERED),
        ("teams", Answer(200, body=b"Webhook message delivery failed with error: ..."), Verdict.RETRYABLE),
    ],
)
async def test_what_counts_as_delivered_is_what_the_receiver_answers_to_it(recipe, answer, expected) -> None:
    receiver = Receiver(answer)
    own = settings_of(recipe).model_copy(update={"url": receiver.url})
    async with Client() as client:
        outcome = await KINDS["http"].build(own, client, 10_000).deliver(DELIVERY)

    receiver.stop()
    assert outcome.verdict is expected


async def test_airflow_gets_what_its_api_takes() -> None:
    """Airflow 3, TriggerDAGRunPostBody: other keys are refused, and logical_date must be there."""
    known = {
        "dag_run_id",
        "data_interval_start",
        "data_interval_end",
        "logical_date",
        "run_after",
        "conf",
        "note",
    }
    for body in await bodies_of("airflow"):
        assert body.keys() <= known
        assert (body["logical_date"], type(body["conf"]), type(body["note"])) == (None, dict, str)
        conf = body["conf"]
        assert conf["model_uri"] == f"models:/{conf['model_name']}/{conf['model_version']}"
        assert conf["delivery_id"] == "event-1"


async def test_the_page_on_templates_shows_what_is_sent() -> None:
    settings = settings_of("../templates")
    (shown,) = blocks("../templates", "json")
    event = transition(model="fraud-detector", model_version="7")

    request = await request_of(settings, settings.events[0], event)

    assert json.loads(request.body) == json.loads(shown)


def found_at(event: dict, key: str) -> object:
    for part in key.split("."):
        event = event[int(part) if part.isdigit() else part]
    return event


async def test_argo_s_sensor_finds_its_parameters_in_what_is_sent() -> None:
    (manifests,) = blocks("argo-events", "yaml")
    source, sensor = yaml.safe_load_all(manifests)
    settings = settings_of("argo-events")
    (webhook,) = source["spec"]["webhook"].values()
    workflow = sensor["spec"]["triggers"][0]["template"]["argoWorkflow"]

    assert settings.url.endswith(f":{webhook['port']}{webhook['endpoint']}")
    assert (settings.bearer is not None, "authSecret" in webhook) == (True, True)
    assert sensor["spec"]["dependencies"][0]["eventName"] in source["spec"]["webhook"]
    for body in await bodies_of("argo-events"):
        values = [found_at({"body": body}, one["src"]["dataKey"]) for one in workflow["parameters"]]
        assert values == [f"models:/{body['model']['name']}/1", "1", "event-1"]
    for one in workflow["parameters"]:
        place = one["dest"].removesuffix(".value")
        assert found_at(workflow["source"]["resource"], place)["name"]


@pytest.mark.filterwarnings("ignore")
async def test_the_receiver_in_flask_takes_what_is_sent_and_nothing_forged(monkeypatch) -> None:
    settings = settings_of("flask")
    (program,) = blocks("flask", "python")
    receiver: dict = {"__name__": "receiver"}
    exec(program, receiver)  # noqa: S102 - our own documentation
    client = receiver["app"].test_client()
    request = await request_of(settings, settings.events[0], transition(model="fraud", user_id="ann"))

    def post(body: bytes) -> int:
        return client.post("/model-events", data=body, headers=dict(request.headers)).status_code

    assert (post(request.body), post(request.body), post(request.body + b" ")) == (204, 204, 401)
    assert receiver["records"] == {
        "event-1": ("MODEL_VERSION_TRANSITIONED_STAGE", "fraud", "1", "Production", "ann", 1_000)
    }
    assert set(json.loads(request.body)) == {
        "event",
        "model_name",
        "version",
        "stage",
        "user_id",
        "timestamp",
    }
