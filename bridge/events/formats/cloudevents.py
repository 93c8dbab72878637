"""The formats ``cloudevents`` and ``cloudevents-binary``: CloudEvents 1.0 over HTTP.

They follow CloudEvents 1.0.2, its *JSON Event Format* and its *HTTP Protocol Binding*. ``type`` is the
event's name, as in all formats; ``data`` is the default body. ``source`` is ``/mlflow-bridge/{sink}``: it is
stable as long as the sink keeps its name, and reveals nothing of the registry. Each sink is a source of its
own, because one sink may send a change under a narrower name than another. ``subject`` is MLflow's own URI of
the model or version.
"""

import re
from urllib.parse import quote

from bridge.events.event import Event
from bridge.events.formats.shared_body_values import Body, default_payload, encode, rfc3339, webhook_id

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""Characters that no attribute may hold (CloudEvents, *Type System*): controls, surrogates, noncharacters."""

_AS_IT_IS = "".join(char for char in map(chr, range(0x21, 0x7F)) if char not in '"%')
"""Characters that stay unescaped in a header (*HTTP Protocol Binding*, 3.1.3.2); others are percent-encoded."""


def structured(event: Event, event_name: str, sink: str, _now_ms: int) -> Body:
    """Render ``event`` with its attributes beside the data."""
    whole = {**_attributes(event, event_name, sink), "data": _data(event, event_name, sink)}
    return Body(encode(whole), "application/cloudevents+json")


def binary(event: Event, event_name: str, sink: str, _now_ms: int) -> Body:
    """Render ``event`` with its attributes in headers; the body is the default body."""
    attributes = _attributes(event, event_name, sink)
    content_type = attributes.pop("datacontenttype")
    headers = {f"ce-{name}": quote(value, safe=_AS_IT_IS) for name, value in attributes.items()}
    return Body(encode(_data(event, event_name, sink)), content_type, headers)


def _attributes(event: Event, event_name: str, sink: str) -> dict[str, str]:
    version = f"/{event.model_version}" if event.model_version is not None else ""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/mlflow-bridge/{sink}",
        "type": event_name,
        "subject": _UNFIT.sub("\ufffd", f"models:/{event.model_name}{version}"),
        "time": rfc3339(event.timestamp),
        "datacontenttype": "application/json",
    }


def _data(event: Event, event_name: str, sink: str) -> dict[str, object]:
    return default_payload(event, event_name, ("webhook_id", webhook_id(sink)))
