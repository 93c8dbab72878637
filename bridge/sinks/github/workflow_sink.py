"""The ``github_workflow`` sink: starts one GitHub workflow, and keeps the link to its run.

GitHub REST API, *Create a workflow dispatch event*: ``POST /repos/{owner}/{repo}/actions/workflows/{file or
id}/dispatches`` with ``ref``, at most 25 ``inputs``, and ``return_run_details``, for which it answers 200
with the run instead of 204. GitHub, *Events that trigger workflows*: inputs of 65,535 characters at most.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bridge.config import TextOrNumber
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict, delivered, rejected
from bridge.events.formats import encode
from bridge.sinks.base import Delivery, Response, Transport
from bridge.sinks.github.api_requests import GithubApi
from bridge.sinks.github.github_settings import GithubSettings, judge, mends
from bridge.sinks.http_answer_reading import answered_elsewhere, link_of, members_of, text_in
from bridge.sinks.sink_templates import TemplateTable
from bridge.sinks.sink_type_definition import Kind
from bridge.sinks.templated_parameters import Texts

MAX_INPUTS = 25
SERVERS_MAX_INPUTS = 10
"""The limit of GitHub Enterprise Server up to 3.19."""

MAX_INPUT_CHARACTERS = 65_535
_WORKFLOW = re.compile(r"[0-9]+|[\w.-]+\.ya?ml", re.ASCII)
_DETAILS = "return_run_details"
_RUN = frozenset(("workflow_run_id", "run_url", "html_url", "id"))
_UNPROCESSABLE = (
    "the workflow does not take this: it has no workflow_dispatch trigger, does not declare an input or requires "
    "another one, or there is no such ref; mend the workflow or the sink, then run 'mlflow-bridge outbox redrive'"
)


def _workflow(name: str) -> str:
    if not _WORKFLOW.fullmatch(name):
        msg = 'must be the name of a file in .github/workflows, such as "deploy.yml", or the id of a workflow'
        raise ValueError(msg)
    return name


def _few(inputs: dict[str, object]) -> dict[str, object]:
    if len(inputs) > MAX_INPUTS:
        msg = f"are {len(inputs)}: GitHub takes {MAX_INPUTS}"
        raise ValueError(msg)
    return inputs


class GithubWorkflowSettings(GithubSettings):
    """``type = "github_workflow"``."""

    type: Literal["github_workflow"]
    """`github_workflow`: starts one workflow that is `on: workflow_dispatch`. Needs *Actions: write*."""
    workflow: Annotated[TextOrNumber, AfterValidator(_workflow)]
    """The name of its file in `.github/workflows`, or its id."""
    ref: Annotated[str, Field(min_length=1, max_length=255)]
    """The branch or tag to run it on, 1 to 255 characters."""
    inputs: Annotated[TemplateTable, AfterValidator(_few)] = Field(default_factory=dict)
    """The inputs that the workflow declares, with `${…}` in their texts, 25 at most."""

    def shapes(self) -> dict[str, Any]:
        """Return the templates of the inputs."""
        return {"inputs": self.inputs}

    def remarks(self) -> Iterator[str]:
        """Yield the remarks of every sink, and one if there are more inputs than an older server accepts."""
        yield from super().remarks()
        number = len(self.inputs)
        if number > SERVERS_MAX_INPUTS and self.is_server:
            yield f"inputs: are {number}: GitHub Enterprise Server up to 3.19 takes {SERVERS_MAX_INPUTS}"


class GithubWorkflowSink:
    """`bridge.sinks.base.Sink` for `GithubWorkflowSettings`."""

    def __init__(self, settings: GithubWorkflowSettings, transport: Transport, timeout_ms: int) -> None:
        """Compose the sink."""
        self._settings = settings
        self._inputs = Texts("inputs", settings.inputs)
        self._api = GithubApi(settings, "actions", transport, timeout_ms)
        nowhere = "no such repository or workflow"
        said = mends("Actions: write", nowhere, by_app=settings.app is not None)
        self._mends = {**said, 422: _UNPROCESSABLE}
        self._asks_details = True

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Start the workflow once, if the inputs are within GitHub's limits."""
        settings = self._settings
        inputs = self._inputs.of(delivery, settings.name)
        if isinstance(inputs, Outcome):
            return inputs
        size = len(encode(inputs))
        if size > MAX_INPUT_CHARACTERS:
            return rejected(
                Reason.LIMIT, f"inputs have {size} characters, GitHub takes {MAX_INPUT_CHARACTERS}"
            )
        outcome = await self._start(delivery, inputs)
        if outcome.status == 422 and _DETAILS in outcome.detail and self._asks_details:
            self._asks_details = (
                False  # nothing was started: GitHub Enterprise Server of before 2026 does not know this key
            )
            outcome = await self._start(delivery, inputs)
        return outcome

    async def _start(self, delivery: Delivery, inputs: dict[str, str]) -> Outcome:
        settings = self._settings
        details = {_DETAILS: True} if self._asks_details else {}
        body = encode({"ref": settings.ref, "inputs": inputs, **details})
        path = f"/repos/{settings.repository}/actions/workflows/{settings.workflow}/dispatches"
        return await self._api.post(path, body, delivery, self._judge)

    def _judge(self, answer: Response, token: str, now_ms: int) -> Outcome:
        outcome = judge(answer, now_ms, self._mends)
        if outcome.verdict is not Verdict.DELIVERED:
            return outcome
        if answer.status != 204 and not _is_run(answer):
            return answered_elsewhere(answer, now_ms, "GitHub", "204, or 200 with the run", "api_url")
        return delivered(answer.status, link_of(text_in(answer.body, "html_url"), (token,)))


def _is_run(answer: Response) -> bool:
    """Whether an answer describes a run, with the members of GitHub, or of Forgejo (which answers 201).

    Incomplete JSON counts as well: the run was started, and must not be started again.
    """
    found = members_of(answer.body)
    return not _RUN.isdisjoint(found) or (not found and "json" in answer.headers.get("content-type", ""))


KIND = Kind(GithubWorkflowSettings, GithubWorkflowSink, is_http=True)
