"""Reads secret files in threads before each attempt, so that a hanging mount delays only its own sink."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from bridge.config import Secret, SinkSettings
from bridge.config.preloaded_secrets import Reading, readings_known
from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.errors import SecretUnavailable
from bridge.sinks.base import Delivery, Sink
from bridge.sinks.transport.blocking_calls import SharedCalls

Deliver = Callable[[Delivery], Awaitable[Outcome]]


class SecretFiles:
    """The secrets of one sink that are in files (or systemd credentials, which are files)."""

    def __init__(self, settings: SinkSettings, timeout_ms: int) -> None:
        """Read them within ``timeout_ms``, each by one thread, however many attempts wait for it."""
        self._sink = settings.name
        self._secrets = {key: one for key, one in settings.secrets().items() if one.env is None}
        self._timeout_s = timeout_ms / 1000
        self._reads: SharedCalls[Secret, Reading] = SharedCalls("secret file")

    def __bool__(self) -> bool:
        """Whether there are any secret files."""
        return bool(self._secrets)

    async def deliver(self, deliver: Deliver, delivery: Delivery) -> Outcome:
        """Make an attempt with ``deliver``, which uses the present content of the files."""
        readings = await self._readings()
        if isinstance(readings, Outcome):
            return readings
        with readings_known(readings):
            return await deliver(delivery)

    async def _readings(self) -> Mapping[Secret, Reading] | Outcome:
        readings: dict[Secret, Reading] = {}
        end = asyncio.get_running_loop().time() + self._timeout_s
        for key, secret in self._secrets.items():
            try:
                async with asyncio.timeout_at(end):
                    readings[secret] = await self._reads.result(secret, partial(_read, secret))
            except TimeoutError:
                return self._hangs(key)
        return readings

    def _hangs(self, key: str) -> Outcome:
        detail = (
            f"sinks.{self._sink}.{key}: {self._secrets[key]} cannot be read within {self._timeout_s:g} s: the mount "
            "that it is on may hang, or it is a pipe that nobody writes to"
        )
        return retryable(Reason.SECRET, detail)


def _read(secret: Secret) -> Reading:
    try:
        return secret.read_anew()
    except SecretUnavailable as error:
        return error


class FileSecretsSink:
    """`bridge.sinks.base.Sink` around a sink that has secret files."""

    def __init__(self, sink: Sink, files: SecretFiles) -> None:
        """Read ``files`` before each attempt of ``sink``."""
        self._sink = sink
        self._files = files

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Attempt ``delivery`` once, with the present secrets."""
        return await self._files.deliver(self._sink.deliver, delivery)
