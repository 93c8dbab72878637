"""The public interface for packages that add sinks; everything here and in `bridge.testing` is stable.

A package registers a `Kind` in the entry point group ``mlflow_bridge.sinks``, under the name that
a configuration gives as ``type``. `docs/writing-a-sink.md` explains it with a complete package.
No other module of the bridge is public: they change without notice.

Within one version of `INTERFACE`, names keep their meaning; classes and functions gain only
optional members and arguments. A change that breaks a
sink raises `INTERFACE`, and is announced in the changelog.
"""

from bridge.config import Duration, HttpUrl, Model, Secret, SinkSettings, TextOrSecret
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict, delivered, rejected, retryable
from bridge.delivery.http_status_outcome import interpret
from bridge.delivery.secret_masking import mask
from bridge.diff.registry_changes import ChangeKind
from bridge.events.delivery_signatures import DELIVERY_ID_HEADER, mlflow_signature
from bridge.events.event import Event
from bridge.events.formats import default_payload, encode, webhook_id
from bridge.pipeline.worker_threads import in_thread
from bridge.sinks.base import Delivery, Request, Response, Sink, Transport
from bridge.sinks.http_answer_reading import answered, basic, link_of, origin, with_header_secret, with_secret
from bridge.sinks.sink_templates import TemplateTable
from bridge.sinks.sink_type_definition import INTERFACE, Kind
from bridge.sinks.templated_parameters import Texts

__all__ = [
    "DELIVERY_ID_HEADER",
    "INTERFACE",
    "ChangeKind",
    "Delivery",
    "Duration",
    "Event",
    "HttpUrl",
    "Kind",
    "Model",
    "Outcome",
    "Reason",
    "Request",
    "Response",
    "Secret",
    "Sink",
    "SinkSettings",
    "TemplateTable",
    "TextOrSecret",
    "Texts",
    "Transport",
    "Verdict",
    "answered",
    "basic",
    "default_payload",
    "delivered",
    "encode",
    "in_thread",
    "interpret",
    "link_of",
    "mask",
    "mlflow_signature",
    "origin",
    "rejected",
    "retryable",
    "webhook_id",
    "with_header_secret",
    "with_secret",
]
