"""One odd row is left aside: what was known of it stands, it is told of once, and everything else goes on."""

from dataclasses import replace

import pytest
from support.polled import MINUTE, Polled
from support.values import model

from bridge.diff.malformed_rows import OddRow
from bridge.diff.snapshot import ModelVersion
from bridge.pipeline.incremental_read import Read

ODD = OddRow("m1", why="its creation time is 0")


@pytest.fixture
async def polled() -> Polled:
    return await Polled().baseline()


async def scanned(polled: Polled) -> list[str]:
    done = await polled.poll.run(Read.FULL)
    events = [polled.state.event(entry.event_id) for entry in done.entries]
    polled.wait(30)
    return [f"{event.model_name} {event.type.name}" for event in events]


def notes(polled: Polled) -> list[tuple[str, str]]:
    return [(note.kind, note.model) for note in polled.state.notes()]


def aside(polled: Polled) -> list[str]:
    return [row.model for row in polled.state.last_poll.odd_rows]


async def test_an_odd_row_is_noted_once_until_it_can_be_read(polled) -> None:
    polled.registry.odd = [ODD]
    began = polled.now
    for read in (Read.FULL, Read.FAST, Read.FULL):
        await polled.poll.run(read)
        polled.wait(30)
    assert (notes(polled), aside(polled)) == ([("left_aside", "m1")], ["m1"])
    assert polled.state.last_poll.odd_rows[0].since == began

    polled.registry.odd = []
    await polled.poll.run(Read.FAST)
    assert aside(polled) == ["m1"]
    await polled.poll.run(Read.FULL)

    assert (notes(polled), aside(polled)) == ([("left_aside", "m1"), ("readable", "m1")], [])


async def test_a_poll_that_fails_forgets_nothing(polled) -> None:
    polled.registry.odd = [ODD]
    await scanned(polled)
    polled.registry.failure = OSError("down")

    with pytest.raises(OSError, match="down"):
        await polled.poll.run(Read.FULL)

    assert aside(polled) == ["m1"]


async def test_a_model_that_went_from_its_name_as_an_odd_row_came_of_its_creation_is_not_gone(polled) -> None:
    """It was renamed to something that nothing can ask for."""
    gone = polled.registry.models.pop("m1")
    polled.registry.odd = [OddRow("", why="it has no name", created=gone.created)]
    polled.registry.models.pop("m2")

    assert await scanned(polled) == ["m2 MODEL_DELETED"]
    assert "m1" in polled.state.known()

    polled.registry.odd = []
    assert await scanned(polled) == ["m1 MODEL_DELETED"]


async def test_a_name_that_has_versions_and_no_model_is_told_of(polled) -> None:
    scan = polled.registry.scan
    polled.registry.scan = lambda *args, **how: replace(scan(*args, **how), orphans=frozenset({"ghost"}))

    assert await scanned(polled) == []
    assert (aside(polled), notes(polled)) == (["ghost"], [("left_aside", "ghost")])


async def test_a_version_older_than_what_was_left_aside_is_no_news_when_it_shows(polled) -> None:
    polled.registry.odd = [OddRow("m1", "2", "its creation time is 0")]
    await scanned(polled)
    polled.registry.odd = []
    m1 = polled.registry.models["m1"]
    old, new = polled.now - 100 * MINUTE, polled.now + MINUTE
    versions = {
        **m1.versions,
        "2": ModelVersion("2", old, old, stage="Production"),
        "3": ModelVersion("3", new, new),
    }
    polled.registry.put(replace(m1, versions=versions))

    assert await scanned(polled) == ["m1 VERSION_CREATED"]
    assert notes(polled)[1:] == [("surfaced", "m1"), ("readable", "m1")]


async def test_a_model_made_after_it_was_left_aside_is_news_however_late_it_shows(polled) -> None:
    polled.registry.odd = [OddRow("new", why="the server fails on it")]
    await scanned(polled)
    born = polled.now
    polled.wait(3_600)
    polled.move("m5", "Staging")  # so that the registry's rows tell how late it is
    await scanned(polled)
    polled.registry.odd = []
    late = [replace(model(name), created=born, updated=born, versions={}) for name in ("new", "other")]
    polled.registry.put(late[0], replace(late[1], created=born + 1))

    assert await scanned(polled) == ["new MODEL_CREATED"]
    assert ("appeared", "other") in notes(polled)
