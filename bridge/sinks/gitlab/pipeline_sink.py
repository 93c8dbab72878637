"""The ``gitlab_pipeline`` sink: starts a pipeline with a trigger token, and keeps the link to it.

GitLab, *Pipeline triggers API*: ``POST /api/v4/projects/{id or path}/trigger/pipeline`` with a form of
``token``, ``ref`` and ``variables[NAME]``; 201 with the pipeline, including ``web_url``. GitLab creates about
25 pipelines a minute for a project, and reports this limit with a 400 or a 429.
"""

import re
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field

from bridge.config import BaseUrl, Secret, SinkSettings, TextOrNumber
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict, delivered, retryable
from bridge.delivery.http_status_outcome import Advice, interpret
from bridge.delivery.redirect_advice import leads_to_sign_in
from bridge.events.delivery_signatures import DELIVERY_ID_HEADER
from bridge.sinks.base import Delivery, Request, Response, Transport
from bridge.sinks.http_answer_reading import (
    answered,
    answered_elsewhere,
    form,
    is_no_word_of_api,
    is_page,
    link_of,
    origin,
    said_in,
    text_in,
    with_secret,
)
from bridge.sinks.sink_templates import TemplateTable
from bridge.sinks.sink_type_definition import Kind
from bridge.sinks.templated_parameters import Texts

_PROJECT = re.compile(r"[0-9]+|[\w.-]+(/[\w.-]+)+", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z0-9_]{1,255}")
_THROTTLED = "too many pipelines created"
_THROTTLED_MS = 60_000
_ANSWER_BYTES = 65_536
_MENDS = {
    401: "GitLab refuses the token: it must be a pipeline trigger token of this project",
    403: "the owner of the trigger token may not run pipelines for this ref (a protected branch, say)",
    404: (
        "no such project, or the token is none of its pipeline trigger tokens (an access token will not do): "
        "check url, project and token"
    ),
}
_BAD_REQUEST = (
    "GitLab makes no pipeline of this: there is no such ref, its .gitlab-ci.yml is wrong, or its rules run "
    "nothing for triggers; mend that, then run 'mlflow-bridge outbox redrive'"
)


def _project(name: str) -> str:
    if not _PROJECT.fullmatch(name):
        msg = 'must be the path of a project, such as "acme/deploy", or its id'
        raise ValueError(msg)
    return name


def _without_api(url: str) -> str:
    """Return the URL of GitLab, even if the URL of its API was given."""
    return url.removesuffix("/api/v4")


def _named(variables: dict[str, object]) -> dict[str, object]:
    for name in variables:
        if not _VARIABLE.fullmatch(name):
            msg = f"{name!r} cannot be the name of a variable: letters, digits and underscores can"
            raise ValueError(msg)
    return variables


class GitlabPipelineSettings(SinkSettings):
    """``type = "gitlab_pipeline"``."""

    type: Literal["gitlab_pipeline"]
    """`gitlab_pipeline`: starts a pipeline."""
    project: Annotated[TextOrNumber, AfterValidator(_project)]
    """The project's path, or its id."""
    ref: Annotated[str, Field(min_length=1, max_length=255)]
    """The branch or tag to run it on, 1 to 255 characters."""
    token: Secret
    """A pipeline trigger token of the project; an access token will not do."""
    variables: Annotated[TemplateTable, AfterValidator(_named)] = Field(default_factory=dict)
    """The pipeline's variables, with `${…}` in their texts."""
    url: Annotated[BaseUrl, AfterValidator(_without_api)] = "https://gitlab.com"
    """Where GitLab is."""

    def shapes(self) -> dict[str, Any]:
        """Return the templates of the variables."""
        return {"variables": self.variables}

    @property
    def endpoint(self) -> str:
        """The URL for starting pipelines."""
        return f"{self.url.rstrip('/')}/api/v4/projects/{quote(self.project, safe='')}/trigger/pipeline"

    def origin(self) -> str:
        """Return GitLab's origin and the project."""
        return f"{origin(self.url)} {self.project}"

    @classmethod
    def default_rate_ms(cls) -> int:
        """Return the spacing, in ms, that keeps to GitLab's limit: ``rate = "25/m"``."""
        return 2_400


class GitlabPipelineSink:
    """`bridge.sinks.base.Sink` for `GitlabPipelineSettings`."""

    def __init__(self, settings: GitlabPipelineSettings, transport: Transport, timeout_ms: int) -> None:
        """Compose the sink."""
        self._settings = settings
        self._variables = Texts("variables", settings.variables)
        self._transport = transport
        self._timeout_ms = timeout_ms

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Start the pipeline once."""
        settings = self._settings
        variables = self._variables.of(delivery, settings.name)
        if isinstance(variables, Outcome):
            return variables
        token = with_secret(f"sinks.{settings.name}.token", settings.token)
        if isinstance(token, Outcome):
            return token
        answer = await self._transport.post(self._request(delivery, token, variables))
        return answered(answer, lambda got: judge(got, delivery.now_ms, token))

    def _request(self, delivery: Delivery, token: str, variables: dict[str, str]) -> Request:
        named = {f"variables[{name}]": value for name, value in variables.items()}
        return Request(
            url=self._settings.endpoint,
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                DELIVERY_ID_HEADER: delivery.event.id,
            },
            body=form({"token": token, "ref": self._settings.ref, **named}),
            timeout_ms=self._timeout_ms,
            secrets=(token,),
            reads=_ANSWER_BYTES,
        )


def judge(answer: Response, now_ms: int, token: str) -> Outcome:
    """Return the outcome of GitLab's answer; its limit on pipelines can be a 400, and an HTML page is not its answer."""
    if answer.status == 400 and _THROTTLED in answer.excerpt.lower():
        detail = "HTTP 400: GitLab's limit on pipelines a minute"
        return retryable(Reason.RATE_LIMITED, detail, answer.status, _THROTTLED_MS)
    outcome = interpret(answer.status, answer.headers, now_ms, said_in(answer), _ADVICE)
    if outcome.verdict is Verdict.DELIVERED:
        if answer.status != 201 or is_page(answer):
            return answered_elsewhere(answer, now_ms, "GitLab", "201 with the pipeline", "url")
        return delivered(answer.status, link_of(text_in(answer.body, "web_url"), (token,)))
    if is_no_word_of_api(answer, outcome):
        return answered_elsewhere(answer, now_ms, "GitLab", "in JSON", "url")
    return outcome


def _moved(target: str) -> str:
    if leads_to_sign_in(target):
        return "it leads to a page for signing in: check url, and whether a gateway before GitLab wants a credential"
    return ""


_ADVICE = Advice("url", statuses={**_MENDS, 400: _BAD_REQUEST}, moved=_moved, is_timed=False)


KIND = Kind(GitlabPipelineSettings, GitlabPipelineSink, is_http=True)
