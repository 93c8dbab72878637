"""The ``jenkins_job`` sink: starts a build of a job, and keeps the link to its place in the queue.

Jenkins, *Remote Access API* and *Parameterized Build*: ``POST /job/FOLDER/job/NAME/buildWithParameters``
(``build`` for a job without parameters) with a form; 201 with the queue item in ``Location``. Jenkins,
*Authenticating scripted clients*: a user's API token with basic authentication, which needs no crumb.
"""

from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import quote, urljoin

from pydantic import AfterValidator, Field

from bridge.config import BaseUrl, Secret, SinkSettings, TextOrSecret
from bridge.delivery.attempt_outcome import Outcome, Verdict, delivered
from bridge.delivery.http_status_outcome import Advice, interpret
from bridge.delivery.redirect_advice import leads_to_sign_in
from bridge.events.delivery_signatures import DELIVERY_ID_HEADER
from bridge.sinks.base import Delivery, Request, Response, Transport
from bridge.sinks.http_answer_reading import (
    answered,
    answered_elsewhere,
    basic,
    form,
    link_of,
    origin,
    said_in,
    with_secret,
)
from bridge.sinks.sink_templates import TemplateTable
from bridge.sinks.sink_type_definition import Kind
from bridge.sinks.templated_parameters import Texts

_MENDS = {
    400: (
        "the job does not take this: it has no parameters, or has some and was given none; mend the job or the "
        "sink's parameters, then run 'mlflow-bridge outbox redrive'"
    ),
    401: "Jenkins refuses the user or the token: it must be an API token of that user",
    403: (
        "the user may not build this job: it needs the permission Job/Build (and a password in place of an "
        "API token needs a crumb, which is not supported)"
    ),
    404: "no such job, or the user may not see it (Job/Read): check url, job and its folders",
    409: "the job is disabled",
}


def _job(name: str) -> str:
    parts = name.split("/")
    if not all(parts) or {".", ".."} & set(parts) or not name.isprintable():
        msg = 'must be the name of a job with its folders, such as "ml/deploy" (without "job/" in between)'
        raise ValueError(msg)
    return name


class JenkinsJobSettings(SinkSettings):
    """``type = "jenkins_job"``."""

    type: Literal["jenkins_job"]
    """`jenkins_job`: starts a build of a job."""
    url: BaseUrl
    """Where Jenkins is."""
    job: Annotated[str, AfterValidator(_job)]
    """The job's name, with its folders."""
    username: TextOrSecret
    """The user to sign in as, who needs *Job/Build*; as text or secret."""
    token: Secret
    """An API token of that user."""
    parameters: TemplateTable = Field(default_factory=dict)
    """The build's parameters, with `${…}` in their texts; none: a plain build."""

    def shapes(self) -> dict[str, Any]:
        """Return the templates of the parameters."""
        return {"parameters": self.parameters}

    @property
    def endpoint(self) -> str:
        """The URL for starting builds."""
        path = "".join(f"/job/{quote(part, safe='')}" for part in self.job.split("/"))
        return f"{self.url.rstrip('/')}{path}/{'buildWithParameters' if self.parameters else 'build'}"

    def origin(self) -> str:
        """Return Jenkins's origin and the job."""
        return f"{origin(self.url)} {self.job}"


class JenkinsJobSink:
    """`bridge.sinks.base.Sink` for `JenkinsJobSettings`."""

    def __init__(self, settings: JenkinsJobSettings, transport: Transport, timeout_ms: int) -> None:
        """Compose the sink."""
        self._settings = settings
        self._parameters = Texts("parameters", settings.parameters)
        self._transport = transport
        self._timeout_ms = timeout_ms

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Start the build once."""
        settings = self._settings
        parameters = self._parameters.of(delivery, settings.name)
        if isinstance(parameters, Outcome):
            return parameters
        username = with_secret(f"sinks.{settings.name}.username", settings.username)
        if isinstance(username, Outcome):
            return username
        token = with_secret(f"sinks.{settings.name}.token", settings.token)
        if isinstance(token, Outcome):
            return token
        request = self._request(delivery, username, token, parameters)
        answer = await self._transport.post(request)
        return answered(answer, lambda got: judge(got, delivery.now_ms, request))

    def _request(self, delivery: Delivery, username: str, token: str, parameters: dict[str, str]) -> Request:
        settings = self._settings
        signed = basic(username, token)
        known = () if isinstance(settings.username, str) else (username,)
        return Request(
            url=settings.endpoint,
            headers={
                "Authorization": signed,
                "Content-Type": "application/x-www-form-urlencoded",
                DELIVERY_ID_HEADER: delivery.event.id,
            },
            body=form(parameters),
            timeout_ms=self._timeout_ms,
            secrets=(token, signed.partition(" ")[2], *known),
        )


def judge(answer: Response, now_ms: int, request: Request) -> Outcome:
    """Return the outcome of Jenkins's answer."""
    advice = Advice("url", request.url, _MENDS, partial(_moved, request.url), is_timed=False)
    outcome = interpret(answer.status, answer.headers, now_ms, said_in(answer), advice)
    if outcome.verdict is not Verdict.DELIVERED:
        return outcome
    if answer.status != 201:
        return answered_elsewhere(answer, now_ms, "Jenkins", "201 with the place in its queue", "url")
    return delivered(answer.status, _queued(answer, request))


def _moved(url: str, target: str) -> str:
    if target.rstrip("/") == url.rpartition("/")[0]:  # the job's own page
        return "Jenkins put nothing into its queue (it shuts down, or a plugin keeps the job from being queued): see its log"
    if leads_to_sign_in(target, url):
        return (
            "Jenkins (or a gateway before it) wants the user to sign in: check username and token, which must be an "
            "API token of that user"
        )
    return ""


def _queued(answer: Response, request: Request) -> str:
    location = answer.headers.get("location")
    try:
        return link_of(urljoin(request.url, location), request.secrets) if location else ""
    except ValueError:  # not a URL
        return ""


KIND = Kind(JenkinsJobSettings, JenkinsJobSink, is_http=True)
