"""What the relay hears of from the store: every change of the outbox that is not its own."""

from dataclasses import replace

import pytest
from support.values import commit, transition

from bridge.delivery.outbox_entry import Status
from bridge.delivery.sink_state import RUNNING, paused
from bridge.errors import StateUnwritable
from bridge.store.base import News


@pytest.fixture
def news(state) -> list[News]:
    return []


async def test_an_entry_is_in_the_backlog_or_in_later_news_never_in_both(state, news) -> None:
    early = await state.commit_poll(commit(transition(1)))
    backlog = await state.take(news.append)
    late = await state.commit_poll(commit(transition(2), revision=1))

    assert backlog.pending == [one.id for one in early]
    assert news == [News(late)]


async def test_whoever_took_it_before_hears_no_more(state, news) -> None:
    earlier: list[News] = []
    await state.take(earlier.append)
    await state.take(news.append)
    await state.commit_poll(commit(transition(1)))

    assert (earlier, len(news)) == ([], 1)


async def test_what_operators_change_is_news(state, news) -> None:
    one, other = await state.commit_poll(commit(transition(1), sinks=("ci", "deploy")))
    await state.take(news.append)

    await state.settle([replace(one, status=Status.DEAD)])
    assert news == []  # what the relay settles, it knows

    await state.redrive([one], [])
    (again,) = await state.enqueue([other])
    await state.drop([other])
    condition = paused(RUNNING, 1)
    await state.set_condition("ci", condition, [], [])

    assert again.id == 3
    assert news == [News([one]), News([again]), News(removed=[other]), News(conditions={"ci": condition})]


async def test_a_poll_that_routes_nothing_is_no_news(state, news) -> None:
    await state.take(news.append)
    await state.commit_poll(commit(transition(1), sinks=()))

    assert news == []


async def test_what_is_not_durable_is_no_news(state, news, monkeypatch) -> None:
    await state.commit_poll(commit(transition(1)))
    await state.take(news.append)

    def full(_writes) -> None:
        raise StateUnwritable("full")

    monkeypatch.setattr(state._documents, "commit", full)
    with pytest.raises(StateUnwritable):
        await state.commit_poll(commit(transition(2), revision=1))

    assert news == []
