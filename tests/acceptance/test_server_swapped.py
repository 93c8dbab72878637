"""A running daemon, and a server that becomes another one under the same URL.

The real servers are in test_server_versions.py; this is their stand-in, which changes at once.
"""

import pytest
from support.command import Bridge, http_sink
from support.misreading import MisreadingServer


@pytest.fixture
def server():
    server = MisreadingServer("2.9.2")
    yield server
    server.api.stop()


def asked_of(bridge: Bridge) -> tuple:
    """Scan in full by order, and return what is known of the server then."""
    done = bridge.run("once", "--full")
    assert (done.returncode, done.stderr) == (0, "")
    registry = bridge.status()["registry"]
    return registry["server"], registry["abilities"]["lists_models"]


def test_a_daemon_asks_again_what_the_server_can_do(tmp_path, server, receiver) -> None:
    events = 'events = ["REGISTERED_MODEL_CREATED", "MODEL_VERSION_TRANSITIONED_STAGE"]'
    bridge = Bridge(tmp_path, server.api.url, http_sink(receiver.url, more=events))
    with bridge.running():
        assert asked_of(bridge) == ("MLflow 2.9.2", True)  # an empty registry does not show it
        server.create("churn")
        receiver.wait_for(1)
        assert asked_of(bridge) == ("MLflow 2.9.2", False)
        server.version, server.misreads = "2.22.5", False
        server.transition("churn", 1, "Production")
        receiver.wait_for(2)
        assert asked_of(bridge) == ("MLflow 2.22.5", True)

    assert [got.body["event"] for got in receiver.got] == [
        "REGISTERED_MODEL_CREATED",
        "MODEL_VERSION_TRANSITIONED_STAGE",
    ]
