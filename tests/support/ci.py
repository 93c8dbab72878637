"""Stand-ins for GitLab and Jenkins that answer as they are documented to."""

import json
from base64 import b64encode
from urllib.parse import parse_qs, quote

from support.receiver import Answer, Got


def form_of(got: Got) -> dict[str, str]:
    assert got.headers["content-type"] == "application/x-www-form-urlencoded"
    read = parse_qs(got.raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(got.raw))
    assert all(len(values) == 1 for values in read.values())
    return {name: values[0] for name, values in read.items()}


def _error(status: int, **body: str) -> Answer:
    return Answer(status, body=json.dumps(body).encode())


def gitlab(token: str, project: str = "acme/deploy", refs=("main",), *, is_throttled: bool = False):
    """Answer as ``POST /api/v4/projects/:id/trigger/pipeline`` does (GitLab, *Pipeline triggers API*)."""

    def answer(got: Got) -> Answer:
        fields = form_of(got)
        for name in ("token", "ref"):
            if not fields.get(name):
                return _error(400, error=f"{name} is missing")
        known = got.path == f"/api/v4/projects/{quote(project, safe='')}/trigger/pipeline"
        if not known or fields["token"] != token:
            return _error(404, message="404 Not Found")
        if fields["ref"] not in refs:
            return _error(400, message="Reference not found")
        if is_throttled:
            return _error(400, message="Too many pipelines created in the last minute. Try again later.")
        at = f"https://gitlab.example.com/{project}/-/pipelines/257"
        padding = {"user": {"name": "x" * 4_000}}
        return Answer(
            201, body=json.dumps({"id": 257, "ref": fields["ref"], **padding, "web_url": at}).encode()
        )

    return answer


def jenkins(username: str, token: str, job: str = "/job/ml/job/deploy", parameters=("MODEL", "VERSION")):
    """Answer as Jenkins does to ``build`` and ``buildWithParameters`` of one job."""
    signed = "Basic " + b64encode(f"{username}:{token}".encode()).decode()

    def answer(got: Got) -> Answer:
        if got.headers.get("authorization") != signed:
            return Answer(401, body=b"<html>Invalid password/token for user: ...</html>")
        path, _, action = got.path.rpartition("/")
        if path != job:
            return Answer(404, body=b"<html>Not Found</html>")
        if (action == "buildWithParameters") != bool(parameters):
            return Answer(400, body=b"<html>This page expects a form submission</html>")
        assert set(form_of(got)) <= set(parameters)
        return Answer(201, {"Location": f"http://{got.headers['host']}/queue/item/7/"})

    return answer
