"""The exit codes, the error types that lead to each, and the codes that each command can give."""

from collections.abc import Iterable, Mapping
from enum import IntEnum, unique

from bridge.errors import (
    BridgeError,
    ConfigurationError,
    PollHeld,
    RegistryError,
    SecretUnavailable,
    StateForeign,
    StateMoved,
    StateNewer,
    StateOwned,
    StateUnwritable,
)


@unique
class ExitCode(IntEnum):
    """Exit codes, chosen after sysexits.h where it names the case."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    HELD = 65
    REGISTRY = 69
    STATE = 73
    WAITING = 74
    OWNED = 75
    CONFIGURATION = 78


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "anything not named here",
    ExitCode.USAGE: "wrong usage",
    ExitCode.HELD: "a poll is held",
    ExitCode.REGISTRY: "registry unreachable",
    ExitCode.STATE: "the state cannot be written",
    ExitCode.WAITING: "(once) entries are still waiting",
    ExitCode.OWNED: "another instance owns the state",
    ExitCode.CONFIGURATION: "configuration error, or a state that is foreign or from a newer version",
}
"""The meaning of each code, as the help shows it."""

_ANY = (ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE)
_READS = (*_ANY, ExitCode.CONFIGURATION)
_CHANGES = (*_ANY, ExitCode.STATE, ExitCode.OWNED, ExitCode.CONFIGURATION)
_POLLS = (*_ANY, ExitCode.REGISTRY, ExitCode.STATE, ExitCode.OWNED, ExitCode.CONFIGURATION)
_ASKS = (*_ANY, ExitCode.REGISTRY, ExitCode.STATE, ExitCode.CONFIGURATION)

GIVEN: Mapping[str, tuple[ExitCode, ...]] = {
    "": tuple(ExitCode),
    "run": _CHANGES,
    "reload": _CHANGES,
    "once": tuple(ExitCode),
    "status": _READS,
    "diff": (*_ANY, ExitCode.REGISTRY, ExitCode.CONFIGURATION),
    "events": _READS,
    "events list": _READS,
    "events show": _READS,
    "sinks": _CHANGES,
    "sinks list": _READS,
    "sinks test": _READS,
    "sinks pause": _CHANGES,
    "sinks resume": _CHANGES,
    "webhooks": _CHANGES,
    "webhooks list": _READS,
    "webhooks show": _READS,
    "webhooks create": _CHANGES,
    "webhooks update": _CHANGES,
    "webhooks delete": _CHANGES,
    "webhooks test": _READS,
    "webhooks rekey": _CHANGES,
    "requests": _CHANGES,
    "requests list": _READS,
    "requests show": _READS,
    "requests create": _CHANGES,
    "requests approve": _CHANGES,
    "requests reject": _CHANGES,
    "requests cancel": _CHANGES,
    "gates": _READS,
    "gates list": _READS,
    "gates check": _READS,
    "outbox": _CHANGES,
    "outbox list": _READS,
    "outbox show": _READS,
    "outbox redrive": _CHANGES,
    "outbox drop": _CHANGES,
    "replay": _CHANGES,
    "state": _POLLS,
    "state rebaseline": _POLLS,
    "state rebind": _POLLS,
    "state copy": _CHANGES,
    "state migrate": _CHANGES,
    "state restored": _CHANGES,
    "init": _ASKS,
    "check": _ASKS,
    "demo": _ANY,
    "completion": _ANY,
}
"""The codes that each command can give, by its full name."""

PRECEDENCE = (
    ExitCode.CONFIGURATION,
    ExitCode.STATE,
    ExitCode.OWNED,
    ExitCode.REGISTRY,
    ExitCode.HELD,
    ExitCode.WAITING,
    ExitCode.FAILED,
)

_CODES: tuple[tuple[type[BridgeError], ExitCode], ...] = (
    (ConfigurationError, ExitCode.CONFIGURATION),
    (SecretUnavailable, ExitCode.CONFIGURATION),
    (StateForeign, ExitCode.CONFIGURATION),
    (StateMoved, ExitCode.CONFIGURATION),
    (StateNewer, ExitCode.CONFIGURATION),
    (StateUnwritable, ExitCode.STATE),
    (StateOwned, ExitCode.OWNED),
    (RegistryError, ExitCode.REGISTRY),
    (PollHeld, ExitCode.HELD),
)


def code_of(error: BridgeError) -> ExitCode:
    """Return the exit code for ``error``."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def first_of(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the exit code that takes precedence among several."""
    found = set(codes)
    return next((code for code in PRECEDENCE if code in found), ExitCode.DONE)
