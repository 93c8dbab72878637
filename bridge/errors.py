"""The exceptions whose messages are shown to people, as one tree.

::

    BridgeError
    ├── ConfigurationError      the configuration cannot be used
    ├── StateError              the state cannot be used
    │   ├── StateForeign        it belongs to another registry
    │   ├── StateMoved          it goes on in another place
    │   ├── StateNewer          a newer version of the bridge wrote it
    │   ├── StateDamaged        a record before its last one is damaged
    │   ├── StateUnwritable     it cannot be written (full or read-only disk)
    │   ├── StateChanged        it changed after the reads that a commit is based on
    │   └── StateOwned          another instance owns it
    │       └── OwnerUnavailable  and does not do what it is asked
    ├── RegistryError           the registry did not give what was asked
    │   ├── RegistryUnreachable no usable answer in time
    │   │   ├── RegistryBusy    it asks clients to wait
    │   │   └── ScanUnfinished  a full scan did not finish in its time
    │   └── RegistryRefused     it answered, and refuses us or is no MLflow server
    │       └── RegistryLacks   it does not support a request, such as a filter or an order
    ├── PollHeld                the poll found a difference that an operator has to accept first
    ├── NotFound                what a command asks for does not exist
    ├── InvalidArgument         what was asked for cannot be done with these arguments
    ├── InvalidState            it cannot be done as things are
    ├── LimitExceeded           there would be more of something than the configuration allows
    ├── SecretUnavailable       a secret cannot be read from its configured place
    └── AuthorityUnavailable    the CA certificates cannot be read from their configured place

Each message is one sentence or two: what is wrong, and how to correct it. An expected failure of
a receiver is a value (an outcome), never one of these exceptions.
"""


class BridgeError(Exception):
    """An error that a person has to know about; its message says what is wrong and how to correct it."""


class ConfigurationError(BridgeError):
    """The configuration cannot be used. ``problems`` has one line for each fault: its key, then the fault."""

    def __init__(self, problems: list[str], source: str = "") -> None:
        """Keep the problems; the message lists them all, after the name of their source."""
        self.problems = problems
        self.source = source
        heading = f"{source}: " if source else ""
        if len(problems) == 1:
            message = heading + problems[0]
        else:
            message = f"{heading}{len(problems)} errors\n" + "\n".join(f"  {p}" for p in problems)
        super().__init__(message)


class StateError(BridgeError):
    """The state folder cannot be used."""


class StateForeign(StateError):
    """The state belongs to another registry than the configured one."""


class StateMoved(StateError):
    """The state goes on in another place."""


class StateNewer(StateError):
    """The state was written in a format that this version does not know."""


class StateDamaged(StateError):
    """A record before the end of the journal does not match its checksum."""


class StateUnwritable(StateError):
    """The state could not be written to disk: nothing of the attempted commit took effect."""


class StateChanged(StateError):
    """The state changed after the reads that a commit is based on: nothing of that commit took effect."""


class StateOwned(StateError):
    """Another process owns the state folder."""


class OwnerUnavailable(StateOwned):
    """Another process owns the state folder, and does not do what it is asked."""


class RegistryError(BridgeError):
    """The registry did not give what it was asked for."""


class RegistryUnreachable(RegistryError):
    """No usable answer came from the registry in time."""


class RegistryBusy(RegistryUnreachable):
    """The registry, or a proxy before it, asks clients to wait, for ``wait_s`` seconds if it gives a time."""

    def __init__(self, message: str, wait_s: int | None = None) -> None:
        """Keep the time to wait, in seconds."""
        self.wait_s = wait_s
        super().__init__(message)


class ScanUnfinished(RegistryUnreachable):
    """A full scan did not finish in its time; the next one continues from there."""


class RegistryRefused(RegistryError):
    """The registry answered, but it refuses access, or it is not an MLflow server."""


class RegistryLacks(RegistryRefused):
    """The registry does not support a request that other MLflow servers support."""


class TransitionRefused(RegistryError):
    """MLflow refuses to make a transition; the message is MLflow's own, unless it ``is_denied`` (no permission)."""

    def __init__(self, message: str, *, is_denied: bool = False) -> None:
        """Say why."""
        super().__init__(message)
        self.is_denied = is_denied


class PollHeld(BridgeError):
    """The poll found a difference so large that an operator has to accept it first."""

    def __init__(self, message: str, digest: str) -> None:
        """Keep the digest that identifies exactly this difference, for its acceptance."""
        self.digest = digest
        super().__init__(message)


class NotFound(BridgeError):
    """What a command asks for does not exist, or is not known."""


class InvalidArgument(BridgeError):
    """A request has an argument that is missing or cannot be used; the message names it."""


class InvalidState(BridgeError):
    """A request cannot be carried out in the present state of what it is about."""


class NotAllowed(BridgeError):
    """Whoever asks may not do this: it is not theirs to decide."""


class LimitExceeded(BridgeError):
    """A request would make more of something than the configuration allows."""


class SecretUnavailable(BridgeError):
    """A secret cannot be read from the place that the configuration names."""


class AuthorityUnavailable(BridgeError):
    """The CA certificates cannot be read from the place that the configuration names, or are not valid."""
