"""What the daemon does for those who ask, whichever life it is in."""

import asyncio
from dataclasses import asdict
from functools import partial

import pytest
from support.patience import patience
from support.world import World

from bridge.config.file_loading import build
from bridge.daemon import poll_queue
from bridge.daemon import socket_commands as module
from bridge.daemon.configuration_reload import Configuration
from bridge.daemon.poll_queue import Polling
from bridge.daemon.socket_commands import Commands
from bridge.errors import ConfigurationError, OwnerUnavailable, RegistryUnreachable, StateForeign
from bridge.operations import daemon_requests
from bridge.operations.poll_requests import OnceResult, PollOrder
from bridge.sinks.sink_type_table import SETTINGS

HERE = {"uri": "http://h", "workspace": None}
THERE = {"uri": "http://there", "workspace": None}
RESTART = {
    "state": {"state": {"url": "tinydb:/other"}},
    "server": {"server": {"listen": "127.0.0.1:1"}},
    "registry.token": {},
}


def settings(uri: str = "http://h", sections=None, **registry):
    return build({"registry": {"tracking_uri": uri, **registry}, **(sections or {})}, SETTINGS)


def arguments(registry=HERE, **order) -> dict:
    return {"registry": registry, "order": asdict(PollOrder(**order))}


class Desk:
    """Commands over a registry in memory; ``fresh`` is what the file says now."""

    def __init__(self, before=None) -> None:
        self.world = World()
        self.fresh = self.before = before or self.world.settings
        self.configuration = Configuration(self.before, lambda: self.fresh)
        self.commands = Commands(self.world.state, self.configuration, self.world.signals, self.world.clock)
        self.polling: Polling | None = None

    async def live(self) -> None:
        app = self.world.app()
        self.polling = Polling(app, self.world.probes)
        await self.commands.serve_with(self.polling, app.sinks)


@pytest.fixture
def desk(monkeypatch) -> Desk:
    async def rebound(state, fresh, *, accept) -> str:
        return f"bound to {fresh.registry.uri}" + (" (accepted)" if accept else "")

    monkeypatch.setattr(module, "rebind", rebound)
    return Desk()


async def test_a_poll_is_made_and_what_came_of_it_is_the_answer(desk, monkeypatch) -> None:
    monkeypatch.setattr(poll_queue, "REST_S", 0.01)  # there is no relay
    await desk.live()

    answer = await desk.commands.by_name()["poll"](arguments(full=True))
    desk.world.registry.failure = RegistryUnreachable("down")
    failed = OnceResult.from_document(await desk.commands.poll(arguments(deadline_ms=60_000)))

    assert OnceResult.from_document(answer) == OnceResult(0, 0, 0, ())
    assert [str(error) for error in failed.errors] == ["down"]


async def test_the_registry_is_recorded_as_it_is(desk) -> None:
    await desk.live()

    assert await desk.commands.rebaseline({"registry": HERE}) == {"models": 1, "versions": 1}


async def test_who_means_another_registry_is_refused(desk) -> None:
    await desk.live()

    for command in (desk.commands.poll, desk.commands.rebaseline):
        with pytest.raises(StateForeign, match="names http://there, and the running daemon's http://h: use"):
            await command(arguments(THERE))
    with pytest.raises(StateForeign, match="let both read the same file"):
        await desk.commands.rebind(arguments(THERE))
    assert desk.world.registry.asked_for == 0


async def test_a_rebind_takes_the_new_settings_and_asks_for_a_new_life(desk) -> None:
    await desk.live()
    desk.fresh = settings("http://there", token={"env": "TOKEN"})

    assert await desk.commands.rebind(arguments(THERE)) == {"done": "bound to http://there"}
    assert (desk.configuration.settings, desk.world.signals.renew.is_set()) == (desk.fresh, True)
    with pytest.raises(OwnerUnavailable):
        await desk.polling.now(PollOrder())
    assert desk.world.registry.asked_for == 0


async def test_an_operators_word_for_another_fingerprint_reaches_the_rebind(desk) -> None:
    await desk.live()

    assert await desk.commands.rebind({**arguments(HERE), "accept": True}) == {
        "done": "bound to http://h (accepted)"
    }


async def test_a_rebind_that_fails_changes_nothing(desk, monkeypatch) -> None:
    async def refused(state, fresh, *, accept) -> str:
        raise StateForeign("another")

    monkeypatch.setattr(module, "rebind", refused)
    await desk.live()
    desk.fresh = settings("http://there")

    with pytest.raises(StateForeign, match="another"):
        await desk.commands.rebind(arguments(THERE))
    assert (desk.configuration.settings, desk.world.signals.renew.is_set()) == (desk.before, False)
    assert (await desk.polling.now(PollOrder(deadline_ms=20_000))).errors == ()


@pytest.mark.parametrize("what", RESTART)
async def test_a_rebind_takes_nothing_else_that_needs_a_restart(what) -> None:
    """A credential that is withdrawn would stay in the environment, and be sent to the new place."""
    desk = Desk(settings(token={"env": "TOKEN"}))
    await desk.live()
    token = {} if what == "registry.token" else {"token": {"env": "TOKEN"}}
    desk.fresh = settings("http://there", RESTART[what], **token)

    with pytest.raises(OwnerUnavailable, match=f"a change of {what} needs a restart"):
        await desk.commands.rebind(arguments(THERE))


async def test_a_configuration_that_is_wrong_is_told_to_who_asked(desk) -> None:
    def wrong():
        raise ConfigurationError(["sinks: wrong"])

    desk.configuration._reread = wrong
    with pytest.raises(ConfigurationError, match="sinks: wrong"):
        await desk.commands.rebind(arguments())


async def test_a_reload_ends_when_the_next_life_has_begun(desk) -> None:
    await desk.live()
    desk.fresh = settings(sections={"poll": {"interval": "5s"}})
    asked = asyncio.create_task(desk.commands.by_name()["reload"]({"registry": THERE}))
    await asyncio.wait_for(desk.world.signals.wait(), patience())
    assert (desk.world.signals.renew.is_set(), desk.polling.is_over, asked.done()) == (True, True, False)
    await desk.live()

    assert await asked == {"changed": True, "sinks": []}
    assert desk.configuration.settings is desk.fresh


async def test_a_reload_of_what_is_as_it_was_interrupts_nothing(desk) -> None:
    await desk.live()

    assert await desk.commands.reload({}) == {"changed": False, "sinks": []}
    assert not desk.polling.is_over


async def test_a_reload_that_is_refused_is_told_to_who_asked_and_interrupts_nothing(desk) -> None:
    await desk.live()
    desk.fresh = settings("http://there")

    with pytest.raises(ConfigurationError, match="a change of registry needs a restart"):
        await desk.commands.reload({"registry": HERE})
    assert not desk.polling.is_over


async def test_what_is_asked_between_two_lives_is_done_by_the_next(desk) -> None:
    await desk.live()
    await desk.polling.end()
    asked = asyncio.create_task(desk.commands.rebaseline({"registry": HERE}))
    await asyncio.sleep(0)
    await desk.live()

    assert await asked == {"models": 1, "versions": 1}


async def test_without_a_life_to_come_it_is_to_be_tried_again(desk, monkeypatch) -> None:
    with pytest.raises(OwnerUnavailable, match="only starting: try again"):
        await desk.commands.poll(arguments(deadline_ms=20))
    await desk.live()
    await desk.polling.end()
    with pytest.raises(OwnerUnavailable, match="stopping, or taking up another configuration: try again"):
        await desk.commands.poll(arguments(deadline_ms=20))


async def test_a_life_that_is_over_changes_no_outbox(desk, monkeypatch) -> None:
    """Its relay drains: what it has just given up would pass for not being under way."""
    monkeypatch.setattr(desk.commands, "_present_polling", partial(desk.commands._present_polling, 0.02))
    await desk.live()
    await desk.polling.end()

    with pytest.raises(OwnerUnavailable, match="stopping, or taking up another configuration: try again"):
        await desk.commands.by_name()["drop"]({"registry": HERE, "entries": [1]})


def test_who_asks_is_refused_before_they_give_up() -> None:
    assert module._NEXT_RUN_S < daemon_requests._SPARE_S
