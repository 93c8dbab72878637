"""The kinds of registries that MLflow's client reaches, each with the real command.

Every test takes a baseline, changes something, and looks at what arrives. None asks how the bridge
reads. docs/registries.md says how each kind is configured.
"""

import importlib.util
import os
import re
import shutil
from itertools import count
from pathlib import Path

import pytest
from mlflow import MlflowClient
from support import plugins
from support.command import Bridge, http_sink, only
from support.databricks import WorkspaceRegistry
from support.mlflow_server import MlflowServer
from support.proxy import Proxy
from support.unity_catalog import DatabricksUnityCatalog, OpenUnityCatalog

pytestmark = pytest.mark.filterwarnings("ignore")

ALL = (
    'events = ["REGISTERED_MODEL_CREATED", "REGISTERED_MODEL_DELETED", "MODEL_VERSION_CREATED", '
    '"MODEL_VERSION_TRANSITIONED_STAGE", "MODEL_VERSION_ALIAS_SET", "MODEL_VERSION_ALIAS_DELETED"]'
)
ALIASES = 'events = ["MODEL_VERSION_ALIAS_SET"]'
TOKEN = "dapi-0123456789"
CONSENT = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_TRACKING_URI": ""}


def poll(bridge: Bridge, *more: str) -> None:
    done = bridge.run("once", "--deadline", "60s", *more)
    assert (done.returncode, done.stderr) == (0, "")


def scan(bridge: Bridge) -> None:
    """Poll in full: what alone finds deletions of models, and aliases of models at rest."""
    poll(bridge, "--full")


def told(receiver) -> list[tuple]:
    """Return what arrived, each event with what it is about."""
    bodies = [got.body for got in receiver.got]
    return [
        (body["event"], body["model_name"], body.get("to_stage") or body.get("alias") or "")
        for body in bodies
    ]


def promoted(name: str, stage: str = "Production") -> tuple:
    return ("MODEL_VERSION_TRANSITIONED_STAGE", name, stage)


# A file store


@pytest.fixture
def store(tmp_path, monkeypatch) -> MlflowClient:
    """A file store with one model, for a client that has given the consent that MLflow wants."""
    folder = str(tmp_path / "ml runs")
    for name, value in CONSENT.items():
        monkeypatch.setenv(name, value or folder)
    client = MlflowClient(folder, registry_uri=folder)
    client.create_registered_model("churn")
    client.create_model_version("churn", "s3://b/x")
    return client


def file_bridge(tmp_path, uri: str, receiver) -> Bridge:
    bridge = Bridge(tmp_path / "bridge", uri, http_sink(receiver.url, more=ALL))
    for name in CONSENT:
        del bridge.environment[name]
    return bridge


@pytest.mark.parametrize("written_as", [str, Path.as_uri], ids=["a path", "a file URI"])
def test_a_file_store_needs_nothing_but_its_folder(tmp_path, store, receiver, written_as) -> None:
    bridge = file_bridge(tmp_path, written_as(tmp_path / "ml runs"), receiver)
    poll(bridge)
    store.transition_model_version_stage("churn", "1", "Production")
    store.set_registered_model_alias("churn", "champion", "1")
    poll(bridge)
    store.delete_registered_model("churn")
    scan(bridge)

    assert told(receiver) == [
        promoted("churn"),
        ("MODEL_VERSION_ALIAS_SET", "churn", "champion"),
        ("REGISTERED_MODEL_DELETED", "churn", ""),
    ]


def test_reading_a_file_store_writes_nothing(tmp_path, store, receiver) -> None:
    def files():
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "ml runs").rglob("*")}

    bridge = file_bridge(tmp_path, str(tmp_path / "ml runs"), receiver)
    before = files()
    poll(bridge)

    assert files() == before
    assert sorted(path.name for path in bridge.folder.iterdir()) == ["config.toml", "state"]


def test_a_file_store_that_is_not_mounted_is_unreachable_not_empty(tmp_path, store, receiver) -> None:
    folder = tmp_path / "ml runs"
    bridge = file_bridge(tmp_path, str(folder), receiver)
    poll(bridge)
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()

    done = bridge.run("once")

    assert (done.returncode, "check the path, and that it is mounted" in done.stderr) == (69, True)
    assert (list(folder.iterdir()), receiver.got) == ([], [])
    folder.rmdir()
    shutil.move(tmp_path / "elsewhere", folder)
    scan(bridge)
    assert receiver.got == []


# A server with basic auth

ADMIN, ADMIN_PASSWORD, PASSWORD = "admin", "admin-pass-1234", "bridge-pass-5678"
NUMBERS = count(1)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A real `mlflow server --app-name basic-auth`, where nobody may do anything unless told."""
    if importlib.util.find_spec("flask_wtf") is None:
        pytest.skip("mlflow's basic-auth app needs Flask-WTF")
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\n"
        f"database_uri = sqlite:///{folder}/auth.db\nadmin_username = {ADMIN}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        "auth_cache_ttl_seconds = 600\n"
    )
    server = MlflowServer(
        folder,
        "--app-name",
        "basic-auth",
        MLFLOW_AUTH_CONFIG_PATH=str(folder / "auth.ini"),
        MLFLOW_AUTH_ADMIN_PASSWORD=ADMIN_PASSWORD,
        MLFLOW_FLASK_SERVER_SECRET_KEY="secret-of-the-test",
    ).start()
    yield server
    server.stop()


@pytest.fixture
def admin(guarded, monkeypatch):
    """MLflow's clients as the administrator: of the registry, and of its users."""
    from mlflow.server.auth.client import AuthServiceClient

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_PASSWORD)
    return MlflowClient(guarded.url), AuthServiceClient(guarded.url)


@pytest.fixture
def reader(admin) -> str:
    """A user of the test's own, without any permission."""
    name = f"bridge-{next(NUMBERS)}"
    admin[1].create_user(name, PASSWORD)
    return name


def guarded_bridge(tmp_path, guarded, user: str, receiver, password: str = PASSWORD) -> Bridge:
    access = f'username = "{user}"\npassword = {{ env = "REGISTRY_PASSWORD" }}'
    bridge = Bridge(tmp_path, guarded.url, http_sink(receiver.url, more=ALL), access=access)
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        bridge.environment.pop(name, None)
    bridge.environment["REGISTRY_PASSWORD"] = password
    return bridge


def test_read_permission_is_enough_on_a_server_with_basic_auth(
    tmp_path, guarded, admin, reader, receiver
) -> None:
    registry, users = admin
    registry.create_registered_model("risk")
    registry.create_model_version("risk", "s3://b/x")
    users.grant_user_permission(reader, "registered_model", "risk", "READ")
    bridge = guarded_bridge(tmp_path, guarded, reader, receiver)
    poll(bridge)
    registry.transition_model_version_stage("risk", "1", "Production")
    poll(bridge)

    assert told(receiver) == [promoted("risk")]


GATE = """
[[gates]]
name = "quality"
to_stages = ["Production"]
checks = [{ name = "described", require = "version.description != ''" }]
"""


def test_a_bridge_that_may_only_read_says_so_where_a_gate_decides(
    tmp_path, guarded, admin, reader, receiver
) -> None:
    registry, users = admin
    registry.create_registered_model("read-only")
    users.grant_user_permission(reader, "registered_model", "read-only", "READ")
    bridge = guarded_bridge(tmp_path, guarded, reader, receiver)
    bridge.config.write_text(bridge.config.read_text() + GATE)
    reading = bridge.run("check", "--connect")
    users.revoke_user_permission(reader, "registered_model", "read-only")
    users.grant_user_permission(reader, "registered_model", "read-only", "EDIT")
    editing = bridge.run("check", "--connect")

    assert (reading.returncode, editing.returncode) == (0, 0)
    assert "warning: gates: " in reading.stderr
    assert "read-only" in reading.stderr
    assert editing.stderr == ""
    assert ", 1 gate" in editing.stdout


def test_a_wrong_password_ends_with_69_and_one_sentence(tmp_path, guarded, reader, receiver) -> None:
    done = guarded_bridge(tmp_path, guarded, reader, receiver, "not-the-password").run("once")

    assert done.returncode == 69
    assert done.stderr == (
        f"mlflow-bridge: {guarded.url} refuses the credentials: "
        "check registry.username, registry.password or registry.token\n"
    )


def test_a_revoked_permission_is_no_deletion(tmp_path, guarded, admin, reader, receiver) -> None:
    registry, users = admin
    for name in ("kept", "revoked"):
        registry.create_registered_model(name)
        registry.create_model_version(name, "s3://b/x")
        users.grant_user_permission(reader, "registered_model", name, "READ")
    bridge = guarded_bridge(tmp_path, guarded, reader, receiver)
    poll(bridge)
    users.revoke_user_permission(reader, "registered_model", "revoked")
    registry.transition_model_version_stage("revoked", "1", "Staging")
    scan(bridge)
    assert receiver.got == []

    users.grant_user_permission(reader, "registered_model", "revoked", "READ")
    scan(bridge)
    assert told(receiver) == [promoted("revoked", "Staging")]


# Plug-ins of MLflow's client: those of docs/registries.md


@pytest.fixture
def with_plugins(tmp_path):
    """Give a bridge the plug-ins, installed in a folder of the test's own."""
    folder = plugins.install(tmp_path / "site")

    def give(bridge: Bridge, **environment: str) -> Bridge:
        path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        bridge.environment.update(environment, PYTHONPATH=os.pathsep.join(path))
        return bridge

    return give


@pytest.fixture
def model(client, request) -> str:
    """A model with a name that is no glob pattern, as that of a parametrized test would be."""
    name = re.sub(r"\W+", "-", request.node.name)
    client.create_registered_model(name)
    client.create_model_version(name, "s3://b/x")
    return name


def promotes(bridge: Bridge, client, model: str, receiver) -> bool:
    poll(bridge)
    client.transition_model_version_stage(model, "1", "Production")
    poll(bridge)
    return told(receiver) == [promoted(model)]


@pytest.mark.parametrize("also_tracking", [True, False], ids=["for all", "for the registry alone"])
def test_a_scheme_of_ones_own_is_a_registry(
    tmp_path, server, client, model, receiver, with_plugins, also_tracking
) -> None:
    corp = server.url.replace("http://", "corp://")
    tracking, access = (corp, "") if also_tracking else (server.url, f'registry_uri = "{corp}"')
    sink = http_sink(receiver.url, more=only(model))
    bridge = with_plugins(Bridge(tmp_path, tracking, sink, access=access))

    assert bridge.run("check", "--connect").returncode == 0
    assert promotes(bridge, client, model, receiver)


def test_a_scheme_without_its_plugin_is_said_to_be_unknown(tmp_path, receiver) -> None:
    done = Bridge(tmp_path, "corp://127.0.0.1:1", http_sink(receiver.url)).run("once")

    assert done.returncode == 69
    assert done.stderr == (
        "mlflow-bridge: corp://127.0.0.1:1 has a scheme that MLflow's client does not know: "
        "is its plug-in installed where the bridge is?\n"
    )


def test_an_auth_plugin_signs_every_request_with_what_is_in_its_file_now(
    tmp_path, server, client, model, receiver, with_plugins
) -> None:
    proxy = Proxy(server.url, "X-Corp-Ticket", "ticket-1")
    (ticket := tmp_path / "ticket").write_text("ticket-1\n")
    bridge = with_plugins(
        Bridge(tmp_path / "bridge", proxy.url, http_sink(receiver.url, more=only(model))),
        MLFLOW_TRACKING_AUTH="ticket",
        CORP_TICKET_FILE=str(ticket),
    )
    try:
        assert promotes(bridge, client, model, receiver)
        proxy.value = "ticket-2"
        refused = bridge.run("once")
        assert (refused.returncode, "refuses the credentials" in refused.stderr) == (69, True)
        ticket.write_text("ticket-2\n")
        poll(bridge)
    finally:
        proxy.stop()


def test_a_header_plugin_leads_every_request_through_the_proxy(
    tmp_path, server, client, model, receiver, with_plugins
) -> None:
    proxy = Proxy(server.url, "X-Corp-Team", "fraud")
    sink = http_sink(receiver.url, more=only(model))
    bridge = with_plugins(Bridge(tmp_path / "bridge", proxy.url, sink), CORP_TEAM="fraud")
    try:
        assert promotes(bridge, client, model, receiver)
        del bridge.environment["CORP_TEAM"]
        assert bridge.run("once").returncode == 69
    finally:
        proxy.stop()


# Databricks' workspace registry


@pytest.fixture
def workspace():
    workspace = WorkspaceRegistry(TOKEN)
    yield workspace
    workspace.api.stop()


@pytest.fixture
def strict_workspace():
    workspace = WorkspaceRegistry(TOKEN, strict=True)
    yield workspace
    workspace.api.stop()


def databricks_bridge(tmp_path, stand_in, receiver, registry: str, more: str = ALL) -> Bridge:
    access = f'registry_uri = "{registry}"\ntoken = {{ env = "OUR_TOKEN" }}'
    bridge = Bridge(tmp_path, "databricks", http_sink(receiver.url, more=more), access=access)
    bridge.environment.update(
        DATABRICKS_HOST=stand_in.api.url,
        OUR_TOKEN=TOKEN,
        DATABRICKS_CONFIG_FILE=str(tmp_path / "no-such-file"),
    )
    return bridge


def promotes_and_deletes_in(workspace, bridge: Bridge, receiver) -> None:
    for name in ("churn", "gone", "hidden"):
        workspace.create(name)
    poll(bridge)
    workspace.transition("churn", 1, "Production")
    workspace.add_version("churn")
    workspace.delete("gone")
    workspace.deny("hidden")
    scan(bridge)

    assert sorted(told(receiver)) == [
        ("MODEL_VERSION_CREATED", "churn", ""),
        promoted("churn"),
        ("REGISTERED_MODEL_DELETED", "gone", ""),
    ]
    assert {got.body["user_id"] for got in receiver.got if got.body["model_name"] == "churn"} == {
        "ann@example.com"
    }


@pytest.mark.extra
def test_a_databricks_workspace_tells_stages_and_who_moved_them(tmp_path, workspace, receiver) -> None:
    bridge = databricks_bridge(tmp_path, workspace, receiver, "databricks")
    promotes_and_deletes_in(workspace, bridge, receiver)

    assert not [path for path in workspace.api.asked if "alias" in path]


@pytest.mark.extra
def test_a_databricks_workspace_can_be_the_tracking_uri_alone(tmp_path, workspace, receiver) -> None:
    workspace.create("churn")
    bridge = databricks_bridge(tmp_path, workspace, receiver, "databricks")
    bridge.write("databricks", http_sink(receiver.url))
    bridge.environment["DATABRICKS_TOKEN"] = TOKEN
    poll(bridge)
    workspace.transition("churn", 1, "Staging")
    poll(bridge)

    assert told(receiver) == [promoted("churn", "Staging")]


@pytest.mark.extra
def test_databricks_own_sdk_may_sign_in(tmp_path, workspace, receiver) -> None:
    workspace.create("churn")
    bridge = databricks_bridge(tmp_path, workspace, receiver, "databricks")
    bridge.environment["MLFLOW_ENABLE_DB_SDK"] = "true"
    poll(bridge)
    workspace.transition("churn", 1, "Staging")
    poll(bridge)

    assert told(receiver) == [promoted("churn", "Staging")]


@pytest.mark.extra
def test_a_wrong_databricks_token_ends_with_69(tmp_path, workspace, receiver) -> None:
    bridge = databricks_bridge(tmp_path, workspace, receiver, "databricks")
    bridge.environment["OUR_TOKEN"] = "dapi-wrong"
    done = bridge.run("once")

    assert (done.returncode, "refuses the credentials" in done.stderr) == (69, True)
    assert "dapi-wrong" not in done.stderr


@pytest.mark.extra
def test_a_databricks_host_that_is_down_is_given_up_soon(tmp_path, workspace, receiver) -> None:
    bridge = databricks_bridge(tmp_path, workspace, receiver, "databricks")
    workspace.api.stop()
    done = bridge.run("once")

    assert (done.returncode, "connection refused" in done.stderr) == (69, True)


@pytest.mark.extra
def test_a_workspace_may_want_a_name_with_every_version_search(tmp_path, strict_workspace, receiver) -> None:
    bridge = databricks_bridge(tmp_path, strict_workspace, receiver, "databricks")
    promotes_and_deletes_in(strict_workspace, bridge, receiver)


# Unity Catalog


@pytest.fixture
def catalog():
    catalog = DatabricksUnityCatalog(TOKEN)
    yield catalog
    catalog.api.stop()


@pytest.fixture
def open_catalog():
    catalog = OpenUnityCatalog(TOKEN)
    yield catalog
    catalog.api.stop()


def open_catalog_bridge(tmp_path, catalog, server, receiver) -> Bridge:
    access = f'registry_uri = "uc:{catalog.api.url}"\ntoken = {{ env = "OUR_TOKEN" }}'
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=ALL), access=access)
    bridge.environment["OUR_TOKEN"] = TOKEN
    return bridge


def creates_and_deletes_in(catalog, bridge: Bridge, receiver) -> None:
    for name in ("ml.prod.churn", "ml.prod.gone", "ml.prod.hidden"):
        catalog.create(name)
    poll(bridge)
    catalog.add_version("ml.prod.churn")
    catalog.delete("ml.prod.gone")
    catalog.deny("ml.prod.hidden")
    scan(bridge)

    assert sorted(told(receiver)) == [
        ("MODEL_VERSION_CREATED", "ml.prod.churn", ""),
        ("REGISTERED_MODEL_DELETED", "ml.prod.gone", ""),
    ]


@pytest.mark.extra
def test_unity_catalog_tells_versions_and_deletions(tmp_path, catalog, receiver) -> None:
    bridge = databricks_bridge(tmp_path, catalog, receiver, "databricks-uc")
    creates_and_deletes_in(catalog, bridge, receiver)


@pytest.mark.extra
def test_unity_catalog_tells_aliases(tmp_path, catalog, receiver) -> None:
    catalog.create("ml.prod.churn", versions=2)
    catalog.set_alias("ml.prod.churn", "champion", 1)
    bridge = databricks_bridge(tmp_path, catalog, receiver, "databricks-uc", ALIASES)
    poll(bridge)
    catalog.set_alias("ml.prod.churn", "champion", 2)
    scan(bridge)

    (got,) = receiver.got
    assert (got.body["alias"], got.body["model_version"], got.body["previous_version"]) == (
        "champion",
        "2",
        "1",
    )


@pytest.mark.extra
def test_an_open_source_unity_catalog_tells_versions_and_deletions(
    tmp_path, open_catalog, server, receiver
) -> None:
    creates_and_deletes_in(
        open_catalog, open_catalog_bridge(tmp_path, open_catalog, server, receiver), receiver
    )


@pytest.mark.extra
def test_a_tracking_server_that_is_down_does_not_matter_beside_unity_catalog(
    tmp_path, open_catalog, receiver
) -> None:
    down = MlflowServer(tmp_path / "never-started")
    creates_and_deletes_in(
        open_catalog, open_catalog_bridge(tmp_path, open_catalog, down, receiver), receiver
    )


def test_the_stand_ins_answer_mlflows_own_client(catalog, open_catalog, workspace, monkeypatch) -> None:
    """Where a test above fails, it is because of how the bridge asks."""
    for name in ("DATABRICKS_TOKEN", "MLFLOW_UC_OSS_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    monkeypatch.setenv("MLFLOW_ENABLE_DB_SDK", "false")
    for stand_in, registry in (
        (catalog, "databricks-uc"),
        (open_catalog, f"uc:{open_catalog.api.url}"),
        (workspace, "databricks"),
    ):
        monkeypatch.setenv("DATABRICKS_HOST", stand_in.api.url)
        stand_in.create("a.b.c", versions=2)
        stand_in.set_alias("a.b.c", "champion", 2)
        client = MlflowClient("databricks", registry_uri=registry)
        seen, token = [], None
        while token != "":
            page = client.search_registered_models(max_results=100, page_token=token)
            seen, token = [*seen, *page], page.token or ""
        assert [model.name for model in seen] == ["a.b.c"]
        versions = client.search_model_versions("name = 'a.b.c'")
        assert sorted(str(version.version) for version in versions) == ["1", "2"]
        expected = {"champion": "2"} if stand_in is catalog else {}
        assert client.get_registered_model("a.b.c").aliases == expected


def test_what_the_page_says_of_configurations_is_accepted_by_check(tmp_path) -> None:
    import tomllib

    bridge = Bridge(tmp_path, "http://127.0.0.1:1")
    for block in plugins.blocks("toml"):
        if "registry" in tomllib.loads(block):
            bridge.config.write_text(block)
            done = bridge.run("check")
            assert (done.returncode, done.stderr) == (0, "")
