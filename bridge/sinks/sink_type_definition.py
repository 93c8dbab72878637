"""The definition of a kind of sink: its settings class, and the function that builds the sink."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bridge.config import SinkSettings
from bridge.sinks.base import Sink, Transport

INTERFACE = 1
"""The version of the interface between sinks and the bridge: everything that `bridge.plugin` exports.

It rises only when a sink written for the previous version would no longer work.
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of sink, as a package registers it under the name of its ``type``.

    Attributes:
        settings: the class of its settings, a subclass of `SinkSettings`.
        build: makes a sink from its settings, a transport, and the timeout of an attempt in ms. It must
            not open anything yet: that is done at the first delivery.
        is_http: whether the sink sends only requests, and only through the given transport. Then
            ``sinks test --dry-run`` can show them without sending. A sink that writes or sends in
            another way is not, and is never asked to deliver in a dry run.
        interface: the version of the interface for which it was written.
    """

    settings: type[SinkSettings]
    build: Callable[[Any, Transport, int], Sink]
    is_http: bool = False
    interface: int = 1
