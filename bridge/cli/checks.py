"""What can be found out about a configuration without changing anything: faults, warnings, the registry."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.cli.exit_codes import ExitCode, code_of, first_of
from bridge.cli.progress import Scanned
from bridge.config import Settings
from bridge.delivery.targets import is_plain
from bridge.errors import BridgeError, ConfigurationError
from bridge.sinks.access import access_faults
from bridge.sinks.kinds import Kinds
from bridge.sinks.vetting import unbuildable

_KEY = re.compile(r"((?:[\w-]+|\"[^\"]*\")(?:\[\d+\]|\.[\w-]+|\.\"[^\"]*\")*): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to.

    Attributes:
        faults: what keeps the configuration from working.
        warnings: what is right but may not be meant, each with its key.
        answer: what the registry shows, in a few words; None where it was not asked, or does not answer.
        packages: which package types of sinks come from that are not the bridge's own.
    """

    faults: Sequence[BridgeError]
    warnings: Sequence[str] = ()
    answer: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def code(self) -> ExitCode:
        """The exit code for the faults."""
        return first_of(map(code_of, self.faults))

    def to_document(self, path: str | None, settings: Settings | None) -> dict[str, Any]:
        """Return the result for programs; ``settings`` is None where there are none, for their faults."""
        return {
            "configuration": path,
            "ok": not self.faults,
            "exit_code": int(self.code),
            "faults": [one for fault in self.faults for one in _documents(fault)],
            "warnings": [_keyed(warning) for warning in self.warnings],
            "registry": {"uri": settings.registry.uri, "answer": self.answer} if settings else None,
            "sinks": [sink.name for sink in settings.sinks] if settings else [],
            "packages": dict(self.packages),
        }


def _documents(fault: BridgeError) -> Iterator[dict[str, Any]]:
    lines = fault.problems if isinstance(fault, ConfigurationError) else [str(fault)]
    for line in lines:
        yield {**_keyed(line), "exit_code": int(code_of(fault))}


def _keyed(line: str) -> dict[str, Any]:
    found = _KEY.fullmatch(line)
    key, message = found.groups() if found else (None, line)
    return {"key": key, "message": message}


def checked(settings: Settings) -> Checked:
    """Return what the configuration tells by itself."""
    faults = [*_unbuildable(settings), *_access(settings)]
    warnings = [*_plain_http(settings), *_remarks(settings)]
    return Checked(faults, warnings, packages=_packages(settings))


def connected(settings: Settings, scanned: Scanned | None = None, *, with_secrets: bool = True) -> Checked:
    """Return what `checked` does, and what the registry, the state and the places of secrets tell."""
    before = checked(settings)
    try:
        answer, unreachable = _ask(settings, scanned), []
    except BridgeError as error:
        answer, unreachable = None, [error]
    hidden = _secrets(settings) if with_secrets else ()
    faults = [*before.faults, *hidden, *_state(settings), *unreachable]
    return Checked(faults, [*before.warnings, *_readers(settings)], answer, before.packages)


def _ask(settings: Settings, scanned: Scanned | None = None) -> str:
    """Return what the registry shows, in a few words.

    Raises:
        BridgeError: it gives no usable answer, or cannot be asked.
    """
    import asyncio  # noqa: PLC0415 - brings in a lot that a plain check does not need

    from bridge.connect import ask_registry  # noqa: PLC0415

    return asyncio.run(ask_registry(settings, scanned))


def _secrets(settings: Settings) -> Iterator[ConfigurationError]:
    """Yield what is wrong with each sink's secrets as they are now."""
    for index, sink in enumerate(settings.sinks):
        for key, secret in sink.secrets().items():
            fault = sink.secret_fault(key, secret)
            if fault:
                yield ConfigurationError([f"sinks[{index}].{key}: {fault}"])


def _state(settings: Settings) -> Iterator[BridgeError]:
    from bridge.states import check_binding, check_writable, read_state  # noqa: PLC0415

    try:
        check_writable(settings)
        with read_state(settings) as state:
            check_binding(state, settings)
    except BridgeError as error:
        yield error


def _readers(settings: Settings) -> Iterator[str]:
    from bridge.states import has_readers  # noqa: PLC0415

    if has_readers(settings):
        folder = settings.state.folder
        yield f"state.url: others on this machine can read the state in {folder}: close it to them (0700), or mount its file system for this user alone"


def _unbuildable(settings: Settings) -> Iterator[ConfigurationError]:
    for index, sink in enumerate(settings.sinks):
        fault = unbuildable(sink)
        if fault:
            yield ConfigurationError([f"sinks[{index}]: {fault}"])


def _packages(settings: Settings) -> dict[str, str]:
    kinds = Kinds()
    asked = dict.fromkeys(sink.type for sink in settings.sinks)
    return {kind: package for kind in asked if (package := kinds.package(kind))}


def _access(settings: Settings) -> list[BridgeError]:
    """Return what will keep sinks from being reached, each fault once: a default's concerns many sinks."""
    faults = [fault for sink in settings.sinks for fault in access_faults(sink, settings.delivery)]
    return [ConfigurationError([fault]) for fault in dict.fromkeys(faults)]


def _plain_http(settings: Settings) -> Iterator[str]:
    for sink in settings.sinks:
        for origin in filter(is_plain, sink.origins()):
            yield f"sinks.{sink.name}: what is sent to {origin} is not encrypted: use https"


def _remarks(settings: Settings) -> Iterator[str]:
    for sink in settings.sinks:
        for remark in sink.remarks():
            yield f"sinks.{sink.name}.{remark}"
