"""A short storm: kills, full disks, outages and misbehaving receivers cost nothing."""

from dataclasses import replace

import pytest
from support.chaos.churn import Churn
from support.chaos.judge import Due, Request
from support.chaos.replica_storm import late_repeats, replica_trial
from support.chaos.storm import Measure
from support.chaos.verdict import Evidence, faults_of, trial
from support.plugged_server import PluggedServer

SEED = 4
MODELS, RATE = 6, 15.0
MEASURE = Measure(kills=6, events=40, seconds=10)


def found(evidence: Evidence) -> set[str]:
    return {kind for kind, faults in faults_of(evidence).items() if faults}


def test_a_storm_costs_nothing_and_what_it_could_have_cost_would_be_found(tmp_path, server) -> None:
    churn = Churn(server.url, SEED, MODELS, RATE)
    verdict = trial(tmp_path / "bridge", server, SEED, churn, MEASURE)
    assert "\n".join(verdict.all_faults) == ""
    assert verdict.storm.kills >= 1
    assert verdict.storm.proxy.asked
    assert len(verdict.evidence.events) > 5

    evidence, some = verdict.evidence, verdict.evidence.requests[0].id
    without = [one for one in evidence.requests if one.id != some]
    renamed = [replace(one, id="another") if one.id == some else one for one in evidence.requests]
    assert "lost" in found(replace(evidence, requests=without))
    assert "altered" in found(replace(evidence, requests=renamed))
    assert "out of order" in found(replace(evidence, requests=evidence.requests[::-1]))
    assert "unlike the registry" in found(replace(evidence, final=evidence.baseline))


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore")
def test_a_storm_costs_nothing_where_hints_get_lost_come_twice_or_late(tmp_path) -> None:
    with PluggedServer(tmp_path / "mlflow").running() as plugged:
        churn = Churn(plugged.url, SEED, MODELS, RATE)
        verdict = trial(
            tmp_path / "bridge", plugged.server, SEED, churn, MEASURE, plug_in_port=plugged.bridge_port
        )
    assert "\n".join(verdict.all_faults) == ""
    assert verdict.storm.kills >= 1
    assert verdict.storm.hints.fates.keys() >= {"lost", "late", "passed on"}


def test_a_repeat_after_a_later_one_of_its_lane_is_found_and_no_other() -> None:
    due = [
        Due("ci", id_, lane, number) for id_, lane, number in (("a", "m", 1), ("b", "m", 2), ("c", "n", 3))
    ]
    a, b, c = (Request("ci", one.id, "{}", 0.0) for one in due)

    assert late_repeats([a, a, b, b, c], due) == []
    assert late_repeats([a, c, a, b], due) == []
    assert late_repeats([a, b, a], due) == [a]
    assert late_repeats([replace(a, taken=False), b, a], due) == []


@pytest.mark.extra
def test_a_storm_over_bridges_that_share_a_state_costs_nothing(tmp_path, server, cluster) -> None:
    churn = Churn(server.url, SEED, MODELS, RATE, prefix="shared-storm")
    verdict = replica_trial(tmp_path, server, cluster, SEED, churn, faults=10, seconds=300)
    assert "\n".join(verdict.all_faults) == ""
    assert len(verdict.fates) >= 8
    assert verdict.events > 5
