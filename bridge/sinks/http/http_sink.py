"""The ``http`` sink: a signed request to any URL."""

import re
from collections.abc import Awaitable, Iterator, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from bridge.config import OneOrMoreSecrets, Secret, by_key
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict, retryable
from bridge.delivery.http_status_outcome import Advice, interpret
from bridge.events.delivery_signatures import (
    DELIVERY_ID_HEADER,
    SEQUENCE_HEADER,
    SIGNATURES,
    USUAL,
    spellings_of,
)
from bridge.events.event_names import EVENT_NAMES
from bridge.events.formats import FORMATS, Body, encode, formats_for, takes_details, tells, unsupported_events
from bridge.events.json_templates import compile_shape
from bridge.sinks.base import EXCERPT_BYTES, Delivery, Request, Response, Transport
from bridge.sinks.http.oauth2_tokens import with_bearer
from bridge.sinks.http.request_options import AddressedSettings, access_tokens, addressed
from bridge.sinks.http_answer_reading import answered, origin, said_in, with_secret
from bridge.sinks.sink_templates import rendered
from bridge.sinks.sink_type_definition import Kind
from bridge.sinks.success_condition import JUDGED_BYTES, SuccessCondition, outcome_of_success
from bridge.sinks.token_cache import sent_with_token

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.+-]+)*", re.ASCII)
_UNAUTHORIZED = (
    "the receiver refuses the access token, a fresh one too: check oauth2 (its scope, its audience), and "
    "whether the receiver trusts the server at token_url"
)
_TEMPLATE_ONLY = 'is used by format = "template" only'


def _media_type(text: str) -> str:
    if not _MEDIA_TYPE.fullmatch(text):
        msg = 'must be a media type, such as "application/json; charset=utf-8"'
        raise ValueError(msg)
    return text


class HttpSettings(AddressedSettings):
    """``type = "http"``."""

    type: Literal["http"]
    """`http`: a signed request to any URL."""
    format: Literal[
        "mlflow",
        "databricks",
        "registry",
        "mlflow3",
        "standard",
        "cloudevents",
        "cloudevents-binary",
        "template",
    ] = "mlflow"
    """The shape of the body."""
    body: Any = Field(default=None, validate_default=True)
    """The body, of any shape, with `${…}` in its texts; goes with `format = "template"`, and only with it."""
    content_type: Annotated[str, AfterValidator(_media_type)] | None = None
    """The media type of that body; `application/json` where it is left out."""
    signature: Literal["mlflow", "databricks", "registry", "github", "standard", "none"] | None = None
    """How requests are signed. Left out: the format's own way, else `mlflow`, where there is a `secret`; `none` where there is not."""
    secret: OneOrMoreSecrets | None = Field(default=None, validate_default=True)
    """What requests are signed with; several while one is replaced by another."""
    success: SuccessCondition | None = None
    """A JMESPath expression over a 2xx answer (`status`, `headers`, `body`, `text`) that has to be true for it to count as delivered; left out: every 2xx does."""

    @field_validator("format")
    @classmethod
    def _tells_of_what_is_asked_for(cls, value: str, info: ValidationInfo) -> str:
        events = info.data.get("events", ())
        missing = unsupported_events(value, events)
        if missing:
            able = formats_for(EVENT_NAMES[name].kind for name in events)
            msg = (
                f"{value!r} cannot tell of {', '.join(missing)}, which the sink "
                f"{info.data.get('name', '')!r} asks for: {', '.join(able)} can"
            )
            raise ValueError(msg)
        if info.data.get("include") and not takes_details(value):
            places = ", ".join(name for name in FORMATS if takes_details(name))
            msg = f"{value!r} has no place for what include asks for: {places} and template have"
            raise ValueError(msg)
        return value

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
    def _secret_fits(
        cls, value: Secret | tuple[Secret, ...] | None, info: ValidationInfo
    ) -> Secret | tuple[Secret, ...] | None:
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
        """The signature scheme: the configured one, else the format's if there is a secret, else none."""
        return self.signature or (USUAL.get(self.format, "mlflow") if self.secret else "none")

    def signing(self) -> dict[str, Secret]:
        """Return the secrets that sign, by key: all of them if the scheme takes several, else the first."""
        keys = list(by_key("secret", self.secret).items())
        return dict(keys if SIGNATURES[self.scheme].takes_several else keys[:1])

    def remarks(self) -> Iterator[str]:
        """Yield the remarks of every sink, and one if several secrets are given but only one signature is sent."""
        yield from super().remarks()
        unused = len(by_key("secret", self.secret)) - len(self.signing())
        if unused > 0:
            yield f"secret: signature {self.scheme!r} is one signature: made with the first secret, the others are not used"

    def misfit(self, key: str, value: str) -> str:
        """Return why a secret cannot be used by the signature scheme, or nothing."""
        return SIGNATURES[self.scheme].fault(value) if key in self.signing() else ""

    def shapes(self) -> dict[str, Any]:
        """Return the template of the body, if there is one."""
        return {"body": self.body} if self.format == "template" else {}

    def origin(self) -> str:
        """Return scheme, host and port of the URL: paths and queries may hold secrets."""
        return origin(self.url)


class HttpSink:
    """`bridge.sinks.base.Sink` for `HttpSettings`."""

    def __init__(self, settings: HttpSettings, transport: Transport, timeout_ms: int) -> None:
        """Compose the sink."""
        self._settings = settings
        self._transport = transport
        self._timeout_ms = timeout_ms
        self._tokens = access_tokens(settings, transport, timeout_ms)
        self._shape = compile_shape(settings.body) if settings.format == "template" else None
        statuses = {} if self._tokens is None else {int(HTTPStatus.UNAUTHORIZED): _UNAUTHORIZED}
        self._advice = Advice(url=settings.url, statuses=statuses)

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Render, sign and send the event once."""
        settings = self._settings
        kind = delivery.event.type
        if not tells(settings.format, kind):  # the format has changed since the event was routed
            detail = (
                f"the format {settings.format!r} cannot tell of {kind}: {', '.join(formats_for([kind]))} can"
            )
            return retryable(Reason.MISCONFIGURED, detail)
        secrets = self._secrets()
        if isinstance(secrets, Outcome):
            return secrets
        request = self.request(delivery, secrets)
        if isinstance(request, Outcome):
            return request
        answer = await self._sent(request, delivery.now_ms)
        return answered(answer, lambda got: self._judge(got, delivery.now_ms))

    async def _sent(self, request: Request, now_ms: int) -> Response | Outcome:
        """Make the request once, with an access token if one is needed."""
        if self._tokens is None:
            return await self._transport.post(request)

        def send(token: str) -> Awaitable[Response | Outcome]:
            return self._transport.post(with_bearer(request, token))

        answer, _ = await sent_with_token(self._tokens, now_ms, self._timeout_ms, send)
        return answer

    def _judge(self, answer: Response, now_ms: int) -> Outcome:
        outcome = interpret(answer.status, answer.headers, now_ms, said_in(answer), self._advice)
        condition = self._settings.success
        if outcome.verdict is not Verdict.DELIVERED or condition is None:
            return outcome
        return outcome_of_success(condition, answer, now_ms)

    def _secrets(self) -> tuple[str, ...] | Outcome:
        """Return the present secrets to sign with, or the outcome if one cannot be used."""
        found: list[str] = []
        fault = SIGNATURES[self._settings.scheme].fault
        for key, secret in self._settings.signing().items():
            where = f"sinks.{self._settings.name}.{key}"
            value = with_secret(where, secret)
            if isinstance(value, Outcome):
                return value
            misfit = fault(value)
            if misfit:
                return retryable(Reason.SECRET, f"{where}: {secret}: {misfit}")
            found.append(value)
        return tuple(found)

    def _body(self, delivery: Delivery) -> Body | Outcome:
        """Return the body, or the outcome if there is none."""
        settings = self._settings
        if self._shape is None:
            render = FORMATS[settings.format].render
            return render(delivery.event, delivery.event_name, settings.name, delivery.now_ms)
        value = rendered("body", self._shape, delivery, settings.name)
        if isinstance(value, Outcome):
            return value
        return Body(encode(value), settings.content_type or "application/json")

    def request(self, delivery: Delivery, secrets: tuple[str, ...]) -> Request | Outcome:
        """Return the HTTP request for ``delivery``, or the outcome if none can be made."""
        body = self._body(delivery)
        if isinstance(body, Outcome):
            return body
        signed = Request(
            url=self._settings.url,
            headers=self._headers(delivery, secrets, body),
            body=body.content,
            timeout_ms=self._timeout_ms,
            secrets=tuple(spelled for secret in secrets for spelled in spellings_of(secret)),
            reads=EXCERPT_BYTES if self._settings.success is None else JUDGED_BYTES,
            needs_body=self._settings.success is not None,
        )
        return addressed(self._settings, signed)

    def _headers(self, delivery: Delivery, secrets: tuple[str, ...], body: Body) -> Mapping[str, str]:
        sign = SIGNATURES[self._settings.scheme].sign
        event_id = delivery.event.id
        return {
            "Content-Type": body.content_type,
            DELIVERY_ID_HEADER: event_id,
            **({SEQUENCE_HEADER: str(delivery.sequence)} if delivery.sequence else {}),
            **body.headers,
            **sign(secrets, event_id, delivery.now_ms // 1000, body.content),
        }


KIND = Kind(HttpSettings, HttpSink, is_http=True)
