"""The ``http`` sink: a signed POST to any URL."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from bridge.config import HttpUrl, Secret, SinkSettings
from bridge.delivery.answers import interpret
from bridge.delivery.outcome import Outcome
from bridge.events.formats import FORMATS
from bridge.events.signatures import DELIVERY_ID_HEADER, SIGNATURES
from bridge.sinks.base import Delivery, Request, Transport
from bridge.sinks.shared import answered, origin, with_secret


class HttpSettings(SinkSettings):
    """``type = "http"``."""

    type: Literal["http"]
    url: HttpUrl
    format: Literal["mlflow"] = "mlflow"
    signature: Literal["mlflow", "none"] | None = None
    secret: Secret | None = Field(default=None, validate_default=True)

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

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Render, sign and POST the event once."""
        secret = with_secret(f"sinks.{self._settings.name}.secret", self._settings.secret)
        if isinstance(secret, Outcome):
            return secret
        answer = await self._transport.post(self.request(delivery, secret))
        return answered(answer, lambda got: interpret(got.status, got.headers, delivery.now_ms))

    def request(self, delivery: Delivery, secret: str) -> Request:
        """Return what goes over the wire for ``delivery``."""
        settings = self._settings
        body = FORMATS[settings.format](delivery.event, delivery.event_name, settings.name)
        return Request(
            url=settings.url,
            headers=self._headers(delivery, secret, body),
            body=body,
            timeout_ms=self._timeout_ms,
            secrets=(secret,) if secret else (),
        )

    def _headers(self, delivery: Delivery, secret: str, body: bytes) -> Mapping[str, str]:
        sign = SIGNATURES[self._settings.scheme]
        return {
            "Content-Type": "application/json",
            DELIVERY_ID_HEADER: delivery.event.id,
            **sign(secret, delivery.event.id, delivery.now_ms // 1000, body),
        }
