"""A real server whose answers come from a cache, or whose clock is behind: what is told is what happened."""

import json
import sqlite3

import pytest
from support.command import Bridge, http_sink, only
from support.old_pictures import CachingProxy, SlowClockProxy
from support.receiver import Receiver

pytestmark = pytest.mark.filterwarnings("ignore")

EVENTS = json.dumps(
    [
        "REGISTERED_MODEL_CREATED",
        "REGISTERED_MODEL_DELETED",
        "MODEL_VERSION_CREATED",
        "MODEL_VERSION_DELETED",
        "MODEL_VERSION_TRANSITIONED_STAGE",
        "MODEL_VERSION_ALIAS_SET",
        "MODEL_VERSION_ALIAS_DELETED",
    ]
)


def told(receiver: Receiver) -> list[str]:
    events = [got.body for got in receiver.got]
    receiver.got.clear()
    return [
        f"{one['event']} {one.get('to_stage') or one.get('model_version') or ''}".strip() for one in events
    ]


def scanned(bridge: Bridge):
    """Poll in full; a machine may be busy."""
    return bridge.run("once", "--full")


def watching(folder, url: str, receiver: Receiver, model: str) -> Bridge:
    """Return a bridge that has its baseline."""
    bridge = Bridge(folder, url, http_sink(receiver.url, more=f"{only(model)}\nevents = {EVENTS}"))
    assert scanned(bridge).returncode == 0
    return bridge


def test_a_cache_undoes_nothing(tmp_path, server, client, model, receiver) -> None:
    proxy = CachingProxy(server.url)
    try:
        bridge = watching(tmp_path / "bridge", proxy.url, receiver, model)
        assert scanned(bridge).returncode == 0  # so that every question has been asked
        client.transition_model_version_stage(model, "1", "Production")
        client.set_registered_model_alias(model, "champion", "1")
        assert scanned(bridge).returncode == 0
        assert told(receiver) == ["MODEL_VERSION_TRANSITIONED_STAGE Production", "MODEL_VERSION_ALIAS_SET 1"]

        proxy.is_old = True
        seen = scanned(bridge)
        proxy.is_old = False
        again = scanned(bridge)

        assert told(receiver) == []
        # The point reads by which it asks again were never made before, so the cache has no answer to them.
        assert "asked again, it read as known" in seen.stderr
        assert (again.returncode, bridge.status()["doubted"]) == (0, [])
        trail = json.loads(bridge.run("events", "list", "--output", "json").stdout)
        assert {note["kind"] for note in trail["notes"]} == {"doubted"}
    finally:
        proxy.stop()


def test_a_step_back_that_stays_is_held_and_accepted(tmp_path, server, client, model, receiver) -> None:
    """As of a restored backup: what is asked for again is of the past, too."""
    proxy = CachingProxy(server.url)
    try:
        bridge = watching(tmp_path / "bridge", proxy.url, receiver, model)
        client.transition_model_version_stage(model, "1", "Production")
        assert scanned(bridge).returncode == 0
        assert told(receiver) == ["MODEL_VERSION_TRANSITIONED_STAGE Production"]

        stepped_back = _database_of(server)
        stepped_back.execute(
            "UPDATE model_versions SET current_stage = 'None', last_updated_time = creation_time WHERE name = ?",
            (model,),
        )
        stepped_back.execute(
            "UPDATE registered_models SET last_updated_time = creation_time WHERE name = ?", (model,)
        )
        stepped_back.commit()
        held = scanned(bridge)
        assert held.returncode == 65, held.stderr
        assert "reads as older than known" in held.stderr
        assert told(receiver) == []
        assert bridge.run("once", "--accept-held").returncode == 0
        assert told(receiver) == ["MODEL_VERSION_TRANSITIONED_STAGE None"]
    finally:
        proxy.stop()


def _database_of(server):
    return sqlite3.connect(server.database.removeprefix("sqlite:///"))


@pytest.mark.parametrize("behind_ms", [600_000, -600_000])
def test_a_registry_whose_clock_is_off_behind_a_proxy_whose_clock_is_not(
    tmp_path, server, client, model, receiver, behind_ms
) -> None:
    proxy = SlowClockProxy(server.url, behind_ms)
    fresh = f"{model}-fresh"
    try:
        bridge = watching(tmp_path / "bridge", proxy.url, receiver, f"{model[:40]}*fresh")
        client.create_registered_model(fresh)
        client.create_model_version(fresh, "s3://b/x")
        client.transition_model_version_stage(fresh, "1", "Production")
        assert scanned(bridge).returncode == 0
        assert told(receiver) == [
            "REGISTERED_MODEL_CREATED",
            "MODEL_VERSION_CREATED 1",
            "MODEL_VERSION_TRANSITIONED_STAGE Production",
        ]
    finally:
        proxy.stop()
