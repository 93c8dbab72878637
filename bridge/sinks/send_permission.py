"""Whether an attempt may still send: asked where the bytes are written, for what came before may have taken long."""

from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar

may_send: ContextVar[Callable[[], bool]] = ContextVar("may send", default=lambda: True)
"""Set by whoever makes an attempt; it counts for the tasks that the attempt creates, too."""


class SendingForbidden(Exception):
    """The attempt may not send any more: another bridge may own the state already."""


class GuardedBody:
    """The body of a request, which is given out only while it may be sent.

    The head of the request may be on its way by then; without its body, no receiver acts on it.
    """

    def __init__(self, body: bytes) -> None:
        """Give out ``body``, each time it is asked for."""
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body.

        Raises:
            SendingForbidden: it may not be sent any more.
        """
        if not may_send.get()():
            raise SendingForbidden
        yield self._body
