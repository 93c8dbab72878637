"""Connects to a host: resolves its name, and connects only to allowed addresses.

With a list of allowed hosts (`allowed_hosts`), each address is checked, and the connection is made to the
very address that was allowed. So a DNS record that changes in between has no effect. TLS is done by httpcore,
which still verifies the certificate against the name.
"""

import asyncio
import os
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import httpcore

from bridge.delivery.allowed_destinations import Targets
from bridge.events.display_text import count
from bridge.sinks.transport.name_resolution import NameResolution
from bridge.sinks.transport.open_file_limit import MEND, is_exhausted
from bridge.sinks.transport.response_normalization import ResponseReader, ResponseStream

_HEAD_START_S = 0.25
"""How long to wait for one address before the next is tried as well (RFC 8305, 5)."""

_SHOWN = 4
Stream = httpcore.AsyncNetworkStream


class TargetRefused(Exception):  # not one of bridge.errors: it becomes an outcome
    """The list allows none of the addresses of a host."""

    def __init__(self, host: str, addresses: Iterable[str]) -> None:
        """Keep the host and its addresses."""
        self.host = host
        self.addresses = tuple(addresses)
        super().__init__(host)


class Backend(httpcore.AsyncNetworkBackend):
    """Resolves names, checks addresses, and connects. It supports only TCP."""

    def __init__(self, names: NameResolution, reader: ResponseReader, targets: Targets | None = None) -> None:
        """Connect to what ``targets`` allows, or anywhere; ``reader`` reads the answers."""
        self._names = names
        self._reader = reader
        self._targets = targets
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Stream:
        """Connect to the first address of ``host`` that is allowed and answers.

        Raises:
            TargetRefused: no address is allowed.
            httpcore.ConnectError: no address answers; the message says which and why.
            httpcore.ConnectTimeout: there was no connection, or no address, within ``timeout`` (s).
        """
        try:
            async with asyncio.timeout(timeout):
                addresses = self._allowed(host, await self._resolved(host))
                connecting = {
                    one: self._inner.connect_tcp(one, port, None, local_address, socket_options)
                    for one in addresses
                }
                return ResponseStream(await _first(connecting, f"{_bracketed(host)}:{port}"), self._reader)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error

    async def _resolved(self, host: str) -> list[str]:
        try:
            return await self._names.addresses(host)
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it can be no host's name"
            raise httpcore.ConnectError(f"the name {host} cannot be resolved: {why}") from error

    def _allowed(self, host: str, addresses: Sequence[str]) -> list[str]:
        targets = self._targets
        allowed = [one for one in addresses if targets is None or targets.take(host, one)]
        if not allowed:
            raise TargetRefused(host, addresses)
        return allowed


async def _first(connecting: Mapping[str, Coroutine[Any, Any, Stream]], place: str) -> Stream:
    """Return the first connection that succeeds; the next attempt starts when the ones before it are slow.

    Raises:
        httpcore.ConnectError: no connection succeeds.
    """
    tasks: dict[asyncio.Task[Stream], str] = {}
    waiting = list(connecting.items())
    failures: list[str] = []
    try:
        while waiting or tasks:
            if waiting:
                address, attempt = waiting.pop(0)
                tasks[asyncio.ensure_future(attempt)] = address
            patience = _HEAD_START_S if waiting else None
            done, _ = await asyncio.wait(tasks, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    return await _won(task, tasks)
                failures.append(f"{tasks.pop(task)}: {_why(error)}")
    except BaseException:
        await _given_up(tasks)
        raise
    finally:
        for _, attempt in waiting:
            attempt.close()
    raise httpcore.ConnectError(_told(place, failures))


async def _won(task: asyncio.Task[Stream], tasks: Iterable[asyncio.Task[Stream]]) -> Stream:
    await _given_up([one for one in tasks if one is not task])
    return task.result()


async def _given_up(tasks: Iterable[asyncio.Task[Stream]]) -> None:
    """Cancel attempts; close a connection that was made nevertheless."""
    for task in tasks:
        task.cancel()
    for made in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(made, BaseException):
            with suppress(Exception):
                await made.aclose()


def _told(place: str, failures: Sequence[str]) -> str:
    more = f" and {count(len(failures) - _SHOWN, 'more address')}" if len(failures) > _SHOWN else ""
    return f"{place} ({'; '.join(failures[:_SHOWN])}{more})"


def _why(error: BaseException) -> str:
    """Return the system's own description of the error, which is at the end of the chain."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    why = os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else str(cause)
    return f"{why} ({MEND})" if is_exhausted(cause) else why


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
