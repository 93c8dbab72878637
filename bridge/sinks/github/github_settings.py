"""The settings that all GitHub sinks share, and the meaning of GitHub's answers.

GitHub, *Best practices for using the REST API* and *Rate limits for the REST API*: one request at a time;
requests that write at least a second apart and no more than 80 a minute. Secondary limits are reported as 403
or 429.
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt, ValidationInfo, field_validator

from bridge import __version__
from bridge.config import BaseUrl, Model, Secret, SinkSettings
from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.delivery.http_status_outcome import Advice, answered_at, interpret, retry_after_ms
from bridge.delivery.redirect_advice import leads_to_sign_in
from bridge.sinks.base import Response
from bridge.sinks.github.app_jwt import app_jwt
from bridge.sinks.github.forbidden_reasons import forbidden_because
from bridge.sinks.http_answer_reading import answered_elsewhere, is_no_word_of_api, origin, said_in

NO_KEY = "holds no usable RSA private key in PEM, without a password"
_SECONDARY_WAIT_MS = 60_000
_LIMITS = ("secondary rate limit", "abuse detection")
"""GitHub's texts for a rate limit without a header; the second one is of older servers."""

_PERMISSIONS = re.compile(r"[a-z_]{1,40}=[a-z]{1,10}([,;] ?[a-z_]{1,40}=[a-z]{1,10}){0,5}")
"""The form of ``X-Accepted-GitHub-Permissions``: permissions that are needed together, or alternatives."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")

_FOR_PEOPLE = re.compile(r"https?://(www\.)?github\.com\.?(:\d+)?(/.*)?", re.IGNORECASE)
_RENAMED = re.compile(r"/repositories/\d+(/|$)")


def _repository(name: str) -> str:
    if not _REPOSITORY.fullmatch(name) or name.endswith(("/.", "/..")):
        msg = 'must be an owner and a repository, such as "acme/deploy"'
        raise ValueError(msg)
    return name


def _api(url: str) -> str:
    if _FOR_PEOPLE.fullmatch(url):
        msg = 'is for people: GitHub\'s API is at "https://api.github.com", which is the default'
        raise ValueError(msg)
    return url


class GithubApp(Model):
    """A GitHub App, installed where the repository is: it signs in with its private key."""

    id: StrictInt = Field(ge=1)
    """The App's id."""
    installation: StrictInt = Field(ge=1)
    """The id of its installation at the repository's owner."""
    private_key: Secret
    """The App's RSA private key in PEM, without a password."""


class GithubSettings(SinkSettings):
    """The keys of every GitHub sink."""

    repository: Annotated[str, AfterValidator(_repository)]
    """Owner and name of the repository."""
    api_url: Annotated[BaseUrl, AfterValidator(_api)] = "https://api.github.com"
    """GitHub's API; of GitHub Enterprise Server, it ends with `/api/v3`."""
    app: GithubApp | None = None
    """The GitHub App to sign in as; in place of `token`."""
    token: Secret | None = Field(default=None, validate_default=True)
    """A token with the permission that the sink needs; in place of `app`."""

    @field_validator("token")
    @classmethod
    def _one_identity(cls, value: Secret | None, info: ValidationInfo) -> Secret | None:
        if "app" not in info.data:  # it is invalid itself
            return value
        if value is None and info.data["app"] is None:
            msg = (
                'is missing: give token = { env = "NAME" }, or app = { id = …, installation = …, '
                "private_key = { file = … } }"
            )
            raise ValueError(msg)
        if value is not None and info.data["app"] is not None:
            msg = "give token or app, not both"
            raise ValueError(msg)
        return value

    def misfit(self, key: str, value: str) -> str:
        """Return what is wrong with the App's key, which must be able to sign, or nothing."""
        is_key = key == "app.private_key"
        return NO_KEY if is_key and app_jwt(1, value, 0) is None else ""

    @property
    def is_server(self) -> bool:
        """Whether this is a GitHub Enterprise Server, whose API is under ``/api/v3`` of its host."""
        return self.api_url.rstrip("/").endswith("/api/v3")

    def at(self, path: str) -> str:
        """Return the URL of a ``path`` of the API."""
        return f"{self.api_url.rstrip('/')}{path}"

    def origin(self) -> str:
        """Return the API's origin and the repository."""
        return f"{origin(self.api_url)} {self.repository}"

    @classmethod
    def default_rate_ms(cls) -> int:
        """Return the minimum spacing that GitHub asks for, in ms: ``rate = "60/m"``."""
        return 1_000

    @classmethod
    def default_concurrency(cls) -> int:
        """Return one, because GitHub asks for one request at a time."""
        return 1


def headers(token: str) -> dict[str, str]:
    """Return the headers of every request to GitHub."""
    return {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "User-Agent": f"mlflow-bridge/{__version__}",
        "X-GitHub-Api-Version": "2022-11-28",
    }


def mends(permission: str, nowhere: str, *, by_app: bool) -> Mapping[int, str]:
    """Return the advice for the statuses 401, 403 and 404.

    Args:
        permission: the permission that the endpoint needs, such as ``Contents: write``.
        nowhere: what a 404 can mean.
        by_app: whether the token is one of a GitHub App.
    """
    who = "the GitHub App" if by_app else "a fine-grained token"
    return {
        401: "the token is refused: it is wrong, expired or revoked",
        403: f"the token lacks a permission: {who} needs {permission}",
        404: (
            f"{nowhere}, or the token cannot see it: check the names, api_url and the token's access "
            f"({who} needs the repository, and {permission})"
        ),
    }


def judge(answer: Response, now_ms: int, said: Mapping[int, str]) -> Outcome:
    """Return the outcome of GitHub's answer, with the sentence that ``said`` has for its status.

    GitHub reports rate limits as 403 as well as 429. An HTML page is not an answer of its API.
    """
    wait = rate_limit_ms(answer, now_ms) if answer.status in {403, 429} else None
    if wait is not None:
        detail = f"HTTP {answer.status}: GitHub's rate limit"
        return retryable(Reason.RATE_LIMITED, detail, answer.status, wait)
    words = {status: f"{sentence}{_accepted(answer)}" for status, sentence in said.items()}
    if answer.status == 403:
        words[403] = forbidden_because(answer, words[403])
    advice = Advice("api_url", statuses={**_MORE, **words}, moved=_moved, is_timed=False)
    outcome = interpret(answer.status, answer.headers, now_ms, said_in(answer), advice)
    if is_no_word_of_api(answer, outcome):
        return answered_elsewhere(answer, now_ms, "GitHub", "in JSON", "api_url")
    return outcome


_MORE: Mapping[int, str] = {
    409: "GitHub reports a conflict (a repository without a commit, say)",
    451: "GitHub has blocked the repository for legal reasons: its owner has to clear that with GitHub",
}


def _moved(target: str) -> str:
    if _RENAMED.search(target):
        return "the repository was renamed or handed over: set repository to its new name"
    if leads_to_sign_in(target):
        return (
            "it leads to a page for signing in: check api_url (of GitHub Enterprise Server, it ends with /api/v3), "
            "and whether a gateway before it wants a credential"
        )
    return ""


def _accepted(answer: Response) -> str:
    """Return which permissions are accepted, where GitHub names them in a refusal."""
    accepted = answer.headers.get("x-accepted-github-permissions", "")
    is_told = answer.status in {403, 404} and _PERMISSIONS.fullmatch(accepted)
    return f"; GitHub asks for {accepted}" if is_told else ""


def rate_limit_ms(answer: Response, now_ms: int) -> int | None:
    """Return how long GitHub asks to wait, in ms, or None if the answer is not due to a rate limit."""
    wait = retry_after_ms(answer.headers, now_ms)
    if wait is not None:
        return wait
    if answer.headers.get("x-ratelimit-remaining") == "0":
        reset = answer.headers.get("x-ratelimit-reset", "")
        if reset.isascii() and reset.isdigit():
            since = answered_at(answer.headers, now_ms)
            return min(max(int(reset[:12]) * 1000 - since, 1_000), 3_600_000)
        return _SECONDARY_WAIT_MS
    said = answer.excerpt.lower()
    limited = answer.status == 429 or any(one in said for one in _LIMITS)
    return _SECONDARY_WAIT_MS if limited else None
