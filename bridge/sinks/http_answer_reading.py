"""Functions that all HTTP sinks share: secrets, links, and the reading of answers."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from bridge.config import Secret, TextOrSecret, reveal
from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.delivery.http_status_outcome import retry_after_ms
from bridge.delivery.secret_masking import mask
from bridge.errors import SecretUnavailable
from bridge.sinks.base import Response


def origin(url: str) -> str:
    """Return scheme, host and port of ``url``."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"


LONGEST_LINK = 500
"""The maximum length of a stored link: a longer one is not stored, because a cut link is useless."""


def with_secret(key: str, secret: TextOrSecret | None) -> str | Outcome:
    """Return the present secret (empty where none is configured), or the outcome if it is missing."""
    try:
        return reveal(key, secret)
    except SecretUnavailable as error:
        return retryable(Reason.SECRET, str(error))


def with_header_secret(key: str, secret: Secret) -> str | Outcome:
    """Return the present secret for a header, or the outcome if it is missing or does not fit into a header."""
    value = with_secret(key, secret)
    odd = next((char for char in value if not "!" <= char <= "~"), "") if isinstance(value, str) else ""
    if odd:
        detail = f"{key}: {secret}: holds a character that no header takes: {kind_of(odd)}"
        return retryable(Reason.SECRET, detail)
    return value


def kind_of(char: str) -> str:
    """Describe a character that a header cannot hold, without showing it."""
    if char in "\r\n":
        return "a line break (there should be one line, with nothing else in it)"
    if char.isspace():
        return "a blank"
    return "one that does not show" if not char.isprintable() else "one beyond ASCII"


def answered(answer: Response | Outcome, judge: Callable[[Response], Outcome]) -> Outcome:
    """Return the outcome of a request, with the beginning of the answer."""
    if isinstance(answer, Outcome):
        return answer
    outcome = judge(answer)
    told = (outcome.detail, answer.excerpt)
    return replace(outcome, detail=": ".join(filter(None, told)))


def said_in(answer: Response) -> str:
    """Return the beginning of an answer's body as text, for analysis only: it may hold secrets."""
    return answer.body.decode("utf-8", "replace") or answer.excerpt


def is_page(answer: Response) -> bool:
    """Whether an answer is an HTML page, which no API sends."""
    kind = answer.headers.get("content-type", "").lower()
    return "html" in kind or said_in(answer).lstrip("\ufeff \t\r\n")[:1] == "<"


def is_no_word_of_api(answer: Response, outcome: Outcome) -> bool:
    """Whether a refusal is a page although the API answers in JSON: then it does not come from the API."""
    of_the_application = {Reason.MISCONFIGURED, Reason.REFUSED}
    return 400 <= answer.status < 500 and outcome.reason in of_the_application and is_page(answer)  # noqa: PLR2004


def answered_elsewhere(answer: Response, now_ms: int, api: str, expected: str, address: str) -> Outcome:
    """Return the outcome of an answer that is not the API's: nothing was started, and the event may be fine.

    Args:
        answer: the answer.
        now_ms: when the attempt was made, in ms since the epoch.
        api: the API whose answer was expected.
        expected: the expected answer.
        address: the setting with the address of the API.
    """
    what = "a page of something else" if is_page(answer) else "the answer of something else"
    detail = (
        f"HTTP {answer.status}: {api} answers {expected}, and this is {what} (a sign-in or a maintenance, say): "
        f"check {address}, and what is before {api}"
    )
    wait = retry_after_ms(answer.headers, now_ms)
    return retryable(Reason.MISCONFIGURED, detail, answer.status, wait)


def members_of(body: bytes) -> Mapping[str, Any]:
    """Return the members of the JSON object in ``body``; none if it is something else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def unusable(answer: Response, reads: int, why: str, mend: str) -> Outcome:
    """Return the outcome of a success whose body is unusable.

    Args:
        answer: the answer.
        reads: how many bytes of it were to be read: a shorter body that is not whole broke off.
        why: what is wrong with a complete body.
        mend: what to do about that.
    """
    status = answer.status
    if answer.coding:
        detail = f"HTTP {status}: the answer is compressed ({answer.coding}), which was not asked for and is not known"
        return retryable(Reason.MISCONFIGURED, detail, status)
    if not answer.is_whole and len(answer.body) < reads:
        return retryable(Reason.PROTOCOL, f"HTTP {status}: the answer broke off", status)
    return retryable(Reason.MISCONFIGURED, f"HTTP {status}: {why}: {mend}", status)


def text_in(body: bytes, member: str) -> str:
    """Return a text member of the JSON object in ``body``, or nothing."""
    value = members_of(body).get(member)
    return value if isinstance(value, str) else ""


def link_of(url: str, secrets: Iterable[str]) -> str:
    """Return the link to what a receiver made of an event, in the form to be stored, or nothing.

    It comes from outside and is shown to people, so it must look like a link.
    """
    is_plain = url.startswith(("http://", "https://")) and all("!" <= char <= "~" for char in url)
    return mask(url, secrets) if is_plain and len(url) <= LONGEST_LINK else ""


def form(fields: Mapping[str, str]) -> bytes:
    """Return ``fields`` as ``application/x-www-form-urlencoded``; characters that UTF-8 cannot encode become ``?``."""
    return urlencode(fields, errors="replace").encode("ascii")


def basic(username: str, password: str) -> str:
    """Return the value of ``Authorization`` for a user name and a password (RFC 7617)."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()
