"""What sinks over HTTP have in common."""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from bridge.config import Secret, reveal
from bridge.delivery.outcome import Outcome, Reason, Verdict, retryable
from bridge.errors import SecretUnavailable
from bridge.sinks.base import Response


def origin(url: str) -> str:
    """Return scheme, host and port of ``url``."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"


def with_secret(key: str, secret: Secret | None) -> str | Outcome:
    """Return the secret as it is now (empty where none is configured), or why there is none."""
    try:
        return reveal(key, secret)
    except SecretUnavailable as error:
        return retryable(Reason.SECRET, str(error))


def with_header_secret(key: str, secret: Secret) -> str | Outcome:
    """Return a secret that goes into a header as it is now, or why there is none that can."""
    value = with_secret(key, secret)
    if isinstance(value, str) and not all("!" <= char <= "~" for char in value):
        return retryable(Reason.SECRET, f"{key}: {secret}: holds a character that no header takes")
    return value


def answered(answer: Response | Outcome, judge: Callable[[Response], Outcome]) -> Outcome:
    """Return what came of a request; where it failed, with the beginning of the answer."""
    if isinstance(answer, Outcome):
        return answer
    outcome = judge(answer)
    if outcome.verdict is Verdict.DELIVERED or not answer.excerpt:
        return outcome
    return replace(outcome, detail=f"{outcome.detail}: {answer.excerpt}")
