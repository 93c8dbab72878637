"""The pages of reference say what is so."""

import tomllib
from typing import Any

import pytest
from support.reference import COMMAND, ROOT, pages
from support.reference.examples import examples
from support.reference.meanings import meaning
from support.reference.settings import own_kinds
from support.reference.spelling import hint_of, item_of, spelled_type, table_of

from bridge.config import Settings
from bridge.config.file_loading import build
from bridge.sinks.sink_type_table import SETTINGS

EXAMPLE = ROOT / "config.example.toml"
HINTS = {name: hint_of(Settings, name) for name in Settings.model_fields if name != "sinks"}
SECTIONS = {name: table_of(hint) or item_of(hint) for name, hint in HINTS.items()}
SINKS = own_kinds()
MODELS = {**SECTIONS, **SINKS}
KEYS = [(section, key) for section, model in MODELS.items() for key in model.model_fields]


def test_the_pages_of_reference_are_up_to_date() -> None:
    stale = [path.name for path, text in pages().items() if path.read_text() != text]

    assert stale == [], f"run `{COMMAND}` and read the difference"


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_key_says_what_it_means_and_has_a_type_in_words(section, key) -> None:
    assert meaning(MODELS[section], key).endswith(".")
    assert spelled_type(hint_of(MODELS[section], key))


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_the_example_names_every_key(section, key) -> None:
    shown = examples(EXAMPLE)

    assert (section, key) in shown or (section in SINKS and ("", key) in shown)


@pytest.mark.parametrize(("section", "key"), [place for place in examples(EXAMPLE) if place[0]])
def test_the_lines_of_the_example_that_are_shown_can_be_used(section, key) -> None:
    for line in examples(EXAMPLE)[section, key]:
        build(_document(section, key, tomllib.loads(line)), SETTINGS)


_GOES_WITH = {
    "username": {"password": {"env": "X"}},
    "password": {"username": "bridge"},
    "page": {"listen": "127.0.0.1:9464"},
    "hosts": {"listen": "127.0.0.1:9464"},
    "tokens": {"listen": "127.0.0.1:9464"},
    "mlflow_webhook_secret": {"listen": "127.0.0.1:9464"},
    "body": {"format": "template"},
    "content_type": {"format": "template", "body": {}},
    "format": {"body": {}},
}
_GOES_WITHOUT = {"app": "token", "token": "app"}


def _document(section: str, key: str, line: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with the line, what it cannot be without, and nothing that it excludes."""
    example = tomllib.loads(EXAMPLE.read_text())
    document = {"registry": {"tracking_uri": "http://127.0.0.1:5000"}}
    if item_of(HINTS.get(section)):
        (shown,) = example[section]
        return {**document, section: [{**shown, **line}]}
    if section == "state" and key in {"password", "sslmode"}:
        line = {"url": "postgresql://bridge@db.example.com/bridge", **line}
    if section in SECTIONS:
        goes_with = {} if section == "state" else _GOES_WITH.get(key, {})
        return {**document, section: {**document.get(section, {}), **goes_with, **line}}
    sink = next(sink for sink in example["sinks"] if sink["type"] == section)
    more = _GOES_WITH.get(key, {}) if section == "http" else {}
    if line.get("format", "template") != "template":
        more = {}
    kept = {name: value for name, value in sink.items() if name != _GOES_WITHOUT.get(key)}
    return {**document, "sinks": [{**kept, **more, **line}]}
