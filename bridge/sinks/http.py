"""The ``http`` sink: a signed POST to any URL."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from bridge.config import HttpUrl, Secret, SinkSettings
from bridge.delivery.answers import interpret
from bridge.delivery.outcome import Outcome
from bridge.events.formats import FORMATS, encode
from bridge.events.shapes import compile_shape
from bridge.events.signatures import DELIVERY_ID_HEADER, SIGNATURES
from bridge.sinks.base import Delivery, Request, Transport
from bridge.sinks.shared import answered, origin, with_secret
from bridge.sinks.templates import rendered

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.+-]+)*", re.ASCII)
_TEMPLATE_ONLY = 'is used by format = "template" only'


def _media_type(text: str) -> str:
    if not _MEDIA_TYPE.fullmatch(text):
        msg = 'must be a media type, such as "application/json; charset=utf-8"'
        raise ValueError(msg)
    return text


class HttpSettings(SinkSettings):
    """``type = "http"``."""

    type: Literal["http"]
    url: HttpUrl
    format: Literal["mlflow", "template"] = "mlflow"
    body: Any = Field(default=None, validate_default=True)
    content_type: Annotated[str, AfterValidator(_media_type)] | None = None
    signature: Literal["mlflow", "none"] | None = None
    secret: Secret | None = Field(default=None, validate_default=True)

    @field_validator("body")
    @classmethod
    def _body_fits(cls, value: Any, info: ValidationInfo) -> Any:
        is_template = info.data.get("format", "template") == "template"
        if value is None and is_template and "format" in info.data:
            msg = 'is missing: format = "template" needs it: body = { text = "${model_name} v${model_version}" }'
            raise ValueError(msg)
        if value is not None and not is_template:
            raise ValueError(_TEMPLATE_ONLY)
        if value is not None:
            compile_shape(value)
        return value

    @field_validator("content_type")
    @classmethod
    def _content_type_fits(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("format", "template") != "template":
            raise ValueError(_TEMPLATE_ONLY)
        return value

    @field_validator("secret")
    @classmethod
    def _secret_fits(cls, value: Secret | None, info: ValidationInfo) -> Secret | None:
        signature = info.data.get("signature")
        if value is None and signature not in {None, "none"}:
            msg = f'is missing: signature = "{signature}" needs it: secret = {{ env = "NAME" }}'
            raise ValueError(msg)
        if value is not None and signature == "none":
            msg = 'is not used by signature = "none": remove one of the two'
            raise ValueError(msg)
        return value

    @property
    def scheme(self) -> str:
        """How bodies are signed: as asked for, else as MLflow does where there is a secret."""
        return self.signature or ("mlflow" if self.secret else "none")

    def shapes(self) -> dict[str, Any]:
        """Return the template of the body, where there is one."""
        return {"body": self.body} if self.format == "template" else {}

    def origin(self) -> str:
        """Return scheme, host and port of the URL: paths and queries may hold secrets."""
        return origin(self.url)


class HttpSink:
    """`bridge.sinks.base.Sink` for `HttpSettings`."""

    def __init__(self, settings: HttpSettings, transport: Transport, timeout_ms: int) -> None:
        """Wire the sink."""
        self._settings = settings
        self._transport = transport
        self._timeout_ms = timeout_ms
        self._shape = compile_shape(settings.body) if settings.format == "template" else None

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Render, sign and POST the event once."""
        secret = with_secret(f"sinks.{self._settings.name}.secret", self._settings.secret)
        if isinstance(secret, Outcome):
            return secret
        body = self._body(delivery)
        if isinstance(body, Outcome):
            return body
        answer = await self._transport.post(self._request(delivery, secret, body))
        return answered(answer, lambda got: interpret(got.status, got.headers, delivery.now_ms))

    def _body(self, delivery: Delivery) -> bytes | Outcome:
        """Return the body, or why there is none."""
        settings = self._settings
        if self._shape is None:
            return FORMATS[settings.format](delivery.event, delivery.event_name, settings.name)
        value = rendered("body", self._shape, delivery, settings.name)
        return value if isinstance(value, Outcome) else encode(value)

    def _request(self, delivery: Delivery, secret: str, body: bytes) -> Request:
        """Return what goes over the wire for ``delivery``."""
        return Request(
            url=self._settings.url,
            headers=self._headers(delivery, secret, body),
            body=body,
            timeout_ms=self._timeout_ms,
            secrets=(secret,) if secret else (),
        )

    def _headers(self, delivery: Delivery, secret: str, body: bytes) -> Mapping[str, str]:
        sign = SIGNATURES[self._settings.scheme]
        return {
            "Content-Type": self._settings.content_type or "application/json",
            DELIVERY_ID_HEADER: delivery.event.id,
            **sign(secret, delivery.event.id, delivery.now_ms // 1000, body),
        }
