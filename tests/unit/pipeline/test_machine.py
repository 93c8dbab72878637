"""Polls over a registry in which anything happens at any time: what they tell is true, and told once."""

from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.done import done
from support.paging_mutations import KINDS, NAMES, Mutation
from support.watched import WATCH, WatchedBridge

from bridge.pipeline.incremental_read import Read

MUTATIONS = st.builds(
    Mutation, st.sampled_from(KINDS), st.integers(0, 6), st.integers(0, 2), st.integers(0, 7)
)
SOON = st.integers(1, 12)


class Polling(RuleBasedStateMachine):
    """Whatever may happen between two polls, and in the middle of one."""

    bridge: WatchedBridge

    @initialize(
        page=st.sampled_from([2, 3, 5]),
        ahead=st.sampled_from([0, 3_600_000, -3_600_000]),
        max_events=st.sampled_from([1_000, 4]),
        routes=st.sampled_from([(), (WATCH,)]),
        versions=st.lists(st.integers(0, 3), min_size=1, max_size=6),
        apart=st.sampled_from([0, 1, 60]),
        meanwhile=st.lists(st.tuples(SOON, MUTATIONS), max_size=2),
        lists_models=st.booleans(),
    )
    def begin(self, *, page, ahead, max_events, routes, versions, apart, meanwhile, lists_models) -> None:
        self.bridge = WatchedBridge(page, ahead, routes, max_events=max_events, lists_models=lists_models)
        for name, count in zip(NAMES, versions, strict=False):
            self.bridge.registry.create_registered_model(name)
            for _ in range(count):
                self.bridge.registry.create_model_version(name, "s3://bucket/model")
            self.bridge.wait(apart)
        self.bridge.wait(apart * 10)
        for ahead_by, mutation in meanwhile:
            self.bridge.client.schedule(ahead_by, partial(self.bridge.mutate, mutation))
        self.bridge.baseline()

    @rule(mutation=MUTATIONS, back=st.sampled_from([0, 0, 1, 3_000]))
    def mutate(self, mutation, back) -> None:
        self.bridge.mutate(mutation, back=back)

    @rule(mutation=MUTATIONS)
    def begin_a_mutation_that_becomes_visible_late(self, mutation) -> None:
        self.bridge.mutate(mutation, late=True)

    @precondition(lambda self: self.bridge.registry.under_way)
    @rule()
    def release_what_is_late(self) -> None:
        self.bridge.registry.release()

    @rule(mutation=MUTATIONS, ahead=SOON)
    def mutate_during_the_next_poll(self, mutation, ahead) -> None:
        self.bridge.client.schedule(ahead, partial(self.bridge.mutate, mutation))

    @precondition(lambda self: self.bridge.registry.under_way)
    @rule(ahead=SOON)
    def release_during_the_next_poll(self, ahead) -> None:
        self.bridge.client.schedule(ahead, self.bridge.registry.release)

    @rule(ahead=SOON, seconds=st.sampled_from([1, 40]))
    def have_the_next_poll_take_its_time(self, ahead, seconds) -> None:
        self.bridge.client.schedule(ahead, partial(self.bridge.wait, seconds))

    @rule(ahead=SOON)
    def fail_during_the_next_poll(self, ahead) -> None:
        self.bridge.client.fails_at = self.bridge.client.requests + ahead

    @rule(seconds=st.sampled_from([0.001, 1, 30, 60, 121, 700]))
    def wait(self, seconds) -> None:
        self.bridge.wait(seconds)

    @rule()
    def poll_fast(self) -> None:
        self.bridge.run(Read.FAST)

    @rule()
    def poll_in_full(self) -> None:
        self.bridge.run(Read.FULL)

    @rule()
    def poll_what_is_due(self) -> None:
        for read in done(self.bridge.poll.due()):
            self.bridge.run(read)

    @rule()
    def restart(self) -> None:
        self.bridge.restart()

    @precondition(lambda self: self.bridge.registry.rows)
    @rule(model=st.integers(0, 6))
    def revoke(self, model) -> None:
        names = sorted(self.bridge.registry.rows)
        self.bridge.revoke(names[model % len(names)])

    @precondition(lambda self: self.bridge.registry.hidden)
    @rule()
    def grant(self) -> None:
        self.bridge.registry.grant()

    @precondition(lambda self: self.bridge.held)
    @rule()
    def accept(self) -> None:
        self.bridge.run(Read.FULL, self.bridge.held)

    def teardown(self) -> None:
        if not hasattr(self, "bridge"):
            return
        try:
            if self.bridge.is_sound:  # else a check has failed, and said so
                self.bridge.rest()
        finally:
            self.bridge.close()


Polling.TestCase.settings = settings(  # 60 by default: a run of 30 steps takes a quarter of a second
    max_examples=settings.default.max_examples * 3 // 5, stateful_step_count=30
)
TestPolling = Polling.TestCase
