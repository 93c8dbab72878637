"""The meaning of each HTTP status for every sink, as a table."""

from collections.abc import Mapping
from typing import Final

from bridge.delivery.attempt_outcome import Reason, Verdict

_DELIVERED: Final = (Verdict.DELIVERED, Reason.OK)
_OVERLOADED: Final = (Verdict.RETRYABLE, Reason.RATE_LIMITED)
_MENDABLE: Final = (Verdict.RETRYABLE, Reason.MISCONFIGURED)
_GONE: Final = (Verdict.RETRYABLE, Reason.GONE)
_BROKEN: Final = (Verdict.RETRYABLE, Reason.SERVER_ERROR)
_REFUSED: Final = (Verdict.REJECTED, Reason.REFUSED)

STATUSES: Final[Mapping[int, tuple[Verdict, Reason]]] = {
    **dict.fromkeys((200, 201, 202, 203, 204, 205, 206, 207, 226, 299), _DELIVERED),
    **dict.fromkeys((300, 301, 302, 303, 304, 305, 307, 308, 399), _MENDABLE),
    **dict.fromkeys((401, 403, 404, 407, 409, 423), _MENDABLE),
    **dict.fromkeys((408, 425, 429), _OVERLOADED),
    410: _GONE,
    **dict.fromkeys((402, 405, 406, 411, 414, 419, 421, 424, 426, 431, 440, 444, 451), _MENDABLE),
    **dict.fromkeys((460, 463, 464, 494, 495, 496, 497, 498, 499), _MENDABLE),
    **dict.fromkeys((400, 412, 413, 415, 416, 417, 418, 422, 428), _REFUSED),
    **dict.fromkeys((500, 501, 502, 503, 504, 505, 507, 508, 511, 529, 599), _BROKEN),
}
"""Verdict and reason for each status, if no header changes them."""
