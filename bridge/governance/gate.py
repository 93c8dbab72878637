"""A gate: the checks that a version has to pass before it gets a stage or an alias, and the verdict on them."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any, Self

from bridge.delivery.event_routing import selects
from bridge.events.jmespath_expressions import EvaluationFailed, Expression
from bridge.governance.transition_target import Target

_LONGEST_VALUE = 200
_MOST_VALUES = 50


@unique
class GateMode(StrEnum):
    """What a gate does with its verdict."""

    AUDIT = "audit"
    """It tells it."""
    DECIDE = "decide"
    """It approves or rejects requests."""
    ENFORCE = "enforce"
    """It does so, and also undoes what went past it."""

    @property
    def decides(self) -> bool:
        """Whether it decides on requests."""
        return self is not GateMode.AUDIT


@unique
class Finding(StrEnum):
    """What a check, or a gate as a whole, found."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    """There is no telling: a metric is missing, or the run cannot be read."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: what has to be true, and what is told if it is not."""

    name: str
    require: Expression
    message: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate as it is configured.

    Attributes:
        name: its name in verdicts, events and metrics.
        mode: what it does with its verdict.
        models: globs of models, as sinks have them; empty: all.
        to_stages: the stages that it guards.
        aliases: patterns for the whole alias, of those that it guards.
        approvals: how many people have to approve besides.
        rejects_inconclusive: whether a request is rejected if the gate cannot tell.
        checks: all of them have to pass.
    """

    name: str
    mode: GateMode
    models: tuple[str, ...] = ()
    to_stages: tuple[str, ...] = ()
    aliases: tuple[re.Pattern[str], ...] = ()
    approvals: int = 0
    rejects_inconclusive: bool = False
    checks: tuple[Check, ...] = ()

    def guards(self, model: str, target: Target) -> bool:
        """Whether it guards this stage or alias of the model."""
        if not selects(self.models, model):
            return False
        if target.alias is not None:
            return any(pattern.fullmatch(target.alias) for pattern in self.aliases)
        return target.stage in self.to_stages


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate found, with every reason, and the values that its checks used.

    ``at`` is ms since the epoch; ``approvals`` is how many the request had then. ``is_final`` is False if the registry
    could not be read: that says nothing about the version, which is judged again.
    """

    gate: str
    mode: GateMode
    finding: Finding
    reasons: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    at: int = 0
    is_final: bool = True
    approvals: int = 0

    def to_document(self) -> dict[str, Any]:
        """Return the verdict as plain JSON values."""
        return {
            "gate": self.gate,
            "mode": self.mode.value,
            "verdict": self.finding.value,
            "reasons": list(self.reasons),
            "values": dict(self.values),
            "at": self.at,
            "is_final": self.is_final,
            "approvals": self.approvals,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the verdict that `to_document` wrote."""
        return cls(
            document["gate"],
            GateMode(document["mode"]),
            Finding(document["verdict"]),
            tuple(document["reasons"]),
            document["values"],
            document["at"],
            document["is_final"],
            document.get("approvals", 0),
        )


def guarding(gates: Iterable[Gate], model: str, target: Target) -> list[Gate]:
    """Return those of ``gates`` that guard this stage or alias of the model."""
    return [gate for gate in gates if gate.guards(model, target)]


def judge(gate: Gate, facts: Mapping[str, Any], gaps: Sequence[str], now_ms: int) -> Verdict:
    """Judge a version by every check of a gate.

    Args:
        gate: the gate.
        facts: what its expressions see: ``event``, ``run``, ``version``, ``model`` and ``incumbent``.
        gaps: why parts of the facts are missing; told if a check is inconclusive.
        now_ms: ms since the epoch.
    """
    context, unusual = _measurable(facts)
    found = [_checked(check, context) for check in gate.checks]
    findings = {finding for finding, _ in found}
    reasons = [reason for _, reason in found if reason]
    if Finding.INCONCLUSIVE in findings:
        reasons += [*gaps, *unusual]
    return Verdict(
        gate.name,
        gate.mode,
        overall(findings),
        tuple(dict.fromkeys(reasons)),
        _values_used(gate.checks, context),
        now_ms,
    )


def unreadable(gate: Gate, why: str, now_ms: int) -> Verdict:
    """Return the verdict if the registry gave no usable answer."""
    return Verdict(gate.name, gate.mode, Finding.INCONCLUSIVE, (why,), {}, now_ms, is_final=False)


def overall(findings: Iterable[Finding]) -> Finding:
    """Return what several checks, or gates, found together: all have to pass, and one failure decides."""
    present = set(findings)
    if Finding.FAILED in present:
        return Finding.FAILED
    return Finding.INCONCLUSIVE if Finding.INCONCLUSIVE in present else Finding.PASSED


def refusing(verdicts: Iterable[Verdict], gates: Mapping[str, Gate]) -> list[Verdict]:
    """Return the verdicts that refuse; ``gates`` are those that gave them, by name."""
    return [
        one
        for one in verdicts
        if one.finding is Finding.FAILED
        or (one.finding is Finding.INCONCLUSIVE and one.is_final and gates[one.gate].rejects_inconclusive)
    ]


def _checked(check: Check, context: Mapping[str, Any]) -> tuple[Finding, str]:
    """Return what a check found, and the reason if it did not pass.

    JMESPath (*Specification*, Ordering Operators) makes a comparison with something that is no number null.
    """
    try:
        value = check.require.value(context)
    except EvaluationFailed as failed:
        return Finding.INCONCLUSIVE, f"{check.name}: {failed}"
    if value is True:
        return Finding.PASSED, ""
    if value is False:
        return Finding.FAILED, f"{check.name}: {check.message or f'{check.require.text} is false'}"
    missing = [path for path, one in check.require.paths(context) if one is None]
    lacks = (
        f"{', '.join(missing)} is missing" if missing else f"{check.require.text} is neither true nor false"
    )
    return Finding.INCONCLUSIVE, f"{check.name}: {lacks}"


def _values_used(checks: Iterable[Check], context: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        path: _short(value)
        for check in checks
        for path, value in check.require.paths(context)
        if not isinstance(value, Mapping)
    }
    return dict(list(found.items())[:_MOST_VALUES])


def _short(value: Any) -> Any:
    """Return a value as it is kept: numbers and short texts as they are, and of anything larger, its beginning."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _measurable(facts: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return ``facts`` without metrics that are no numbers, as if nobody had logged them, and a reason for each."""
    unusual: list[str] = []

    def run_of(part: Any, path: str) -> Any:
        if not isinstance(part, Mapping) or not isinstance(part.get("metrics"), Mapping):
            return part
        metrics = {}
        for name, value in part["metrics"].items():
            if isinstance(value, float) and not math.isfinite(value):
                unusual.append(f"{path}.metrics.{name} is {value}")
            else:
                metrics[name] = value
        return {**part, "metrics": metrics}

    found = {**facts, "run": run_of(facts.get("run"), "run")}
    incumbent = facts.get("incumbent")
    if isinstance(incumbent, Mapping):
        found["incumbent"] = {**incumbent, "run": run_of(incumbent.get("run"), "incumbent.run")}
    return found, unusual
