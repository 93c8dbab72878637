"""Registries that answer with old pictures of themselves: what is told happened, in that order, and all of it is."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from support.lagging_client import Chronicle, LaggingClient
from support.paging_mutations import KINDS, Mutation
from support.watched import WatchedBridge

from bridge.diff.registry_changes import ChangeKind as K
from bridge.pipeline.incremental_read import Read
from bridge.store.poll_commit import HEAD, META

TIMED = {K.TRANSITIONED, K.VERSION_UPDATED, K.MODEL_UPDATED, K.MODEL_RENAMED}
"""What comes with a time of its own."""


class LaggingBridge:
    """A bridge before a registry with three models, of two versions each; it may know that the registry lags."""

    def __init__(self, *, is_wary: bool = True, **more) -> None:
        self.watched = WatchedBridge(5, client=LaggingClient, **more)
        self.client, self.registry = self.watched.client, self.watched.registry
        for name in "abc":
            self.registry.create_registered_model(name)
            self.watched.wait(1)
            for _ in range(2):
                self.registry.create_model_version(name, "s3://b/m")
                self.watched.wait(1)
        self.watched.wait(600)
        self.watched.baseline()
        if is_wary:
            head = self.watched.documents.get(META, HEAD)
            self.watched.documents.write({META: {HEAD: {**head, "stale_at": self.watched.clock.now_ms()}}})
        self.chronicle = Chronicle(self.registry.moments)
        self.told = []

    def run(self, read: Read, *lags: float) -> list[str]:
        """Poll while requests lag; return what is told, each of which has to have happened."""
        self.client.lag_by(*lags)
        changes = self.watched.run(read)
        self.watched.ledger.floor = 0
        self.client.lag_by()
        for change in changes:
            self.chronicle.check(change)
        self.told += changes
        return [f"{one.model} {one.version or ''} {one.key or one.kind.name} {one.after}" for one in changes]

    def rest(self) -> None:
        """With all answers of the present again, everything comes out by itself."""
        self.watched.wait(300)
        self.run(Read.FAST)
        self.run(Read.FULL)
        assert not self.watched.held
        assert dict(self.watched.state.known()) == self.registry.models


@pytest.fixture
def bridge():
    bridge = LaggingBridge(is_wary=False)
    yield bridge
    bridge.watched.close()


def promoted(bridge: LaggingBridge) -> None:
    """Promote a version, and give it an alias; both are told."""
    bridge.registry.transition_model_version_stage("a", "1", "Production")
    bridge.registry.set_registered_model_alias("b", "champion", "1")
    assert bridge.run(Read.FULL) == ["a 1 TRANSITIONED Production", "b 1 champion 1"]
    bridge.watched.wait(5)


@pytest.mark.parametrize("read", list(Read))
def test_a_lagging_replica_undoes_nothing_and_what_is_as_old_waits_with_it(bridge, read) -> None:
    promoted(bridge)

    assert bridge.run(read, 20) == []
    assert bridge.run(read) == []
    assert dict(bridge.watched.state.known()) == bridge.registry.models
    kinds = {(note.kind, note.model) for note in bridge.watched.state.notes()}
    assert ("doubted", "a") in kinds
    bridge.rest()


@pytest.mark.parametrize("lags", [(0, 20), (20, 0), (0, 0, 20), (20, 20, 0), (0, 20, 20, 0)])
@pytest.mark.parametrize("read", list(Read))
def test_replicas_that_answer_in_turn_undo_nothing(bridge, read, lags) -> None:
    promoted(bridge)
    for _ in range(3):
        bridge.run(read, *lags)
        bridge.watched.wait(5)

    assert len(bridge.told) == 2
    bridge.rest()


def test_a_model_that_went_back_holds_up_no_promotion_of_another(bridge) -> None:
    promoted(bridge)
    bridge.registry.transition_model_version_stage("c", "2", "Staging")
    bridge.watched.wait(30)
    # What was read of `a` is older than its promotion, what was read of `c` is not older than its own.
    old = bridge.registry.rows
    bridge.registry.moments.append(
        {**old, "a": bridge.registry.moments[len(bridge.registry.moments) - 4]["a"]}
    )

    assert bridge.run(Read.FULL) == ["c 2 TRANSITIONED Staging"]
    assert bridge.watched.held


def test_a_restored_backup_is_held_until_an_operator_accepts_it(bridge) -> None:
    backup = bridge.registry.rows
    promoted(bridge)
    bridge.watched.wait(3_600)
    bridge.run(Read.FULL)
    bridge.registry.moments.append(backup)

    for _ in range(3):
        assert bridge.run(Read.FULL) == []
        bridge.watched.wait(600)
    assert "1 model reads as older than known ('a')" in bridge.watched.state.last_poll.held
    changes = bridge.watched.run(Read.FULL, bridge.watched.held)

    assert {(one.model, one.kind) for one in changes} == {("a", K.TRANSITIONED), ("b", K.ALIAS_DELETED)}
    assert not bridge.watched.held
    assert dict(bridge.watched.state.known()) == bridge.registry.models


def test_a_hold_lifts_by_itself_when_the_registry_is_of_today_again(bridge) -> None:
    promoted(bridge)
    bridge.run(Read.FULL, 20)
    assert bridge.watched.held
    bridge.run(Read.FULL)

    assert not bridge.watched.held
    assert [note.kind for note in bridge.watched.state.notes()][-1] == "lifted"


@pytest.mark.parametrize("back", [1, 3_000, 9_000])
def test_writers_at_once_are_told_at_once(bridge, back) -> None:
    """The one that began first ends last, so the time goes back: no replica is behind that."""
    promoted(bridge)
    bridge.registry.back = back + 5_000
    bridge.registry.transition_model_version_stage("a", "1", "Archived")

    assert bridge.run(Read.FAST) == ["a 1 TRANSITIONED Archived"]
    bridge.rest()


@pytest.mark.parametrize("back", [15_000, 90_000, 115_000])
def test_a_server_with_a_slow_clock_is_told_after_a_while(bridge, back) -> None:
    promoted(bridge)
    bridge.registry.back = back
    bridge.registry.transition_model_version_stage("a", "1", "Archived")
    told = []
    for _ in range(5):
        told += bridge.run(Read.FAST)
        bridge.watched.wait(30)

    assert told == ["a 1 TRANSITIONED Archived"]
    assert not bridge.watched.held
    bridge.rest()


def test_a_rollback_of_an_alias_is_told_at_once_where_nothing_was_ever_old(bridge) -> None:
    for version in ("1", "2", "1"):
        bridge.registry.set_registered_model_alias("b", "champion", version)
        assert bridge.run(Read.FULL) == [f"b {version} champion {version}"]
        bridge.watched.wait(1)


def test_a_rollback_of_an_alias_waits_where_the_registry_has_been_old() -> None:
    bridge = LaggingBridge()
    for version in ("1", "2"):
        bridge.registry.set_registered_model_alias("b", "champion", version)
        bridge.run(Read.FULL)
        bridge.watched.wait(121)
    bridge.registry.set_registered_model_alias("b", "champion", "1")
    assert bridge.run(Read.FULL) == ["b 1 champion 1"]
    bridge.registry.set_registered_model_alias("b", "champion", "2")
    assert bridge.run(Read.FULL) == []
    bridge.watched.wait(121)
    assert bridge.run(Read.FULL) == ["b 2 champion 2"]
    bridge.watched.close()


def test_a_deleted_model_that_shows_again_is_neither_new_nor_deleted_twice(bridge) -> None:
    promoted(bridge)
    bridge.registry.delete_registered_model("c")
    assert bridge.run(Read.FULL) == ["c  MODEL_DELETED None"]
    bridge.watched.wait(1)

    assert bridge.run(Read.FULL, 5) == []
    assert bridge.run(Read.FULL) == []
    assert "c" not in bridge.watched.state.known()


MUTATIONS = st.builds(
    Mutation, st.sampled_from(KINDS), st.integers(0, 6), st.integers(0, 2), st.integers(0, 7)
)

LAGS = st.lists(st.sampled_from([0, 0, 2, 20, 60]), max_size=5)


class OldPictures(RuleBasedStateMachine):
    """Any mix of present and past answers, up to a minute old."""

    @initialize(is_wary=st.booleans())
    def begin(self, is_wary) -> None:
        self.is_wary = is_wary
        self.bridge = LaggingBridge(is_wary=is_wary)
        if not is_wary:  # until it knows better, only what has a time is sure
            check = self.bridge.chronicle.check
            self.bridge.chronicle.check = lambda change: check(change) if change.kind in TIMED else None
            self.bridge.watched.ledger._happened = lambda *_: True
            self.bridge.watched.ledger._was_hidden = lambda *_: True

    @rule(mutation=MUTATIONS)
    def mutate(self, mutation) -> None:
        self.bridge.watched.wait(0.05)
        self.bridge.watched.mutate(mutation)

    @rule(mutation=MUTATIONS, read=st.sampled_from(list(Read)), lags=LAGS)
    def mutate_and_look_twice(self, mutation, read, lags) -> None:
        self.mutate(mutation)
        self.bridge.run(Read.FULL)
        self.bridge.watched.wait(2)
        self.bridge.run(read, *lags)

    @rule(seconds=st.sampled_from([1, 11, 30, 130]))
    def wait(self, seconds) -> None:
        self.bridge.watched.wait(seconds)

    @rule(read=st.sampled_from(list(Read)), lags=LAGS)
    def poll(self, read, lags) -> None:
        self.bridge.run(read, *lags)

    @rule()
    def restart(self) -> None:
        self.bridge.watched.restart()

    def teardown(self) -> None:
        if hasattr(self, "bridge"):
            try:
                if self.bridge.watched.is_sound:
                    self.bridge.rest()
            finally:
                self.bridge.watched.close()


OldPictures.TestCase.settings = settings(
    max_examples=settings.default.max_examples // 2, stateful_step_count=25
)
TestOldPictures = OldPictures.TestCase
