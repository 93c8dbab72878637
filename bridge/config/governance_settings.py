"""The settings of transition requests and gates: ``[governance]`` and ``[[gates]]``."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, StrictBool, StrictInt, model_validator

from bridge.config.setting_types import Duration, Model
from bridge.config.sink_settings import Glob, Pattern, SinkName, Stage
from bridge.config.template_validation import open_sample
from bridge.config.validation_messages import did_you_mean
from bridge.events.event_types import GovernanceKind
from bridge.events.jmespath_expressions import EvaluationFailed, Expression, compile_expression
from bridge.events.json_templates import context_of
from bridge.events.sample_events import synthetic_details, synthetic_event
from bridge.governance.gate import Check, Gate, GateMode

_SEEN = ("event", "run", "version", "model", "incumbent")
"""What the expressions of checks see."""

_LITERALS = frozenset({"true", "false"})


def _requirement(value: object) -> Expression:
    if not isinstance(value, str):
        msg = 'must be a JMESPath expression in quotes, such as "run.metrics.accuracy >= `0.9`"'
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueError
    requirement = compile_expression(value)
    for name in sorted(requirement.members - {*_SEEN, "null"}):
        if name in _LITERALS:
            raise ValueError(f"{name!r} is read as the name of a member: the value is written `{name}`")
        raise ValueError(f"{name!r} is not what a check sees: {', '.join(_SEEN)}{did_you_mean(name, _SEEN)}")
    _check_paths(requirement)
    for sample in (_sample(), {**_sample(), "incumbent": None}):
        _try(requirement, sample)
    return requirement


def _check_paths(requirement: Expression) -> None:
    """Refuse a path that nothing has, such as ``run.metric.x``; members of an event differ by what is asked for.

    Raises:
        ValueError: it has one.
    """
    sample = _sample()
    for path, value in requirement.paths(sample):
        if value is None and not path.startswith("event."):
            around: Any = sample
            for name in path.split("."):
                known = list(around) if isinstance(around, Mapping) else []
                around = around.get(name) if isinstance(around, Mapping) else None
                if around is None:
                    raise ValueError(f"{path!r}: nothing is called {name!r} there{did_you_mean(name, known)}")


def _try(requirement: Expression, sample: Mapping[str, Any]) -> None:
    """Evaluate an expression over a sample.

    Raises:
        ValueError: it has no value, or one that is neither true nor false, or reads a member that nothing has.
    """
    try:
        value = requirement.value(sample)
    except EvaluationFailed as failed:
        raise ValueError(str(failed)) from None
    if value is not None and not isinstance(value, bool):
        msg = f"{requirement.text!r} is neither true nor false but a value: compare it, as in >= `0.9`"
        raise ValueError(msg)


def _sample() -> dict[str, Any]:
    event = synthetic_event(GovernanceKind.REQUEST_CREATED.value, (), "0" * 32, 0)
    details = synthetic_details(("run", "model", "version"))
    incumbent = {**details["version"], "run": details["run"]}
    sample = {**details, "event": context_of(event, event.type.value, ""), "incumbent": incumbent}
    return {name: open_sample(one, 1.0) for name, one in sample.items()}


Requirement = Annotated[Expression, PlainValidator(_requirement)]


class CheckSettings(Model):
    """One condition of a gate."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What is checked, in a few words: verdicts name it."""
    require: Requirement
    """What has to be true: a JMESPath expression over `event`, `run`, `version`, `model` and `incumbent`."""
    message: Annotated[str, Field(max_length=500)] = ""
    """What is told if it is not. Not set: the expression."""


class GateSettings(Model):
    """A gate: what has to hold before a version gets a stage or an alias."""

    name: SinkName
    """The name of the gate, in verdicts, events and metrics."""
    models: tuple[Glob, ...] = ()
    """Globs of model names, as sinks have them. Empty: all."""
    to_stages: tuple[Stage, ...] = ()
    """The stages that the gate guards."""
    aliases: tuple[Pattern, ...] = ()
    """Patterns (regular expressions) for the whole alias, of those that the gate guards."""
    mode: Literal["audit", "decide", "enforce"] = "decide"
    """What it does: `audit` judges and tells, `decide` approves or rejects requests, `enforce` also undoes what went past it."""
    approvals: StrictInt = Field(default=0, ge=0, le=100)
    """How many people have to approve besides."""
    on_inconclusive: Literal["wait", "reject"] = "wait"
    """What becomes of a request if a metric is missing, or the run cannot be read. If the registry does not answer, it always waits."""
    checks: tuple[CheckSettings, ...] = ()
    """The conditions: all have to be true."""

    @model_validator(mode="after")
    def _guards_something(self) -> "GateSettings":
        if not self.to_stages and not self.aliases:
            msg = 'guards nothing: give to_stages = ["Production"], or aliases = ["champion"], or both'
            raise ValueError(msg)
        if not self.checks and not self.approvals:
            msg = "asks for nothing: give checks, or approvals = 1"
            raise ValueError(msg)
        names = [check.name for check in self.checks]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            msg = f"the check {repeated!r} is there twice: verdicts tell checks by their names"
            raise ValueError(msg)
        return self

    def gate(self) -> Gate:
        """Return the gate."""
        return Gate(
            self.name,
            GateMode(self.mode),
            self.models,
            self.to_stages,
            self.aliases,
            self.approvals,
            self.on_inconclusive == "reject",
            tuple(Check(one.name, one.require, one.message) for one in self.checks),
        )


class GovernanceSettings(Model):
    """How long transition requests stay open, and who may decide on them."""

    expires: Duration = 7 * 86_400_000
    """How long a request waits for a decision."""
    self_approval: StrictBool = False
    """Whether whoever asked may also decide."""
    tags: StrictBool = False
    """Whether verdicts are also written to the version as tags `mlflow_bridge.gate.NAME`, so that MLflow's own pages show them."""
    most_reverts: StrictInt = Field(default=10, ge=0, le=1000)
    """How often direct transitions of one model are undone within an hour; what comes after that stays, and is told."""
    max: StrictInt = Field(default=10_000, ge=1, le=100_000)
    """How many open requests there may be."""


def names_differ(gates: Sequence[GateSettings]) -> tuple[GateSettings, ...]:
    """Return ``gates``.

    Raises:
        ValueError: two have the same name.
    """
    names = [gate.name for gate in gates]
    for name in names:
        if names.count(name) > 1:
            msg = f"the name {name!r} is given twice: verdicts tell gates by their names"
            raise ValueError(msg)
    return tuple(gates)


Gates = Annotated[tuple[GateSettings, ...], AfterValidator(names_differ)]
