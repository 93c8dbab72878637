"""The interfaces of a sink and of its HTTP transport: one attempt in, one outcome out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bridge.delivery.attempt_outcome import Outcome
from bridge.events.event import Event

EXCERPT_BYTES = 2_048
"""How much of an answer's body is read to be shown."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to make.

    Attributes:
        event: the event to deliver.
        event_name: the name under which the sink asked for it.
        now_ms: ms since the epoch; signatures carry it in seconds.
        sequence: the number of its entry in the outbox, which rises for each sink and model; 0: it is only a trial.
    """

    event: Event
    event_name: str
    now_ms: int
    sequence: int = 0


class Sink(Protocol):
    """Makes **one** attempt and returns its outcome.

    It never sleeps, never retries and never touches the store. An expected failure is an outcome; an
    exception means a bug.
    """

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Attempt ``delivery`` once."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to make: everything that goes over the wire.

    Attributes:
        secrets: masked wherever the answer is shown.
        is_confidential: whether a successful answer contains a secret, so that nothing of it is shown.
        reads: the maximum number of bytes of the answer's body to read.
        needs_body: whether the body decides the outcome: then it may take the whole timeout. Otherwise the
            status decides, and a body that takes more than 5 s is cut off.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    timeout_ms: int
    secrets: tuple[str, ...] = ()
    method: str = "POST"
    is_confidential: bool = False
    reads: int = EXCERPT_BYTES
    needs_body: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer: status, headers (lower-case names) and the beginning of the body.

    Attributes:
        excerpt: the beginning of the body for people: short, and with secrets masked.
        body: as much of the body as the request asked for, decompressed; never shown or stored.
        is_whole: whether the body is complete: not too long, not too slow, and not broken off.
        coding: the compression of the body, if it cannot be decompressed (``br``, for example): the body is
            empty then.
    """

    status: int
    headers: Mapping[str, str]
    excerpt: str
    body: bytes = field(default=b"", repr=False)
    is_whole: bool = True
    coding: str = ""


class Transport(Protocol):
    """Access to the network: returns the answer to a request, or the outcome of getting none."""

    async def post(self, request: Request) -> Response | Outcome:
        """Make the request once. Redirects are not followed."""
        ...
