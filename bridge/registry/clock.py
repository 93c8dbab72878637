"""What time it is at the registry."""

from email.utils import parsedate_to_datetime


def registry_clock(uri: str) -> int | None:
    """Return the registry's own time in ms, from the ``Date`` of any answer, to the second.

    RFC 9110, 6.6.1. None where the registry is not asked over HTTP, or does not tell. The
    request goes through MLflow's own client code, with its credentials, headers and TLS.
    """
    if not uri.startswith(("http://", "https://")):
        return None
    from mlflow.utils.credentials import get_default_host_creds  # noqa: PLC0415
    from mlflow.utils.rest_utils import http_request  # noqa: PLC0415

    answer = http_request(get_default_host_creds(uri), "/version", "GET", raise_on_status=False)
    try:
        return int(parsedate_to_datetime(answer.headers.get("Date", "")).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
