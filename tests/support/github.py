"""A stand-in for GitHub's REST API that enforces its documented limits."""

import json

from support.receiver import Answer, Got

MAX_KEYS, MAX_CHARACTERS, MAX_EVENT_TYPE = 10, 65_535, 100


def github(token: str, repository: str):
    """Answer as ``POST /repos/{owner}/{repo}/dispatches`` does."""

    def answer(got: Got) -> Answer:
        if got.headers.get("authorization") != f"Bearer {token}":
            return Answer(401, body=b'{"message": "Bad credentials"}')
        if got.path != f"/repos/{repository}/dispatches":
            return Answer(404, body=b'{"message": "Not Found"}')
        if got.headers.get("accept") != "application/vnd.github+json" or "user-agent" not in got.headers:
            return Answer(403, body=b'{"message": "Request forbidden by administrative rules"}')
        problem = broken(got.body)
        return Answer(422, body=json.dumps({"message": problem}).encode()) if problem else Answer(204)

    return answer


def broken(body: dict) -> str:
    if set(body) - {"event_type", "client_payload"} or "event_type" not in body:
        return "Invalid request."
    if not 1 <= len(body["event_type"]) <= MAX_EVENT_TYPE:
        return "event_type is too long"
    payload = body.get("client_payload", {})
    if len(payload) > MAX_KEYS:
        return "No more than 10 properties are allowed"
    if len(json.dumps(payload)) >= MAX_CHARACTERS:
        return "client_payload is too large"
    return ""
