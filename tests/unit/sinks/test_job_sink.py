"""Jenkins: builds of jobs."""

import pytest
from pydantic import ValidationError
from support.ci import form_of, jenkins
from support.receiver import Answer, Receiver
from support.sinks import attempt, settings_of

from bridge.delivery.attempt_outcome import Reason, Verdict

SECRET = "11s3cret:/+="
JOB = {
    "job": "ml/deploy",
    "username": "bridge",
    "token": {"env": "SINK_SECRET"},
    "parameters": {"MODEL": "${model_name}", "VERSION": "${model_version}"},
}


@pytest.fixture(autouse=True)
def secret(monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", SECRET)


@pytest.fixture
def receiver():
    receiver = Receiver(jenkins("bridge", SECRET))
    yield receiver
    receiver.stop()


async def build(receiver, **more):
    return await attempt("jenkins_job", **{**JOB, "url": receiver.url, **more})


async def test_a_job_in_a_folder_is_built_with_parameters_and_its_place_in_the_queue_is_kept(
    receiver,
) -> None:
    outcome = await build(receiver)

    (got,) = receiver.got
    assert (outcome.verdict, outcome.status) == (Verdict.DELIVERED, 201)
    assert outcome.link == f"{receiver.url}/queue/item/7/"
    assert form_of(got) == {"MODEL": "fraud", "VERSION": "1"}


async def test_a_job_without_parameters_is_just_built(receiver) -> None:
    receiver.answer = jenkins("bridge", SECRET, parameters=())

    outcome = await build(receiver, parameters={})

    assert (outcome.verdict, receiver.got[0].path) == (Verdict.DELIVERED, "/job/ml/job/deploy/build")


async def test_jenkins_below_a_path_and_odd_names_of_jobs(receiver) -> None:
    receiver.answer = jenkins("bridge", SECRET, "/jenkins/job/a%20b/job/c%3Fd")

    outcome = await build(receiver, url=f"{receiver.url}/jenkins/", job="a b/c?d")

    assert outcome.verdict is Verdict.DELIVERED


async def test_the_user_may_be_a_secret_and_shows_nowhere(receiver, monkeypatch) -> None:
    monkeypatch.setenv("SINK_USER", "secret-user")
    receiver.answer = lambda got: Answer(
        400, body=f"secret-user {SECRET} {got.headers['authorization']}".encode()
    )

    outcome = await build(receiver, username={"env": "SINK_USER"})

    for hidden in ("secret-user", SECRET, receiver.got[0].headers["authorization"][6:]):
        assert hidden not in outcome.detail


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (401, "API token of that user"),
        (403, "Job/Build"),
        (404, "no such job"),
        (409, "disabled"),
    ],
)
async def test_what_jenkins_refuses_is_explained(status, mend, receiver) -> None:
    receiver.answer = Answer(status)

    outcome = await build(receiver)

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert mend in outcome.detail


async def test_a_job_that_takes_no_parameters_is_explained(receiver) -> None:
    receiver.answer = jenkins("bridge", SECRET, parameters=())

    outcome = await build(receiver)

    assert (outcome.verdict, outcome.status) == (Verdict.REJECTED, 400)
    assert "it has no parameters" in outcome.detail


@pytest.mark.parametrize("location", ["", "http://[", "javascript:x", "/queue/item/7/"])
async def test_a_location_that_is_no_link_is_none(location, receiver) -> None:
    receiver.answer = Answer(201, {"Location": location})

    outcome = await build(receiver)

    expected = f"{receiver.url}/queue/item/7/" if location.startswith("/") else ""
    assert (outcome.verdict, outcome.link) == (Verdict.DELIVERED, expected)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"job": "/ml/deploy"}, "job"),
        ({"job": "ml/../deploy"}, "job"),
        ({"parameters": {"A": "${nope(model_name)}"}}, "parameters"),
        ({"token": "plain"}, "token"),
    ],
)
def test_what_cannot_work_is_found_when_it_is_configured(change, key) -> None:
    with pytest.raises(ValidationError) as found:
        settings_of("jenkins_job", **{**JOB, "url": "https://jenkins.example.com", **change})

    assert {fault["loc"][0] for fault in found.value.errors()} == {key}
