"""GitLab: pipelines by a trigger token."""

import pytest
from pydantic import ValidationError
from support.ci import form_of, gitlab
from support.receiver import Answer, Receiver
from support.sinks import DELIVERY, NOW, attempt, settings_of
from support.values import transition

from bridge.delivery.attempt_outcome import Reason, Verdict
from bridge.sinks.base import Delivery

SECRET = "glptt-s3cret/+="
PIPELINE = {
    "project": "acme/deploy",
    "ref": "main",
    "token": {"env": "SINK_SECRET"},
    "variables": {"MODEL": "${model_name}", "VERSION": "v${model_version}", "DELIVERY": "${delivery_id}"},
}


@pytest.fixture(autouse=True)
def secret(monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", SECRET)


@pytest.fixture
def receiver():
    receiver = Receiver(gitlab(SECRET))
    yield receiver
    receiver.stop()


async def run(receiver, delivery: Delivery = DELIVERY, **more):
    return await attempt("gitlab_pipeline", delivery, **{**PIPELINE, "url": receiver.url, **more})


async def test_a_pipeline_is_asked_for_as_a_form_and_its_link_is_kept(receiver) -> None:
    outcome = await run(receiver)

    (got,) = receiver.got
    assert (outcome.verdict, outcome.status) == (Verdict.DELIVERED, 201)
    assert outcome.link == "https://gitlab.example.com/acme/deploy/-/pipelines/257"
    assert got.path == "/api/v4/projects/acme%2Fdeploy/trigger/pipeline"
    assert form_of(got) == {
        "token": SECRET,
        "ref": "main",
        "variables[MODEL]": "fraud",
        "variables[VERSION]": "v1",
        "variables[DELIVERY]": "event-1",
    }


@pytest.mark.parametrize("name", ["a&ref=evil", "x=1;y", "\N{SNOWMAN} %41+", "\ud800", "a\r\nb\0"])
async def test_no_name_in_the_registry_alters_the_form_around_it(name, receiver) -> None:
    outcome = await run(receiver, Delivery(transition(model=name), "X", NOW))

    assert outcome.verdict is Verdict.DELIVERED
    assert form_of(receiver.got[0])["ref"] == "main"
    assert form_of(receiver.got[0])["variables[MODEL]"] == name.replace("\ud800", "?")


async def test_a_project_may_be_given_by_its_id(receiver) -> None:
    receiver.answer = gitlab(SECRET, "42")

    assert (await run(receiver, project=42)).verdict is Verdict.DELIVERED


async def test_a_token_of_another_kind_is_explained(receiver, monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", "glpat-access")

    outcome = await run(receiver)

    assert (outcome.reason, outcome.status) == (Reason.MISCONFIGURED, 404)
    assert "pipeline trigger token" in outcome.detail


async def test_a_ref_that_is_not_there_is_dead_at_once_and_explained(receiver) -> None:
    outcome = await run(receiver, ref="gone")

    assert (outcome.verdict, outcome.status) == (Verdict.REJECTED, 400)
    assert "there is no such ref" in outcome.detail
    assert "Reference not found" in outcome.detail


async def test_a_limit_that_comes_as_400_is_waited_for(receiver) -> None:
    receiver.answer = gitlab(SECRET, is_throttled=True)

    outcome = await run(receiver)

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.RATE_LIMITED)
    assert outcome.retry_after_ms == 60_000


async def test_a_403_is_explained(receiver) -> None:
    receiver.answer = Answer(403)

    assert "may not run pipelines" in (await run(receiver)).detail


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"project": "deploy"}, "project"),
        ({"project": "acme/../x?"}, "project"),
        ({"ref": ""}, "ref"),
        ({"variables": {"a]b": "x"}}, "variables"),
        ({"variables": {"A": "${"}}, "variables"),
        ({"url": "ftp://x"}, "url"),
    ],
)
def test_what_cannot_work_is_found_when_it_is_configured(change, key) -> None:
    with pytest.raises(ValidationError) as found:
        settings_of("gitlab_pipeline", **{**PIPELINE, **change})

    assert {fault["loc"][0] for fault in found.value.errors()} == {key}
