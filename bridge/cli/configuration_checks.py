"""Check a configuration without changing anything: find faults and warnings, and ask the registry."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bridge.cli.exit_codes import ExitCode, code_of, first_of
from bridge.cli.progress_line import Scanned
from bridge.cli.proxy_table import Way, exemption_warnings, way_document, ways_of
from bridge.config import Settings, own_secret_faults
from bridge.config.secret_trimming import is_quoted
from bridge.config.tls_environment_variables import authority_warnings, drop_unusable_key_log
from bridge.delivery.allowed_destinations import is_plain
from bridge.delivery.proxy_routes import ProxyFault
from bridge.delivery.unmatched_globs import unmatched
from bridge.errors import BridgeError, ConfigurationError, SecretUnavailable
from bridge.events.display_text import count
from bridge.registry.connection_setting_origins import Sourced, registry_sources
from bridge.sinks.plugins.settings_check import unbuildable
from bridge.sinks.sink_type_table import Kinds
from bridge.sinks.transport.preflight_check import access_faults

if TYPE_CHECKING:
    from bridge.operations.registry_check import RegistryAnswer

_KEY = re.compile(r"((?:[\w-]+|\"[^\"]*\")(?:\[\d+\]|\.[\w-]+|\.\"[^\"]*\")*): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check.

    Attributes:
        faults: what keeps the configuration from working.
        warnings: what is valid but possibly a mistake, each with its key.
        answer: a summary of the registry's content; None if it was not asked, or does not answer.
        sources: the connection settings of the registry, and where each one comes from.
        packages: the package of each sink type that is not built in.
        ways: by which proxy, if any, the registry and each sink are reached.
        database: what the database of the state answers; None if it was not asked, or the state is in a folder.
    """

    faults: Sequence[BridgeError]
    warnings: Sequence[str] = ()
    answer: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    ways: Sequence[Way] = ()
    sources: Sequence[Sourced] = ()
    database: str | None = None

    @property
    def code(self) -> ExitCode:
        """The exit code that the faults lead to."""
        return first_of(map(code_of, self.faults))

    def to_document(self, path: str | None, settings: Settings | None) -> dict[str, Any]:
        """Return the result as a JSON document; ``settings`` is None if faults prevented loading them."""
        return {
            "configuration": path,
            "ok": not self.faults,
            "exit_code": int(self.code),
            "faults": [one for fault in self.faults for one in _documents(fault)],
            "warnings": [_keyed(warning) for warning in self.warnings],
            "registry": {"uri": settings.registry.shown_uri, "answer": self.answer} if settings else None,
            "state": {"place": settings.state.place, "answer": self.database} if settings else None,
            "access": {part.what: part.to_document() for part in self.sources},
            "sinks": [sink.name for sink in settings.sinks] if settings else [],
            "packages": dict(self.packages),
            "proxies": [way_document(way) for way in self.ways],
        }

    @property
    def sources_to_show(self) -> Sequence[Sourced]:
        """Return the sources to show to people: none if only the configured address is used, otherwise all."""
        plain = all(part.source == "registry.tracking_uri" or part.value == "none" for part in self.sources)
        return () if plain and self.answer is None else self.sources


def _documents(fault: BridgeError) -> Iterator[dict[str, Any]]:
    lines = fault.problems if isinstance(fault, ConfigurationError) else [str(fault)]
    for line in lines:
        yield {**_keyed(line), "exit_code": int(code_of(fault))}


def _keyed(line: str) -> dict[str, Any]:
    found = _KEY.fullmatch(line)
    key, message = found.groups() if found else (None, line)
    return {"key": key, "message": message}


def check_settings(settings: Settings) -> CheckResult:
    """Check the configuration alone, without a connection."""
    key_log = drop_unusable_key_log()  # before TLS settings are checked, which would log it
    ways = list(ways_of(settings))
    faults = [*_unbuildable(settings), *_access(settings, ways)]
    warnings = [*_plain_http(settings), *_remarks(settings), *exemption_warnings(), *authority_warnings()]
    warnings += [key_log] if key_log else []
    sources = registry_sources(settings.registry, settings.from_environment)
    return CheckResult(faults, warnings, packages=_packages(settings), sources=sources, ways=ways)


def check_connections(
    settings: Settings, scanned: Scanned | None = None, *, with_secrets: bool = True
) -> CheckResult:
    """Check the configuration as `check_settings` does, and also the registry, the state, the proxies and the secrets."""
    before = check_settings(settings)
    answer, warnings, unreachable = None, list(before.warnings), []
    try:
        found = _ask(settings, scanned)
        answer = found.told
        warnings += [*_unmatched(settings, found.names), *_read_only(settings, found.names)]
    except BridgeError as error:
        unreachable = [error]
    hidden = _secrets(settings) if with_secrets else ()
    unusable = list(_state(settings))
    database = None if unusable else _database(settings)
    faults = [*before.faults, *hidden, *_proxies(settings), *unusable, *unreachable]
    faults = list({str(fault): fault for fault in faults}.values())  # both checks can report the same proxy
    warnings += [*_readers(settings), *(_quoted(settings) if with_secrets else ())]
    return replace(before, faults=faults, warnings=warnings, answer=answer, database=database)


def _unmatched(settings: Settings, names: Collection[str]) -> Iterator[str]:
    """Yield a warning for each model filter that matches no model; none for an empty registry."""
    filtered = [
        *((f"sinks.{sink.name}", sink.models) for sink in settings.sinks),
        *((f"gates.{gate.name}", gate.models) for gate in settings.gates),
    ]
    for what, globs in filtered if names else ():
        for place, told in unmatched(globs, names):
            yield f"{what}.models[{place}]: {told}"


def _read_only(settings: Settings, names: Collection[str]) -> Iterator[str]:
    """Yield a warning if a gate decides, and the bridge may not change a model that it guards."""
    if not any(gate.mode != "audit" for gate in settings.gates):
        return
    from bridge.operations.gate_listing import write_fault  # noqa: PLC0415 - brings in the loops

    fault = write_fault(settings, sorted(names))
    if fault:
        yield f"gates: {fault}"


def _ask(settings: Settings, scanned: Scanned | None = None) -> "RegistryAnswer":
    """Ask the registry for its content.

    Raises:
        BridgeError: the registry gives no usable answer, or the request cannot be made.
    """
    import asyncio  # noqa: PLC0415 - a slow import that a plain check does not need

    from bridge.operations.registry_check import ask_registry  # noqa: PLC0415

    return asyncio.run(ask_registry(settings, scanned))


def _secrets(settings: Settings) -> Iterator[ConfigurationError]:
    """Yield a fault for each secret that cannot be used now."""
    for key, fault in own_secret_faults(settings):
        yield ConfigurationError([f"{key}: {fault}"])
    for index, sink in enumerate(settings.sinks):
        for key, secret in sink.secrets().items():
            fault = sink.secret_fault(key, secret)
            if fault:
                yield ConfigurationError([f"sinks[{index}].{key}: {fault}"])


def _quoted(settings: Settings) -> Iterator[str]:
    """Yield a warning for each secret in quotation marks: the marks are sent as part of the secret."""
    for sink in settings.sinks:
        for key, secret in sink.secrets().items():
            with suppress(SecretUnavailable):
                if is_quoted(secret.read()):
                    yield (
                        f"sinks.{sink.name}.{key}: {secret}: is in quotation marks, which are part of it "
                        "(docker --env-file leaves them): remove them, unless they are meant"
                    )


def _proxies(settings: Settings) -> Iterator[ConfigurationError]:
    from bridge.sinks.transport.proxy_connection_test import proxy_problems  # noqa: PLC0415 - as above

    for problem in proxy_problems(settings.sinks, settings.delivery):
        yield ConfigurationError([problem])


def _state(settings: Settings) -> Iterator[BridgeError]:
    from bridge.store.state_opening import check_binding, check_writable, read_state  # noqa: PLC0415

    try:
        check_writable(settings)
        with read_state(settings) as state:
            check_binding(state, settings)
    except BridgeError as error:
        yield error


def _database(settings: Settings) -> str | None:
    """Return what the state's database answers; None for a state in a folder."""
    if not settings.state.is_database:
        return None
    from bridge.store.state_opening import state_database  # noqa: PLC0415

    try:
        members = state_database(settings).members()
    except BridgeError:  # it could be used a moment ago: the next check tells
        return None
    shared = f"{count(len(members), 'bridge')} share{'s' if len(members) == 1 else ''} it now"
    return f"the database can keep the state; {shared}"


def _readers(settings: Settings) -> Iterator[str]:
    from bridge.store.state_opening import has_readers  # noqa: PLC0415

    if settings.state.is_exposed:
        yield 'state.url: what goes to this database can be read or replaced on the way: set state.sslmode = "verify-full"'
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


def _access(settings: Settings, ways: Sequence[Way]) -> list[BridgeError]:
    """Return the faults of proxies and TLS files that prevent connections; each once, as several sinks can share one."""
    faults = [str(route) for key, _, route in ways if key == "registry" and isinstance(route, ProxyFault)]
    faults += [fault for sink in settings.sinks for fault in access_faults(sink, settings.delivery)]
    return [ConfigurationError([fault]) for fault in dict.fromkeys(faults)]


def _plain_http(settings: Settings) -> Iterator[str]:
    for sink in settings.sinks:
        for origin in filter(is_plain, sink.origins()):
            yield f"sinks.{sink.name}: what is sent to {origin} is not encrypted: use https"


def _remarks(settings: Settings) -> Iterator[str]:
    for sink in settings.sinks:
        for remark in sink.remarks():
            yield f"sinks.{sink.name}.{remark}"
