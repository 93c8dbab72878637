"""How long a registry, or a server in front of it, asks to wait: ``Retry-After`` (RFC 9110, 10.2.3).

When MLflow's client gives up on a 429 or 503, its exception holds only the status. The answer with its
headers is found in the local variables of urllib3's frames in the traceback.
"""

import time
from collections.abc import Iterator, Mapping
from traceback import walk_tb

from bridge.delivery.http_status_outcome import retry_after_ms

_MOST_CAUSES = 10


def asked_wait_s(error: BaseException) -> int | None:
    """Return how many seconds the answer behind ``error`` asks to wait, or None where it does not say."""
    for headers in _headers(error):
        wait_ms = retry_after_ms(
            {"retry-after": str(headers.get("Retry-After", ""))}, int(time.time() * 1000)
        )
        if wait_ms is not None:
            return -(-wait_ms // 1000)
    return None


def _headers(error: BaseException) -> Iterator[Mapping[str, str]]:
    """Yield the headers of the answers that are local variables in the traceback of ``error``."""
    for cause in _causes(error):
        for frame, _ in walk_tb(cause.__traceback__):
            headers = getattr(frame.f_locals.get("response"), "headers", None)
            if isinstance(headers, Mapping):
                yield headers


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_MOST_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
