"""What is sent of every event in every format, as files: `make golden` writes them anew.

`tests/golden` holds the requests as they go out, unsigned; `docs/events.md` shows them to people.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from bridge.diff.registry_changes import Change
from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.event import Event, event_of
from bridge.events.event_names import EVENT_NAMES
from bridge.events.event_types import GovernanceKind as G
from bridge.events.formats import FORMATS
from bridge.sinks.base import Delivery, Request
from bridge.sinks.http.http_sink import HttpSettings, HttpSink
from bridge.sinks.transport.exchange_recorder import NoTransport, RecordingTransport

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
PAGE = ROOT / "docs" / "events.md"
COMMAND = "make golden"
CHANGED_AT, OBSERVED_AT, SENT_AT = 1_678_886_400_000, 1_678_886_412_000, 1_678_886_413_500

_MODEL, _VERSION = {"model": "fraud-detector", "model_created": 1}, {"version": "7", "version_created": 2}
_DESCRIBED = {"before": "", "after": "Trained on the data of March."}
_CREATED = (("description", "Flags transactions for review."),)
_CREATED_VERSION = (
    ("description", ""),
    ("run_id", "4f1c0d2e6a7b4c3d9e8f7a6b5c4d3e2f"),
    ("source", "s3://models/fraud/4f1c0d2e/artifacts/model"),
    ("status", "READY"),
)
_SAMPLES = {
    K.MODEL_CREATED: {"changed_at": CHANGED_AT, "details": _CREATED},
    K.MODEL_DELETED: {},
    K.MODEL_RENAMED: {"before": "fraud", "after": "fraud-detector", "changed_at": CHANGED_AT},
    K.MODEL_UPDATED: {**_DESCRIBED, "changed_at": CHANGED_AT},
    K.MODEL_TAG_SET: {"key": "team", "before": "risk", "after": "payments"},
    K.MODEL_TAG_DELETED: {"key": "team", "before": "payments"},
    K.VERSION_CREATED: {**_VERSION, "changed_at": CHANGED_AT, "details": _CREATED_VERSION},
    K.VERSION_DELETED: _VERSION,
    K.VERSION_UPDATED: {**_VERSION, **_DESCRIBED, "changed_at": CHANGED_AT},
    K.STATUS_CHANGED: {**_VERSION, "before": "PENDING_REGISTRATION", "after": "READY"},
    K.TRANSITIONED: {**_VERSION, "before": "Staging", "after": "Production", "changed_at": CHANGED_AT},
    K.VERSION_TAG_SET: {**_VERSION, "key": "validated", "after": "true"},
    K.VERSION_TAG_DELETED: {**_VERSION, "key": "validated", "before": "true"},
    K.ALIAS_SET: {**_VERSION, "key": "champion", "before": "6", "after": "7"},
    K.ALIAS_DELETED: {**_VERSION, "key": "champion", "before": "7"},
}
_REQUEST = {"transition_request_id": "tr_0b751a067ab44f9f8d5d2f0a4a6e1c35"}
_OF_REQUESTS = {
    G.REQUEST_CREATED: ("ann", {"comment": "Beats version 6."}),
    G.REQUEST_APPROVED: ("bob", {"comment": "Reviewed."}),
    G.REQUEST_REJECTED: ("gate quality", {"comment": "accuracy: below 0.90"}),
    G.REQUEST_CANCELLED: ("ann", {"comment": "Version 8 is better."}),
    G.REQUEST_EXPIRED: (None, {"comment": "nobody decided in time (governance.expires)"}),
    G.TRANSITION_REVERTED: (None, {"reasons": "accuracy: below 0.90"}),
    G.GATE_FAILED: ("ann", {"gate": "quality", "reasons": "accuracy: below 0.90"}),
}
_STAGES = {"Staging": "None", "Production": "Staging", "Archived": "Production"}
"""Where the narrower names' transitions come from."""

NAMES = tuple(dict.fromkeys(name.name for name in EVENT_NAMES.values()))
"""Every name under which events are sent."""


def sample(name: str) -> Event:
    """Return an event that is sent as ``name``: made up, but always the same."""
    asked = EVENT_NAMES[name]
    if isinstance(asked.kind, G):
        return _of_request(asked.kind, asked.to_stage or "Production")
    fields = dict(_SAMPLES[asked.kind])
    if asked.to_stage:
        fields |= {"before": _STAGES[asked.to_stage], "after": asked.to_stage}
    change = Change(asked.kind, **_MODEL, **fields)
    return event_of(change, "c5f769cb-5449-5204-964f-0b751a067ab4", "fraud-detector", OBSERVED_AT)


def _of_request(kind: G, stage: str) -> Event:
    who, more = _OF_REQUESTS[kind]
    stages = {"to_stage": stage, "from_stage": _STAGES[stage]}
    if kind is G.GATE_FAILED:
        del stages["from_stage"]
    identity = "5d2f0a4a-6e1c-5c35-8d0b-0b751a067ab4"
    members = {**stages, **({} if kind is G.TRANSITION_REVERTED else _REQUEST), **more}
    return Event(
        identity, kind, CHANGED_AT, CHANGED_AT, "fraud-detector", "fraud-detector", "7", who, members
    )


def told(format_name: str) -> list[str]:
    """Return the names that the format has a shape for."""
    return [name for name in NAMES if EVENT_NAMES[name].kind in FORMATS[format_name].kinds]


def request(format_name: str, name: str, **more: object) -> Request:
    """Return what the sink ``ci`` sends of the sample."""
    table = {"name": "ci", "type": "http", "url": "https://ci.example.com/hook", "events": [name], **more}
    recording = RecordingTransport(NoTransport())
    sink = HttpSink(HttpSettings.model_validate({**table, "format": format_name}), recording, 1_000)
    asyncio.run(sink.deliver(Delivery(sample(name), name, SENT_AT)))
    return recording.exchanges[0].request


def golden(format_name: str) -> bytes:
    """Return the golden file of a format: each event's name, headers and body, byte for byte."""
    return b"".join(_recorded(name, request(format_name, name)) for name in told(format_name))


def _recorded(name: str, made: Request) -> bytes:
    head = "".join(f"{key}: {value}\n" for key, value in made.headers.items())
    return f"### {name}\n{head}\n".encode() + made.body + b"\n\n"


def path_of(format_name: str) -> Path:
    """Return where a format's golden file is."""
    return GOLDEN / f"{format_name}.http"


_INTRODUCTION = """\
    # Events

    Every event, in every format that has a shape for it: generated from `tests/golden` by `{command}`, and
    held against what is sent by a test. The bodies are on one line when they are sent. What signs them comes
    besides, as `signature` asks for it; the *attempt* is at 13:20:13.5, 13.5 s after the change, and whatever the
    registry keeps no time of bears the time at which it was observed.

    `X-MLflow-Delivery-Id` is the event's id, the same on every attempt and in every format: discard what you
    have seen. A sink that asks for an event that its format has no shape for fails `check`.

    | event | {heads} |
    |---|{rules}|
"""


def page() -> str:
    """Return the page that shows every event in every format, from the golden files."""
    recorded = {name: dict(_parsed(path_of(name).read_text())) for name in FORMATS}
    heads, rules = " | ".join(f"`{name}`" for name in FORMATS), "|".join("---" for _ in FORMATS)
    begin = dedent(_INTRODUCTION).format(heads=heads, rules=rules, command=COMMAND)
    rows = "".join(f"| {_link(name)} | {_marks(name, recorded)} |\n" for name in NAMES)
    return begin + rows + "".join(_chapter(name, recorded) for name in NAMES)


def _link(name: str) -> str:
    return f"[`{name}`](#{name.lower()})"


def _marks(name: str, recorded: dict[str, dict[str, str]]) -> str:
    return " | ".join("yes" if name in recorded[form] else "no" for form in FORMATS)


def _parsed(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split("### ")[1:]:
        name, _, rest = part.partition("\n")
        yield name, rest


def _chapter(name: str, recorded: dict[str, dict[str, str]]) -> str:
    shapes = [f"\n`{form}`\n\n{_block(recorded[form][name])}" for form in FORMATS if name in recorded[form]]
    return f"\n## {name}\n" + "".join(shapes)


def _block(recorded: str) -> str:
    head, _, body = recorded.partition("\n\n")
    pretty = json.dumps(json.loads(body), indent=2)
    return f"```http\n{head}\n\n{pretty}\n```\n"


def write() -> None:
    """Write every golden file and the page anew."""
    GOLDEN.mkdir(exist_ok=True)
    for name in FORMATS:
        path_of(name).write_bytes(golden(name))
    PAGE.write_text(page())


if __name__ == "__main__":
    write()
    sys.stdout.write(f"written: {GOLDEN}, {PAGE}; read the difference before you commit it\n")
