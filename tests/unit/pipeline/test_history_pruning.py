"""Forgetting and burying, and whom to believe about the time."""

from support.clock import HandClock
from support.done import done
from support.values import commit, transition

from bridge.config import Settings
from bridge.config.file_loading import build
from bridge.delivery.outbox_entry import Status
from bridge.pipeline.clocks import SystemClock, Trust
from bridge.pipeline.history_pruning import housekeep
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments

DAY = 86_400.0


def settings() -> Settings:
    return build({"registry": {"tracking_uri": "http://h"}, "delivery": {"max_age": "1d"}}, SETTINGS)


def world():
    clock = HandClock()
    state = DocumentState(MemoryDocuments())
    done(state.commit_poll(commit(transition(), sinks=("old",), at=clock.now_ms())))
    return clock, state, Trust.since(clock, None)


def run_from_cron(state: DocumentState, trust: Trust) -> None:
    trust.jumped_ms()
    done(housekeep(state, settings(), trust))


def test_housekeeping_leaves_a_jump_to_be_noticed_and_forgets_nothing_before_it_is() -> None:
    clock, state, trust = world()
    clock.jump(365 * DAY)
    done(housekeep(state, settings(), trust))

    assert (done(state.load_upkeep()).pruned_at, trust.jumped_ms()) == (None, 365 * DAY * 1000)


def test_an_orphan_is_dead_once_its_sink_has_been_missing_for_max_age() -> None:
    clock, state, trust = world()
    clock.sleep(10 * DAY)
    done(housekeep(state, settings(), trust))
    clock.sleep(DAY - 1)
    done(housekeep(state, settings(), trust))
    assert len(state.pending()) == 1
    clock.sleep(2)
    done(housekeep(state, settings(), trust))

    (buried,) = state.entries()
    assert (buried.status, state.attempts(buried)) == (Status.DEAD, [])


def test_history_is_pruned_once_an_hour() -> None:
    clock, state, trust = world()
    done(housekeep(state, settings(), trust))
    first = done(state.load_upkeep()).pruned_at
    clock.sleep(60)
    done(housekeep(state, settings(), trust))
    assert done(state.load_upkeep()).pruned_at == first
    clock.sleep(3_600)
    done(housekeep(state, settings(), trust))
    assert done(state.load_upkeep()).pruned_at == clock.now_ms()


def test_nothing_is_buried_or_pruned_for_a_day_after_a_clock_jump_also_by_later_runs() -> None:
    clock, state, trust = world()
    done(housekeep(state, settings(), trust))
    clock.jump(365 * DAY)
    pruned = done(state.load_upkeep()).pruned_at
    run_from_cron(state, trust)
    for _ in range(3):
        clock.sleep(3_600)
        run_from_cron(state, Trust.since(clock, done(state.load_clock())))
    assert (len(state.pending()), done(state.load_upkeep()).pruned_at) == (1, pruned)
    clock.sleep(DAY)
    done(housekeep(state, settings(), Trust.since(clock, done(state.load_clock()))))

    assert done(state.load_upkeep()).pruned_at == clock.now_ms()


def test_a_jump_before_a_restart_is_noticed_within_the_same_start_of_the_machine() -> None:
    clock = HandClock()
    record = Trust.since(clock, None).record()
    clock.jump(-5 * DAY)

    assert not Trust.since(clock, record).is_given()
    clock.boot = "boot-2"
    assert Trust.since(clock, record).is_given()


def test_a_slow_drift_is_no_jump() -> None:
    clock = HandClock()
    trust = Trust.since(clock, None)
    for _ in range(50):
        clock.sleep(60)
        clock.jump(0.3)
        assert trust.jumped_ms() == 0
    assert trust.is_given()


def test_a_jump_is_reported_once() -> None:
    clock = HandClock()
    trust = Trust.since(clock, None)
    clock.jump(3_600)

    assert (trust.is_given(), trust.jumped_ms(), trust.jumped_ms()) == (False, 3_600_000, 0)
    assert not trust.is_given()


def test_the_machine_clocks_run() -> None:
    clock = SystemClock()
    first = clock.monotonic()

    assert clock.now_ms() > 1_700_000_000_000
    assert clock.monotonic() >= first
    assert clock.boot_id() == clock.boot_id()
