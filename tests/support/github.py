"""A stand-in for GitHub's REST API that holds requests to its published description and its documented limits."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import jwt

from support.github_openapi import CLOUD, Description
from support.receiver import Answer, Got

MAX_CHARACTERS = 65_535


def says(status: int, message: str) -> Answer:
    document = {"message": message, "documentation_url": "https://docs.github.com/rest"}
    return Answer(status, body=json.dumps(document).encode())


class Github:
    """Answers as GitHub does: with a token that it knows, or those that it gave to an installation."""

    def __init__(self, repository: str = "acme/deploy", token: str = "", server: str = CLOUD) -> None:
        self.repository, self.described = repository, Description(server)
        self.tokens = {token} if token else set()
        self.workflow, self.refs, self.inputs = "deploy.yml", {"main"}, {"model", "version"}
        self.app_id, self.installation, self.app_key = 123, 456, None
        self.granted = {"contents": "write", "actions": "write"}
        self.lasts_s, self.given, self.delay = 3_600, [], 0.0

    def __call__(self, got: Got) -> Answer:
        if got.headers.get("accept") != "application/vnd.github+json" or "user-agent" not in got.headers:
            return says(403, "Request forbidden by administrative rules")
        got = replace(got, path=got.path.removeprefix("/api/v3"))
        path = got.path
        if path.startswith("/app/"):
            return self.installation_token(got, path)
        if got.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return says(401, "Bad credentials")
        if path == f"/repos/{self.repository}/dispatches":
            return self.dispatch(got)
        if path == f"/repos/{self.repository}/actions/workflows/{self.workflow}/dispatches":
            return self.run(got)
        return says(404, "Not Found")

    def problem(self, got: Got) -> str:
        return next(iter(self.described.faults(got)), "")

    def dispatch(self, got: Got) -> Answer:
        problem = self.problem(got)
        if len(json.dumps(got.body.get("client_payload", {}))) >= MAX_CHARACTERS:
            problem = "client_payload is too large"
        return says(422, problem) if problem else Answer(204)

    def run(self, got: Got) -> Answer:
        problem = self.problem(got)
        if problem:
            return says(422, problem)
        if got.body["ref"] not in self.refs:
            return says(422, f"No ref found for: {got.body['ref']}")
        unexpected = set(got.body.get("inputs", {})) - self.inputs
        if unexpected:
            return says(422, f"Unexpected inputs provided: {sorted(unexpected)}")
        if not got.body.get("return_run_details"):
            return Answer(204)
        at = f"{self.repository}/actions/runs/77"
        details = {
            "workflow_run_id": 77,
            "run_url": f"https://api.github.com/repos/{at}",
            "html_url": f"https://github.com/{at}",
        }
        return Answer(200, body=json.dumps(details).encode())

    def installation_token(self, got: Got, path: str) -> Answer:
        time.sleep(self.delay)
        try:
            claims = jwt.decode(
                got.headers["authorization"].removeprefix("Bearer "),
                self.app_key,
                algorithms=["RS256"],
                issuer=str(self.app_id),
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError:
            return says(401, "A JSON web token could not be decoded")
        if claims["exp"] - claims["iat"] > 600:
            return says(401, "'Expiration time' claim ('exp') is too far in the future")
        if path != f"/app/installations/{self.installation}/access_tokens":
            return says(404, "Not Found")
        problem = self.problem(got)
        if problem or set(got.body.get("permissions", {})) - set(self.granted):
            return says(422, problem or "The permissions requested are not granted to this installation.")
        token = f"ghs_{len(self.given):04}-installation"
        self.given.append(token)
        self.tokens.add(token)
        expires = datetime.fromtimestamp(claims["iat"] + 60 + self.lasts_s, UTC)
        document = {
            "token": token,
            "expires_at": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
            "permissions": self.granted,
        }
        return Answer(201, body=json.dumps(document).encode())


def github(token: str, repository: str) -> Github:
    """Answer as GitHub does to ``token``, for ``repository``."""
    return Github(repository, token)
