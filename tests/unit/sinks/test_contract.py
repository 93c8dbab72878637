"""Every kind of sink is held to the contract that authors of others run on theirs: `bridge.testing`."""

from bridge.delivery.attempt_outcome import Reason, Verdict
from bridge.sinks.sink_type_table import KINDS
from bridge.testing import SECRET_PLACE, Answer, HttpSinkContract
from bridge.testing.http_statuses import STATUSES


def only(success: int) -> dict[int, tuple[Verdict, Reason]]:
    """Return what each 2xx but one means to a kind whose API documents just that one."""
    others = [status for status in STATUSES if 200 <= status < 300 and status != success]
    return dict.fromkeys(others, (Verdict.RETRYABLE, Reason.MISCONFIGURED))


class TestHttp(HttpSinkContract):
    type = "http"

    def settings(self, place: str) -> dict:
        return {"url": f"{place}/hook", "secret": SECRET_PLACE}


class TestGithubDispatch(HttpSinkContract):
    type = "github_dispatch"
    answers = only(204)

    def settings(self, place: str) -> dict:
        return {
            "repository": "acme/deploy",
            "event_type": "model_promoted",
            "token": SECRET_PLACE,
            "api_url": place,
        }


class TestGithubWorkflow(HttpSinkContract):
    type = "github_workflow"
    answers = only(204)

    def settings(self, place: str) -> dict:
        return {
            "repository": "acme/deploy",
            "workflow": "deploy.yml",
            "ref": "main",
            "inputs": {"model": "${model_name}", "version": "${model_version}"},
            "token": SECRET_PLACE,
            "api_url": place,
        }


class TestGitlabPipeline(HttpSinkContract):
    type = "gitlab_pipeline"
    answers = only(201)
    success = Answer(201, body=b'{"web_url": "https://gitlab.example.com/acme/deploy/-/pipelines/1"}')

    def settings(self, place: str) -> dict:
        return {
            "url": place,
            "project": "acme/deploy",
            "ref": "main",
            "token": SECRET_PLACE,
            "variables": {"MODEL": "${model_name}", "VERSION": "${model_version}"},
        }


class TestJenkinsJob(HttpSinkContract):
    type = "jenkins_job"
    answers = only(201)
    success = Answer(201, {"Location": "/queue/item/7/"})

    def settings(self, place: str) -> dict:
        return {
            "url": place,
            "job": "ml/deploy",
            "username": "bridge",
            "token": SECRET_PLACE,
            "parameters": {"MODEL": "${model_name}", "VERSION": "${model_version}"},
        }


def test_every_kind_is_held_to_the_contract() -> None:
    assert {one.type for one in HttpSinkContract.__subclasses__() if one.__module__ == __name__} == set(KINDS)
