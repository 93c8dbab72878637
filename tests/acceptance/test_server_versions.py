"""Old and new MLflow servers, each the real one, with the real command. docs/registries.md tells of them."""

import warnings
from itertools import count

import pytest
from support.command import Bridge, http_sink
from support.mlflow_server import MlflowServer
from support.old_servers import VERSIONS, old_server

from bridge.operations.verified_configuration import load_settings
from bridge.store.state_opening import read_state

pytestmark = [pytest.mark.extra, pytest.mark.filterwarnings("ignore")]

ALL = """events = [
    "REGISTERED_MODEL_CREATED", "REGISTERED_MODEL_DELETED", "REGISTERED_MODEL_RENAMED",
    "MODEL_VERSION_CREATED", "MODEL_VERSION_DELETED", "MODEL_VERSION_TRANSITIONED_STAGE",
    "MODEL_VERSION_ALIAS_SET", "MODEL_VERSION_ALIAS_DELETED",
]"""
NUMBERS = count(1)


@pytest.fixture(scope="module", params=[*VERSIONS, "3.x"])
def version(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def any_server(request, version, tmp_path_factory):
    """A server of each version: that of all tests for 3.x."""
    if version == "3.x":
        yield request.getfixturevalue("server")
        return
    server = old_server(version, tmp_path_factory.mktemp(f"mlflow-{version}"))
    yield server.start()
    server.stop()


@pytest.fixture
def registry(any_server):
    return client_of(any_server)


@pytest.fixture
def name(registry) -> str:
    """A model of the test's own, with two versions."""
    name = f"churn-{next(NUMBERS)}"
    registry.create_registered_model(name, tags={"team": "risk"})
    for _ in range(2):
        registry.create_model_version(name, "s3://b/x")
    return name


@pytest.fixture
def bridge(tmp_path, any_server, receiver, name) -> Bridge:
    """A bridge to that server, with its baseline taken."""
    bridge = Bridge(tmp_path, any_server.url, http_sink(receiver.url, more=f'{ALL}\nmodels = ["{name}*"]'))
    poll(bridge)
    return bridge


def client_of(server: MlflowServer):
    warnings.filterwarnings("ignore")
    from mlflow import MlflowClient

    return MlflowClient(server.url)


def poll(bridge: Bridge, *more: str) -> str:
    """Poll, and return how the registry was read."""
    done = bridge.run("once", "--deadline", "60s", *more)
    assert (done.returncode, done.stderr) == (0, "")
    return bridge.status()["last_poll"]["kind"]


def told(receiver) -> list[tuple]:
    """Return what arrived: each event, the model, and the version where there is one."""
    bodies = [got.body for got in receiver.got]
    return [(body["event"], body["model_name"], body.get("model_version")) for body in bodies]


def abilities(bridge: Bridge):
    with read_state(load_settings(bridge.config)) as state:
        return state.abilities


def test_every_change_arrives_in_order_and_nothing_else(bridge, registry, name, receiver) -> None:
    renamed = f"{name}-renamed"
    changes = [
        (lambda: registry.transition_model_version_stage(name, "1", "Production"), "fast"),
        (lambda: registry.create_model_version(name, "s3://b/y"), "fast"),
        (lambda: registry.rename_registered_model(name, renamed), "fast"),
        (lambda: registry.delete_model_version(renamed, "2"), "fast"),
        (lambda: registry.set_registered_model_alias(renamed, "champion", "3"), "full"),
        (lambda: registry.delete_registered_model(renamed), "full"),
    ]
    for change, read in changes:
        change()
        assert poll(bridge, *(["--full"] if read == "full" else [])) == read
    poll(bridge, "--full")

    assert told(receiver) == [
        ("MODEL_VERSION_TRANSITIONED_STAGE", name, "1"),
        ("MODEL_VERSION_CREATED", name, "3"),
        ("REGISTERED_MODEL_RENAMED", renamed, None),
        ("MODEL_VERSION_DELETED", renamed, "2"),
        ("MODEL_VERSION_ALIAS_SET", renamed, "3"),
        ("REGISTERED_MODEL_DELETED", renamed, None),
    ]


def test_what_happened_between_two_polls_arrives_from_one_cheap_read(
    bridge, registry, name, receiver
) -> None:
    registry.transition_model_version_stage(name, "1", "Production")
    registry.transition_model_version_stage(name, "2", "Production", archive_existing_versions=True)
    registry.create_registered_model(f"{name}-other")

    assert poll(bridge) == "fast"
    assert sorted(told(receiver), key=str) == [
        ("MODEL_VERSION_TRANSITIONED_STAGE", name, "1"),
        ("MODEL_VERSION_TRANSITIONED_STAGE", name, "2"),
        ("REGISTERED_MODEL_CREATED", f"{name}-other", None),
    ]


def test_aliases_of_a_deleted_version_stay_on_servers_of_2_x(
    bridge, registry, name, receiver, version
) -> None:
    registry.set_registered_model_alias(name, "champion", "2")
    poll(bridge, "--full")
    registry.delete_model_version(name, "2")
    poll(bridge, "--full")

    went = [("MODEL_VERSION_ALIAS_DELETED", name, "2")] if version == "3.x" else []
    assert sorted(told(receiver)) == sorted(
        [("MODEL_VERSION_ALIAS_SET", name, "2"), *went, ("MODEL_VERSION_DELETED", name, "2")]
    )


def test_what_the_server_can_do_is_found_out(bridge, version) -> None:
    found = abilities(bridge)

    assert found.server.startswith(f"MLflow {version.removesuffix('x')}")
    assert (found.lists_models, found.has_names) == (version != "2.9.2", version == "3.x")
    assert found.has_order
    assert found.lists_versions
    assert found.has_full_rows
    shown = bridge.status()["registry"]
    assert (shown["server"], shown["lacks"]) == (found.server, [])
    assert shown["abilities"]["lists_models"] is found.lists_models


def test_a_2_9_server_without_a_model_at_the_baseline_tells_of_its_first_one(tmp_path, receiver) -> None:
    server = old_server("2.9.2", tmp_path / "server").start()
    try:
        bridge = Bridge(tmp_path / "bridge", server.url, http_sink(receiver.url, more=ALL))
        poll(bridge)
        registry = client_of(server)
        registry.create_registered_model("churn")
        registry.create_model_version("churn", "s3://b/x")
        assert poll(bridge) == "fast"
        assert sorted(told(receiver)) == [
            ("MODEL_VERSION_CREATED", "churn", "1"),
            ("REGISTERED_MODEL_CREATED", "churn", None),
        ]
        poll(bridge, "--full")
        assert not abilities(bridge).lists_models
        assert len(receiver.got) == 2
    finally:
        server.stop()


def test_an_upgrade_from_2_9_to_2_22_to_3_loses_nothing_and_is_noticed(tmp_path, receiver) -> None:
    """Polls in between, with the abilities of the old server, find what happens all the same."""
    folder = tmp_path / "server"
    servers = [*(old_server(version, folder) for version in VERSIONS), MlflowServer(folder)]
    for server in servers:
        server.port = servers[0].port
    bridge = Bridge(tmp_path / "bridge", servers[0].url, http_sink(receiver.url, more=ALL))
    seen, stages = [], ["Staging", "Production"]
    servers[0].start()
    try:
        client_of(servers[0]).create_registered_model("churn")
        client_of(servers[0]).create_model_version("churn", "s3://b/x")
        poll(bridge)
        seen.append(abilities(bridge))
        for old, new, stage in zip(servers, servers[1:], stages, strict=False):
            old.stop()
            new.upgrade()
            new.start()
            client_of(new).transition_model_version_stage("churn", "1", stage)
            client_of(new).create_prompt(f"greeting-{stage}")
            assert poll(bridge) == "fast"
            assert abilities(bridge) == seen[-1]
            poll(bridge, "--full")
            seen.append(abilities(bridge))
    finally:
        for server in servers:
            server.stop()

    assert [(one.server[:11], one.lists_models, one.has_names) for one in seen] == [
        ("MLflow 2.9.", False, False),
        ("MLflow 2.22", True, False),
        ("MLflow 3.17", True, True),
    ]
    assert told(receiver) == [("MODEL_VERSION_TRANSITIONED_STAGE", "churn", "1")] * 2
    assert [got.body["to_stage"] for got in receiver.got] == stages
