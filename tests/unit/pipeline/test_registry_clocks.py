"""What is news where clocks differ: the registry's rows tell its time, and nobody else."""

from dataclasses import replace

import pytest
from support.polled import MINUTE, Polled
from support.values import model

from bridge.diff.snapshot import ModelVersion
from bridge.pipeline.incremental_read import Read
from bridge.store.state_metadata import Stamp

NEW = ["fresh MODEL_CREATED", "fresh VERSION_CREATED", "fresh TRANSITIONED"]
HOUR = 60 * MINUTE


@pytest.fixture(autouse=True)
def as_in_a_large_registry(monkeypatch) -> None:
    monkeypatch.setattr("bridge.pipeline.watched_models.MOST_UNNAMED", 0)


class Registry(Polled):
    """A registry whose clock is ``ahead`` of ours, in which something changes now and then."""

    def __init__(self, ahead: int = 0) -> None:
        super().__init__()
        self.ahead = ahead
        for name, one in self.registry.models.items():
            self.registry.models[name] = shifted(one, ahead)

    @property
    def its_time(self) -> int:
        return self.now + self.ahead

    async def started(self) -> "Registry":
        self.touch("m0")
        await self.poll.run(Read.FULL)
        self.wait(300)
        self.touch("m1")
        await self.poll.run(Read.FAST)
        await self.poll.run(Read.FULL)
        self.wait(60)
        return self

    def touch(self, name: str, back: int = 0) -> None:
        one = self.registry.models[name]
        self.registry.put(replace(one, updated=self.its_time - back, description=str(self.now)))

    def create(self, name: str, back: int = 0) -> None:
        at = self.its_time - back
        version = ModelVersion("1", at, at, "Production")
        self.registry.put(replace(model(name), created=at, updated=at, versions={"1": version}))

    async def told(self, read: Read = Read.FAST) -> list[str]:
        polled = await self.poll.run(read)
        events = [self.state.event(one.event_id) for one in polled.entries]
        return [f"{event.model_name} {event.type.name}" for event in events]


def shifted(one, by: int):
    versions = {
        n: replace(v, created=v.created + by, updated=v.updated + by) for n, v in one.versions.items()
    }
    return replace(one, created=one.created + by, updated=one.updated + by, versions=versions)


@pytest.mark.parametrize("ahead", [0, -10 * MINUTE, 10 * MINUTE, -5 * HOUR, 5 * HOUR])
@pytest.mark.parametrize("read", list(Read))
async def test_a_model_that_is_made_is_news_whatever_the_clocks_say(ahead, read) -> None:
    world = await Registry(ahead).started()
    for _ in range(3):
        world.create("fresh")
        assert await world.told(read) == NEW
        del world.registry.models["fresh"]
        await world.poll.run(Read.FULL)
        world.wait(1_000)


@pytest.mark.parametrize("ahead", [0, -10 * MINUTE, 10 * MINUTE])
async def test_a_model_that_was_hidden_is_none_whatever_the_clocks_say(ahead) -> None:
    world = await Registry(ahead).started()
    world.create("late")
    world.registry.hidden = {"late"}
    for _ in range(4):
        world.wait(700)
        await world.poll.run(Read.FULL)
    world.touch("m1")
    world.registry.hidden = set()

    assert await world.told(Read.FULL) == ["m1 MODEL_UPDATED"]
    (note,) = [note for note in world.state.notes() if note.kind == "appeared"]
    assert (note.model, "created at 20" in note.detail) == ("late", True)
    world.registry.move("late", "1", "Archived", world.its_time)
    assert await world.told() == ["late TRANSITIONED"]


@pytest.mark.parametrize("back", [0, 30_000, 90_000])
async def test_two_servers_whose_clocks_differ_by_less_than_two_minutes_lose_nothing(back) -> None:
    world = await Registry().started()
    world.touch("m2")
    world.create("fresh", back)

    assert await world.told(Read.FULL) == ["m2 MODEL_UPDATED", *NEW]


@pytest.mark.parametrize("jump", [HOUR, -10 * MINUTE])
async def test_a_clock_of_the_registry_that_is_set_forward_and_back_loses_no_creation_after_it(jump) -> None:
    world = await Registry().started()
    world.ahead = jump
    world.touch("m2")
    await world.poll.run(Read.FULL)
    world.wait(600)
    world.ahead = 0
    world.touch("m3")
    world.create("fresh")

    assert await world.told(Read.FULL) == ["m3 MODEL_UPDATED", *NEW]


@pytest.mark.parametrize("seconds", [3_600, -3_600, 86_400, -400])
async def test_our_own_clock_may_be_set_between_two_scans(seconds) -> None:
    world = await Registry().started()
    await world.poll.run(Read.FULL)
    world.wait(500)
    world.create("fresh")
    world.wait(100)
    world.touch("m2")
    world.clock.jump(seconds)

    assert await world.told(Read.FULL) == ["m2 MODEL_UPDATED", *NEW]


async def test_a_clock_behind_ours_is_not_read_further_down_than_needed() -> None:
    world = await Registry(-10 * MINUTE).started()
    world.wait(300)
    await world.told()
    world.wait(30)
    await world.told()

    assert (world.registry.pages, world.registry.read) == (1, [])


async def test_what_became_visible_late_by_a_clock_behind_ours_is_found_by_a_fast_read() -> None:
    world = await Registry(-10 * MINUTE).started()
    for number in range(6):
        world.touch(f"m{number}")
    await world.told()
    world.wait(30)
    world.touch("m9", back=100_000)

    assert await world.told() == ["m9 MODEL_UPDATED"]


@pytest.mark.parametrize(
    ("begin", "end", "elapsed"),
    [
        (Stamp(1_000, 10, "a"), Stamp(3_000, 2_010, "a"), 2_000),
        (Stamp(1_000, 10, "a"), Stamp(500, 2_010, "a"), 2_000),  # set back
        (Stamp(1_000, 10, "a"), Stamp(9_000, 20, "a"), 8_000),  # asleep
        (Stamp(1_000, 10, "a"), Stamp(3_000, 99_999, "b"), 2_000),  # another start of the machine
        (Stamp(1_000, 10, "a"), Stamp(500, 20_000, "b"), 0),
    ],
)
def test_how_much_time_went_by(begin, end, elapsed) -> None:
    assert begin.until(end) == elapsed
