"""What the stand-ins have in common: JSON over HTTP, a token, pages, errors with codes."""

import json
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from support.receiver import Answer, Got, WebServer

Query = Mapping[str, list[str]]


class Refused(Exception):
    """An error document of the registry."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def invalid(message: str) -> Refused:
    return Refused(400, "INVALID_PARAMETER_VALUE", message)


def one(query: Query, name: str, default: str = "") -> str:
    return query.get(name, [default])[0]


class JsonApi:
    """A server that answers ``GET`` as a function of path and query says: JSON, or plain text."""

    def __init__(self, respond: Callable[[str, Query], dict | str], token: str = "") -> None:
        self._respond, self._token = respond, token
        self.asked: list[str] = []
        self._server = WebServer(self._answer)
        self.url = self._server.url

    def stop(self) -> None:
        self._server.stop()

    def _answer(self, got: Got) -> Answer:
        parts = urlsplit(got.path)
        self.asked.append(unquote(got.path))
        try:
            self._authenticate(got)
            found = self._respond(unquote(parts.path), parse_qs(parts.query))
        except Refused as refused:
            return _json(refused.status, {"error_code": refused.code, "message": str(refused)})
        return Answer(200, {}, found.encode()) if isinstance(found, str) else _json(200, found)

    def _authenticate(self, got: Got) -> None:
        if self._token and got.headers.get("authorization") != f"Bearer {self._token}":
            raise Refused(401, "UNAUTHENTICATED", "Credential was not sent or is invalid")


def _json(status: int, body: dict) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def page(rows: list[dict], key: str, query: Query, most: int) -> dict:
    """Return one page; its token is an offset, which no client may rely on."""
    begin, size = int(one(query, "page_token", "0")), int(one(query, "max_results", "100"))
    end = begin + min(size, most)
    more = {"next_page_token": str(end)} if end < len(rows) else {}
    return {key: rows[begin:end], **more}
