"""What a gate finds, and why."""

import math
import re

import pytest

from bridge.config.file_loading import build
from bridge.errors import ConfigurationError
from bridge.events.jmespath_expressions import compile_expression
from bridge.governance.gate import (
    Check,
    Finding,
    Gate,
    GateMode,
    Verdict,
    guarding,
    judge,
    overall,
    unreadable,
)
from bridge.governance.transition_target import Target, canonical_stage
from bridge.sinks.sink_type_table import SETTINGS

PRODUCTION = Target(stage="Production")


def gate(*requirements: str, **fields) -> Gate:
    checks = tuple(
        Check(f"check {n}", compile_expression(text)) for n, text in enumerate(requirements, start=1)
    )
    return Gate("g", GateMode.DECIDE, **{"to_stages": ("Production",), "checks": checks, **fields})


def facts(incumbent=None, **metrics) -> dict:
    return {
        "event": {},
        "run": {"metrics": metrics, "params": {}, "tags": {}},
        "version": {"description": None},
        "model": {},
        "incumbent": incumbent,
    }


def found(requirement: str, seen: dict, *gaps: str) -> Verdict:
    return judge(gate(requirement), seen, gaps, 5)


ACCURATE = "run.metrics.a >= `0.9`"
BEATS = "incumbent == null || run.metrics.a > incumbent.run.metrics.a"


@pytest.mark.parametrize(
    ("requirement", "seen", "finding"),
    [
        (ACCURATE, facts(a=0.9), Finding.PASSED),
        (ACCURATE, facts(a=0.89), Finding.FAILED),
        (ACCURATE, facts(), Finding.INCONCLUSIVE),
        (ACCURATE, facts(a=math.nan), Finding.INCONCLUSIVE),
        (ACCURATE, facts(a=math.inf), Finding.INCONCLUSIVE),
        (ACCURATE, {**facts(), "run": None}, Finding.INCONCLUSIVE),
        (BEATS, facts(a=1.0), Finding.PASSED),
        (BEATS, facts({"run": {"metrics": {"a": 0.5}}}, a=1.0), Finding.PASSED),
        (BEATS, facts({"run": {"metrics": {"a": 2.0}}}, a=1.0), Finding.FAILED),
        (BEATS, facts({"run": {"metrics": {"a": math.nan}}}, a=1.0), Finding.INCONCLUSIVE),
        (BEATS, facts({"run": None}, a=1.0), Finding.INCONCLUSIVE),
        ("version.description != null", facts(), Finding.FAILED),
        ("run.metrics.a", facts(a=1.0), Finding.INCONCLUSIVE),
        ("length(run.metrics.a) > `1`", facts(a=1.0), Finding.INCONCLUSIVE),
    ],
)
def test_every_state_of_the_facts_has_its_finding(requirement, seen, finding) -> None:
    verdict = found(requirement, seen)

    assert verdict.finding is finding
    assert bool(verdict.reasons) == (finding is not Finding.PASSED)


def test_every_reason_is_told_at_once_with_the_values_that_were_used() -> None:
    verdict = judge(
        gate(ACCURATE, "run.metrics.b < `1`", "run.metrics.c < `1`"), facts(a=0.1, b=2.0), ["no c"], 5
    )

    assert verdict.finding is Finding.FAILED
    assert [reason.partition(":")[0] for reason in verdict.reasons] == [
        "check 1",
        "check 2",
        "check 3",
        "no c",
    ]
    assert verdict.values == {"run.metrics.a": 0.1, "run.metrics.b": 2.0, "run.metrics.c": None}


def test_an_unusual_metric_is_named() -> None:
    assert "run.metrics.a is nan" in found(ACCURATE, facts(a=math.nan)).reasons


def test_a_long_value_is_cut_and_a_table_is_left_out() -> None:
    seen = {**facts(), "version": {"description": "x" * 1_000}}
    verdict = judge(gate("version.description != 'y'", "version != null", "event.l != `[]`"), seen, (), 5)

    assert len(verdict.values["version.description"]) == 201
    assert "version" not in verdict.values


def test_all_have_to_pass_and_one_failure_decides() -> None:
    passed, failed, unclear = Finding.PASSED, Finding.FAILED, Finding.INCONCLUSIVE

    assert overall([]) is passed
    assert overall([passed, unclear]) is unclear
    assert overall([failed, unclear, passed]) is failed


def test_gates_guard_stages_and_aliases_of_the_models_that_they_name() -> None:
    stages = gate(models=("fraud-*", "!fraud-old"))
    aliases = gate(to_stages=(), aliases=(re.compile("champ.*"),))

    assert guarding([stages, aliases], "fraud-1", PRODUCTION) == [stages]
    assert guarding([stages, aliases], "fraud-old", PRODUCTION) == []
    assert guarding([stages, aliases], "fraud-1", Target(stage="Staging")) == []
    assert guarding([stages, aliases], "x", Target(alias="champion")) == [aliases]
    assert guarding([stages, aliases], "x", Target(alias="a-champion")) == []


def test_a_verdict_outlives_its_document() -> None:
    for verdict in (found(ACCURATE, facts(a=0.1)), unreadable(gate(), "down", 7)):
        assert Verdict.from_document(verdict.to_document()) == verdict


@pytest.mark.parametrize(
    ("given", "stage"),
    [("production", "Production"), ("NONE", "None"), ("archived", "Archived"), ("x", None)],
)
def test_stages_are_spelt_as_mlflow_spells_them(given, stage) -> None:
    assert canonical_stage(given) == stage


def test_a_target_is_told_by_its_name() -> None:
    assert (PRODUCTION.told, Target(alias="x").told) == ("Production", "@x")
    assert (PRODUCTION.can_archive, Target(stage="None").can_archive, Target(alias="x").can_archive) == (
        True,
        False,
        False,
    )


GOOD = {"name": "c", "require": ACCURATE}


def faults(*gates: dict) -> str:
    document = {"registry": {"tracking_uri": "http://h"}, "gates": list(gates)}
    with pytest.raises(ConfigurationError) as caught:
        build(document, SETTINGS)
    return str(caught.value)


@pytest.mark.parametrize(
    ("gate_", "told"),
    [
        ({"name": "g", "checks": [GOOD]}, "guards nothing"),
        ({"name": "g", "to_stages": ["Production"]}, "asks for nothing"),
        ({"name": "g", "to_stages": ["Produktion"], "checks": [GOOD]}, "is not the name of a stage"),
        ({"name": "g", "aliases": ["("], "checks": [GOOD]}, "is no regular expression"),
        ({"name": "g", "to_stages": ["Production"], "mode": "enforced", "checks": [GOOD]}, "mode"),
        ({"name": "g", "to_stages": ["Production"], "checks": [GOOD, GOOD]}, "'c' is there twice"),
        ({"name": "g", "to_stages": ["Production"], "checks": [{**GOOD, "require": 1}]}, "in quotes"),
        (
            {"name": "g", "to_stages": ["Production"], "checks": [{**GOOD, "require": "runs.x == `1`"}]},
            "'run'",
        ),
        (
            {"name": "g", "to_stages": ["Production"], "checks": [{**GOOD, "require": "run.metric.x > `1`"}]},
            "did you mean 'metrics'",
        ),
        (
            {"name": "g", "to_stages": ["Production"], "checks": [{**GOOD, "require": "run.a == true"}]},
            "`true`",
        ),
        (
            {"name": "g", "to_stages": ["Production"], "checks": [{**GOOD, "require": "run.name"}]},
            "compare it",
        ),
        (
            {
                "name": "g",
                "to_stages": ["Production"],
                "checks": [{**GOOD, "require": "length(run.started) > `1`"}],
            },
            "has no value",
        ),
    ],
)
def test_a_gate_that_cannot_be_used_is_refused_with_what_to_write(gate_, told) -> None:
    assert told in faults(gate_)


def test_two_gates_of_one_name_are_refused() -> None:
    one = {"name": "g", "to_stages": ["Production"], "checks": [GOOD]}

    assert "the name 'g' is given twice" in faults(one, one)
