"""What the state tells of an instant is what polls knew then."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.paging_mutations import KINDS, Mutation
from support.watched import WatchedBridge

from bridge.diff.snapshot import RegisteredModel
from bridge.events.stages_at_time import models_at
from bridge.pipeline.incremental_read import Read
from bridge.store.recorded_history import reach_of, recorded_in

MUTATIONS = st.builds(
    Mutation, st.sampled_from(KINDS), st.integers(0, 6), st.integers(0, 2), st.integers(0, 7)
)
SILENTLY = "silently"
POLLS = st.tuples(st.lists(MUTATIONS, max_size=4), st.sampled_from([Read.FULL, Read.FAST, SILENTLY]))


def known(bridge: WatchedBridge) -> tuple[int, dict[str, RegisteredModel]]:
    return bridge.clock.now_ms(), dict(bridge.state.known())


def check(bridge: WatchedBridge, at: int, truth: dict[str, RegisteredModel]) -> None:
    reach = reach_of(bridge.state)
    if at < reach.since:
        return
    found = {one.name: one for one in models_at(recorded_in(bridge.state, reach), at, lambda _: True)}
    assert found.keys() == truth.keys()
    for name, one in found.items():
        then = {version.version: version.stage for version in one.versions}
        was = {number: version.stage for number, version in truth[name].versions.items()}
        told = {number: stage for number, stage in then.items() if stage is not None}
        assert told.items() <= was.items()
        assert then.keys() <= was.keys()
        assert then.keys() == was.keys() or not one.is_complete
        assert one.is_complete or one.now is None


@settings(max_examples=60)
@given(st.integers(0, 3), st.lists(POLLS, max_size=6))
def test_at_each_observation_since_the_last_rebaseline(versions, polls) -> None:
    with WatchedBridge(page=5) as bridge:
        bridge.registry.create_registered_model("a")
        for _ in range(versions):
            bridge.registry.create_model_version("a", "s3://b/x")
        bridge.wait(300)
        bridge.baseline()
        moments = [known(bridge)]
        for mutations, read in polls:
            for mutation in mutations:
                bridge.wait(1)
                bridge.mutate(mutation)
            bridge.wait(1)
            if read is SILENTLY:
                bridge._runner.run(bridge.poll.rebaseline())
            else:
                bridge._runner.run(bridge.poll.run(read))
            moments.append(known(bridge))

        for at, truth in moments:
            check(bridge, at, truth)
        assert reach_of(bridge.state).since <= moments[-1][0]
