"""What an MLflow server says of itself: its version, and what time it is there."""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_LONGEST_VERSION = 40
_VERSION = re.compile(r"\d+\.\d[\w.+-]*", re.ASCII)
_OK = 200


@dataclass(frozen=True, slots=True)
class Greeting:
    """A server's version, empty where it doesn't tell, and its time in ms, to the second, where it does."""

    server: str = ""
    clock: int | None = None


def greet(uri: str) -> Greeting:
    """Ask an MLflow server for its version; its clock comes with any answer.

    RFC 9110, 6.6.1 (``Date``); MLflow, *GET /version*. Nothing is known of a registry that is
    not asked over HTTP. The request goes through MLflow's own client code, with its
    credentials, headers and TLS.
    """
    if not uri.startswith(("http://", "https://")):
        return Greeting()
    from mlflow.utils.credentials import get_default_host_creds  # noqa: PLC0415
    from mlflow.utils.rest_utils import http_request  # noqa: PLC0415

    answer = http_request(get_default_host_creds(uri), "/version", "GET", raise_on_status=False)
    text = answer.text.strip() if answer.status_code == _OK else ""
    is_version = len(text) <= _LONGEST_VERSION and _VERSION.fullmatch(text) is not None
    return Greeting(f"MLflow {text}" if is_version else "", _time(answer.headers.get("Date", "")))


def _time(date: str) -> int | None:
    try:
        return int(parsedate_to_datetime(date).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
