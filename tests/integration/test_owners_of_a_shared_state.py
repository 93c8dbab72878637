"""Whatever bridges do that share a state, in whatever order: one at a time writes, and what it was told is written is."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.database_wire import DatabaseWire
from support.shared_state import MEMBER, state_settings

from bridge.errors import StateUnwritable
from bridge.store.postgresql.shared_state import Replica, StateDatabase

if TYPE_CHECKING:
    from bridge.store.postgresql.documents import PostgresDocuments

SLOTS = st.integers(0, 2)
KEYS = st.sampled_from("abc")


class _Bridge:
    """A bridge that has joined; ``documents`` once it has taken the state."""

    def __init__(self, entered: Any, replica: Replica) -> None:
        self.entered, self.replica = entered, replica
        self.documents: PostgresDocuments | None = None


class Owners(RuleBasedStateMachine):
    """Three places for bridges, one state, and what has to be in it."""

    cluster: Any
    wire: DatabaseWire

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.bridges: dict[int, _Bridge] = {}
        self.owner: int | None = None
        self.dead: set[int] = set()
        self.written: dict[str, int] = {}
        self.count = 0

    @initialize()
    def begin(self) -> None:
        self.there = state_settings(self.cluster.state_url("states", str(self.wire.folder)))

    def execute(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.cluster.state_url("states"), autocommit=True) as connection:
            connection.execute(statement.format(schema=self.there.schema), values)

    def _bury(self) -> None:
        """Do what every candidate does first: who is dead owns nothing any more."""
        if self.owner in self.dead:
            self.owner = None

    @rule(slot=SLOTS)
    def join(self, slot: int) -> None:
        if slot not in self.bridges:
            entered = Replica.joined(self.there, MEMBER)
            self.bridges[slot] = _Bridge(entered, self.runner.run(entered.__aenter__()))

    @rule(slot=SLOTS)
    def take(self, slot: int) -> None:
        if slot not in self.bridges:
            return
        bridge = self.bridges[slot]
        self._bury()
        may = slot not in self.dead and self.owner in {None, slot}
        took = self.runner.run(bridge.replica.take())
        assert took == may
        if took and self.owner != slot:
            self.owner = slot
            self.runner.run(bridge.replica.load())
            bridge.documents = bridge.replica._documents
            assert {key: one["n"] for key, one in bridge.documents.items("t")} == self.written

    @rule(slot=SLOTS)
    def die(self, slot: int) -> None:
        if slot in self.bridges:
            self.dead.add(slot)
            member = self.bridges[slot].replica.membership.id
            self.execute(
                "UPDATE {schema}.members SET expires_at = now() - interval '1 s' WHERE id = %s", member
            )

    @rule(slot=SLOTS, key=KEYS, loses=st.booleans(), removes=st.booleans())
    def commit(self, slot: int, key: str, loses: bool, removes: bool) -> None:
        bridge = self.bridges.get(slot)
        if bridge is None or bridge.documents is None:
            return
        self.count += 1
        if loses:
            self.wire.lose_answer_to("swap AS")
        document = None if removes else {"n": self.count}
        try:
            self.runner.run(bridge.documents.commit({"t": {key: document}}))
        except StateUnwritable:
            assert self.owner != slot
            assert bridge.replica.membership.ended.is_set()
            bridge.documents = None
        else:
            assert self.owner == slot
            self.written.pop(key, None)
            if document is not None:
                self.written[key] = self.count
        finally:
            self.wire.lose_answer_to("")

    @rule(slot=SLOTS)
    def leave(self, slot: int) -> None:
        bridge = self.bridges.pop(slot, None)
        if bridge is not None:
            self.runner.run(bridge.entered.__aexit__(None, None, None))
            self.dead.discard(slot)
            if self.owner == slot:
                self.owner = None

    @rule()
    def break_connections(self) -> None:
        self.wire.cut()

    @precondition(lambda self: self.bridges)
    @invariant()
    def what_was_acknowledged_is_there_and_nothing_else(self) -> None:
        found = StateDatabase(
            self.there.model_copy(update={"url": self.cluster.state_url("states")})
        ).documents()
        assert {key: one["n"] for key, one in found.items("t")} == self.written

    def teardown(self) -> None:
        with suppress(AttributeError):
            for slot in list(self.bridges):
                self.leave(slot)
        self.runner.close()


def test_one_at_a_time_writes_and_what_it_was_told_is_written_is(cluster) -> None:
    wire = DatabaseWire(cluster.folder)

    class Here(Owners):
        pass

    Here.cluster, Here.wire = cluster, wire
    try:
        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=25,
                stateful_step_count=25,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        wire.stop()
