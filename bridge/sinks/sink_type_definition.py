"""A kind of sink: what its settings are, and what builds one from them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bridge.config import SinkSettings
from bridge.sinks.base import Sink, Transport

INTERFACE = 1
"""The version of what sinks and the bridge know of each other: all that `bridge.plugin` names.

It rises only when a sink that was written for the one before would no longer work.
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of sink, as a package registers it under the name of its ``type``.

    Attributes:
        settings: its keys: a subclass of `SinkSettings`.
        build: makes a sink from its settings, the way out to the network, and how long an attempt
            may take, in ms. It opens nothing yet: that is for the first delivery.
        is_http: whether all that it sends are requests that go out by the transport it is given:
            then ``sinks test --dry-run`` can show them without sending. One that writes or sends
            anything in another way is not, and is never asked to deliver in a dry run.
        interface: the version of the interface that it was written for.
    """

    settings: type[SinkSettings]
    build: Callable[[Any, Transport, int], Sink]
    is_http: bool = False
    interface: int = 1
