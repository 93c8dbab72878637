"""Checks once that the settings class of a package's sink answers all of the bridge's calls correctly."""

from collections.abc import Callable, Mapping
from typing import Any

from bridge.config import Secret, SinkSettings
from bridge.sinks.sink_type_table import KINDS, sink_of
from bridge.sinks.transport.exchange_recorder import NoTransport


def settings_faults(sink: SinkSettings) -> list[str]:
    """Return a sentence for each method of a package's settings that fails or returns a wrong value.

    The bridge calls these methods again and again, at moments where nothing may fail.
    """
    if sink.type in KINDS:
        return []
    made = f"{type(sink).__module__}.{type(sink).__qualname__}"
    found = {
        question: fault
        for question, (ask, is_right) in _QUESTIONS.items()
        if (fault := _fault(sink, ask, is_right))
    }
    if "origin" in found or "token_origin" in found:
        found.pop("origins", None)  # which calls those two
    return [f"{made}.{question} {fault}: a fault in its package" for question, fault in found.items()]


def unbuildable(sink: SinkSettings) -> str:
    """Return why a package cannot make a sink from its settings, or nothing if it can."""
    if sink.type in KINDS:
        return ""
    from bridge.sinks.plugins.guarded_sink import GuardedSink  # noqa: PLC0415 - imports logging, which few checks need

    built = sink_of(sink, NoTransport(), 1_000)
    return built.fault if isinstance(built, GuardedSink) else ""


def _fault(sink: SinkSettings, ask: Callable[[SinkSettings], Any], is_right: Callable[[Any], bool]) -> str:
    try:
        return "" if is_right(ask(sink)) else "returns what it must not"
    except Exception as error:  # noqa: BLE001 - code of a third party may raise anything
        return f"fails ({type(error).__name__})"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return value is None or (type(value) is int and value > 0)


def _are_secrets(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(one, Secret) for one in value.values())


def _misfits(sink: SinkSettings) -> list[str]:
    return [sink.misfit(key, "x") for key in sink.secrets()]


_QUESTIONS: Mapping[str, tuple[Callable[[SinkSettings], Any], Callable[[Any], bool]]] = {
    "origin": (lambda sink: sink.origin(), _is_text),
    "origins": (lambda sink: list(sink.origins()), lambda found: all(map(_is_text, found))),
    "token_origin": (lambda sink: sink.token_origin(), _is_text),
    "secrets": (lambda sink: sink.secrets(), _are_secrets),
    "misfit": (_misfits, lambda found: all(map(_is_text, found))),
    "remarks": (lambda sink: list(sink.remarks()), lambda found: all(map(_is_text, found))),
    "default_rate_ms": (lambda sink: sink.default_rate_ms(), _is_count),
    "default_concurrency": (lambda sink: sink.default_concurrency(), _is_count),
}
