"""The errors that reach a person, and the tree they form.

::

    BridgeError
    ├── ConfigurationError      the configuration cannot be used
    ├── StateError              the state cannot be used
    │   ├── StateForeign        it belongs to another registry
    │   ├── StateNewer          a newer version of the bridge wrote it
    │   ├── StateDamaged        it is damaged before its end
    │   ├── StateUnwritable     it cannot be written (full or read-only disk)
    │   ├── StateChanged        it is no longer what a commit was made from
    │   └── StateOwned          another instance owns it
    │       └── OwnerUnavailable  and does not do what it was asked to
    ├── RegistryError           the registry did not give what was asked
    │   ├── RegistryUnreachable no usable answer in time
    │   │   ├── RegistryBusy    it asks to be left alone for a while
    │   │   └── ScanUnfinished  a full scan came part of the way in its time
    │   └── RegistryRefused     it answered, and refuses us or is no MLflow server
    │       └── RegistryLacks   it knows no such request: a filter or an order, say
    ├── PollHeld                the poll saw a difference too large to act on unasked
    ├── NotFound                what a command was asked about is not there
    ├── SecretUnavailable       a secret is not where the configuration says
    └── AuthorityUnavailable    and neither are the certificates of those to trust

Each message is one sentence or two: what is wrong, and how to mend it. A failure that is
expected of a receiver is a value (an outcome), never one of these.
"""


class BridgeError(Exception):
    """Something a person has to know about; its message says what and how to mend it."""


class ConfigurationError(BridgeError):
    """The configuration cannot be used. ``problems`` has one line for each fault, key first."""

    def __init__(self, problems: list[str], source: str = "") -> None:
        """Keep the faults; the message lists them all, under the name of their source."""
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
    """The state was taken from another registry than the one configured."""


class StateNewer(StateError):
    """The state was written in a format that this version does not know."""


class StateDamaged(StateError):
    """A record before the end of the journal does not match its checksum."""


class StateUnwritable(StateError):
    """The state could not be made durable: nothing of the attempted commit took effect."""


class StateChanged(StateError):
    """The state is no longer what a commit was made from: nothing of that commit took effect."""


class StateOwned(StateError):
    """Another process owns the state folder."""


class OwnerUnavailable(StateOwned):
    """Another process owns the state folder, and does not do what it was asked to."""


class RegistryError(BridgeError):
    """The registry did not give what was asked."""


class RegistryUnreachable(RegistryError):
    """No usable answer came from the registry in time."""


class RegistryBusy(RegistryUnreachable):
    """The registry, or what stands before it, asks to be left alone; for ``wait_s`` seconds, where it says so."""

    def __init__(self, message: str, wait_s: int | None = None) -> None:
        """Keep how long it asks to wait."""
        self.wait_s = wait_s
        super().__init__(message)


class ScanUnfinished(RegistryUnreachable):
    """A full scan came part of the way in its time; the next one goes on from there."""


class RegistryRefused(RegistryError):
    """The registry answered, but it refuses us, or it is no MLflow server."""


class RegistryLacks(RegistryRefused):
    """The registry does not know a request that others answer."""


class PollHeld(BridgeError):
    """The poll saw a difference so large that an operator has to accept it first."""

    def __init__(self, message: str, digest: str) -> None:
        """Keep the digest by which exactly this difference can be accepted."""
        self.digest = digest
        super().__init__(message)


class NotFound(BridgeError):
    """What a command was asked about is not there, or not known."""


class SecretUnavailable(BridgeError):
    """A secret is not where the configuration says."""


class AuthorityUnavailable(BridgeError):
    """The certificates of those to trust are not where, or not what, the configuration says."""
