"""States in PostgreSQL for tests: each in a schema of its own, opened as its owner."""

import asyncio
import uuid
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from bridge.config import StateSettings
from bridge.store.document_state import DocumentState
from bridge.store.postgresql.membership import Member
from bridge.store.postgresql.shared_state import Replica

T = TypeVar("T")
MEMBER = Member("host:1", "1.0", lambda: "digest")


def state_settings(url: str, **more: object) -> StateSettings:
    """Return the settings of a new state at ``url``; what is not said goes on for long."""
    given = {"url": url, "schema": f"s{uuid.uuid4().hex[:12]}", "lease": "5m", **more}
    return StateSettings.model_validate(given)


class SharedState:
    """A state that is owned by this process, for tests without an event loop."""

    def __init__(self, settings: StateSettings) -> None:
        self.settings = settings
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()

    def open(self) -> DocumentState:
        return self.done(self._open())

    async def _open(self) -> DocumentState:
        replica = await self._stack.enter_async_context(Replica.joined(self.settings, MEMBER))
        assert await replica.take()
        return await replica.load()

    def done(self, call: Coroutine[Any, Any, T]) -> T:
        """Return the result of ``call``."""
        return self._runner.run(call)

    def leave(self) -> None:
        """Own it no more."""
        self._runner.run(self._stack.aclose())

    def close(self) -> None:
        self.leave()
        self._runner.close()
