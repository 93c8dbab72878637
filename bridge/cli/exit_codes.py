"""The exit codes of the contract, and which error means which."""

from collections.abc import Iterable
from enum import IntEnum, unique

from bridge.errors import (
    BridgeError,
    ConfigurationError,
    PollHeld,
    RegistryError,
    SecretUnavailable,
    StateForeign,
    StateNewer,
    StateOwned,
    StateUnwritable,
)


@unique
class ExitCode(IntEnum):
    """After sysexits.h, as far as it has a name for the case."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    HELD = 65
    REGISTRY = 69
    STATE = 73
    WAITING = 74
    OWNED = 75
    CONFIGURATION = 78


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
    (StateNewer, ExitCode.CONFIGURATION),
    (StateUnwritable, ExitCode.STATE),
    (StateOwned, ExitCode.OWNED),
    (RegistryError, ExitCode.REGISTRY),
    (PollHeld, ExitCode.HELD),
)


def code_of(error: BridgeError) -> ExitCode:
    """Return the exit code that ``error`` alone leads to."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def first_of(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the one to exit with, of several at once."""
    found = set(codes)
    return next((code for code in PRECEDENCE if code in found), ExitCode.DONE)
