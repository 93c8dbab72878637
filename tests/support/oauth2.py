"""A stand-in for an OAuth 2.0 server (RFC 6749, client credentials), and for a receiver that takes its tokens."""

import json
import time
from base64 import b64decode
from urllib.parse import parse_qs, unquote_plus

from support.receiver import Answer, Got


class TokenServer:
    """Gives tokens to one client, which says who it is in one of the two ways of RFC 6749, 2.3.1."""

    def __init__(self, client_id: str, client_secret: str, auth: str = "basic") -> None:
        self.client, self.auth = (client_id, client_secret), auth
        self.given: list[str] = []
        self.valid: set[str] = set()
        self.prefix, self.always, self.delay = "token-", "", 0.0
        self.more: dict[str, object] = {"token_type": "Bearer", "expires_in": 3600}

    def __call__(self, got: Got) -> Answer:
        time.sleep(self.delay)
        kind = got.headers.get("content-type")
        if (got.method, kind, got.headers.get("accept")) != (
            "POST",
            "application/x-www-form-urlencoded",
            "application/json",
        ):
            return refusal(400, "invalid_request")
        asked = parse_qs(got.raw.decode(), keep_blank_values=True)
        if any(len(values) > 1 for values in asked.values()):
            return refusal(400, "invalid_request")  # RFC 6749, 3.2: parameters come once
        if self.identified(got, asked) != self.client:
            return refusal(401, "invalid_client")
        if asked.get("grant_type") != ["client_credentials"]:
            return refusal(400, "unsupported_grant_type")
        return self.grant()

    def identified(self, got: Got, asked: dict) -> tuple[str, str]:
        if self.auth == "post":
            return asked.get("client_id", [""])[0], asked.get("client_secret", [""])[0]
        scheme, _, encoded = got.headers.get("authorization", "").partition(" ")
        if scheme != "Basic" or "client_secret" in asked:
            return "", ""
        name, _, secret = b64decode(encoded, validate=True).decode("ascii").partition(":")
        return unquote_plus(name), unquote_plus(secret)

    def grant(self) -> Answer:
        token = self.always or f"{self.prefix}{len(self.given)}"
        self.given.append(token)
        self.valid.add(token)
        document = {"access_token": token, **self.more}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(document).encode())

    def protects(self, answer: Answer | None = None):
        """Answer as a receiver does that takes the tokens that are valid at the time."""

        def receive(got: Got) -> Answer:
            if got.headers.get("authorization", "").removeprefix("Bearer ") not in self.valid:
                return Answer(401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
            return answer or Answer(204)

        return receive


def refusal(status: int, error: str, description: str = "") -> Answer:
    more = {"error_description": description} if description else {}
    return Answer(status, {"Content-Type": "application/json"}, json.dumps({"error": error, **more}).encode())
