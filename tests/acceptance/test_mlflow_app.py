"""The plug-in in MLflow's own server: a real server, the real daemon, one address for both."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, RestException
from support.command import http_sink
from support.governed import REQUESTS, Governed, version_with
from support.mlflow_server import MlflowServer
from support.plugged_server import ADMIN, EVERYTHING, NEVER, PASSWORD, PluggedServer, new_name
from support.promotion_service import Hook
from support.until import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")

HOOKS = "/api/2.0/mlflow/registry-webhooks"
TRANSITION = "2.0/mlflow/model-versions/transition-stage"


@pytest.fixture(scope="module")
def plugged(tmp_path_factory):
    with PluggedServer(
        tmp_path_factory.mktemp("plugged"), MLFLOW_HTTP_REQUEST_MAX_RETRIES="0"
    ).running() as found:
        yield found


@pytest.fixture
def client(plugged) -> MlflowClient:
    return MlflowClient(plugged.url)


@pytest.fixture
def model(client) -> str:
    """A model that an enforcing gate guards."""
    name = new_name()
    client.create_registered_model(name)
    return name


@pytest.fixture
def governed(tmp_path, plugged, model, receiver):
    with plugged.bridge(tmp_path / "bridge", http_sink(receiver.url, more=EVERYTHING)) as found:
        yield found


def _events(receiver) -> list[str]:
    return [one.body["event"] for one in receiver.got]


def _stage(client, model: str, version: str) -> str:
    return client.get_model_version(model, version).current_stage


def test_every_change_is_seen_at_once_by_hints_alone(governed, client, receiver) -> None:
    name, other = new_name("free"), new_name("free")
    client.create_registered_model(name)
    version = version_with(client, name, validation_accuracy=0.5)
    client.set_registered_model_tag(name, "k", "v")
    client.update_registered_model(name, "words")
    client.set_model_version_tag(name, version, "k", "v")
    client.update_model_version(name, version, "words")
    client.transition_model_version_stage(name, version, "Staging")
    client.set_registered_model_alias(name, "a", version)
    wait_until(lambda: len(receiver.got) >= 8)
    client.delete_registered_model_alias(name, "a")
    client.delete_model_version_tag(name, version, "k")
    client.delete_registered_model_tag(name, "k")
    client.rename_registered_model(name, other)
    wait_until(lambda: len(receiver.got) >= 12)
    client.delete_model_version(other, version)
    wait_until(lambda: len(receiver.got) >= 13)
    client.delete_registered_model(other)
    wait_until(lambda: len(receiver.got) >= 14)

    every = EVERYTHING.partition("[")[2].rstrip("]").replace("\n", " ").split(",")
    assert sorted(_events(receiver)) == sorted(name.strip().strip('"') for name in every)


def test_a_transition_that_the_gate_refuses_is_not_made_and_the_client_shows_why(
    governed, client, model, receiver
) -> None:
    bad, good = (version_with(client, model, validation_accuracy=one) for one in (0.8, 0.95))
    unmeasured = version_with(client, model)
    for version, why in ((bad, r"accuracy: below 0\.90"), (unmeasured, "validation_accuracy is missing")):
        with pytest.raises(RestException, match=why):
            client.transition_model_version_stage(model, version, "Production")
        with pytest.raises(RestException, match=why):
            client.set_registered_model_alias(model, "champion", version)
    client.transition_model_version_stage(model, bad, "Staging")
    client.set_registered_model_alias(model, "challenger", bad)
    client.transition_model_version_stage(model, good, "production")
    client.set_registered_model_alias(model, "champion", good)

    assert (_stage(client, model, bad), _stage(client, model, good)) == ("Staging", "Production")
    wait_until(lambda: "champion" in [one.body.get("alias") for one in receiver.got])
    notes = governed.ask("GET", "/api/v1/notes")[1]["notes"]
    assert [one["kind"] for one in notes].count("transition_refused") == 4
    assert "below 0.90" in notes[-1]["detail"]


def test_another_name_brings_no_version_past_the_gate(governed, client, model) -> None:
    bad = version_with(client, model, validation_accuracy=0.8)
    other = new_name("free")
    client.rename_registered_model(model, other)
    client.transition_model_version_stage(other, bad, "Production")
    client.set_registered_model_alias(other, "champion", bad)
    with pytest.raises(RestException, match=r"below 0\.90"):
        client.rename_registered_model(other, model)
    client.transition_model_version_stage(other, bad, "Staging")
    client.delete_registered_model_alias(other, "champion")
    client.rename_registered_model(other, model)


def test_what_does_not_exist_is_refused_in_mlflows_own_words(governed, client, model) -> None:
    for name, version in ((model, "99"), (model, "abc"), (new_name(), "1")):
        with pytest.raises(MlflowException) as refused:
            client.transition_model_version_stage(name, version, "Production")
        assert "mlflow-bridge" not in str(refused.value)


def test_a_request_is_made_decided_and_applied_and_its_approval_is_used_up(
    plugged, governed, client, model
) -> None:
    bad, good = (version_with(client, model, validation_accuracy=one) for one in (0.8, 0.95))
    asked = {}
    for version in (bad, good):
        given = {"name": model, "version": version, "stage": "Production"}
        status, told = plugged.ask("POST", f"{REQUESTS}/create", given)
        assert status == 200, told
        asked[version] = told["request"]["id"]
    wait_until(lambda: _stage(client, model, good) == "Production")
    wait_until(lambda: governed.shown(asked[bad])["status"] == "rejected")
    wait_until(lambda: governed.shown(asked[good])["event_id"])
    assert _stage(client, model, bad) == "None"
    assert governed.shown(asked[good])["creator"] == "anonymous"

    run = client.get_model_version(model, good).run_id
    client.transition_model_version_stage(model, good, "Staging")
    client.log_metric(run, "validation_accuracy", 0.1)
    with pytest.raises(RestException, match=r"below 0\.90"):
        client.transition_model_version_stage(model, good, "Production")


def test_a_bridge_that_is_down_stops_governed_transitions_and_nothing_else(tmp_path) -> None:
    with PluggedServer(tmp_path / "server").running() as plugged:
        client = MlflowClient(plugged.url)
        for model in ("governed", "free"):
            client.create_registered_model(model)
            version_with(client, model, validation_accuracy=0.95)
        with pytest.raises(RestException, match="does not answer"):  # what is governed is not known yet
            client.transition_model_version_stage("free", "1", "Production")
        with plugged.bridge(tmp_path / "bridge"):
            client.transition_model_version_stage("free", "1", "Production")
        client.transition_model_version_stage("free", "1", "Staging")
        client.set_registered_model_tag("governed", "k", "v")
        with pytest.raises(RestException, match="does not answer"):
            client.transition_model_version_stage("governed", "1", "Production")
        client.transition_model_version_stage("governed", "1", "Staging")
        status, told = plugged.ask("GET", f"{REQUESTS}/list?name=governed&version=1")
        assert (status, told["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


@pytest.mark.extra
def test_with_on_failure_open_a_bridge_that_is_down_stops_nothing(tmp_path) -> None:
    with PluggedServer(tmp_path, MLFLOW_BRIDGE_ON_FAILURE="open").running() as plugged:
        client = MlflowClient(plugged.url)
        client.create_registered_model("governed")
        version = version_with(client, "governed")
        client.transition_model_version_stage("governed", version, "Production")
        assert _stage(client, "governed", version) == "Production"
        assert "is made unchecked" in plugged.server.log


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        pytest.param({}, "MLFLOW_BRIDGE_URL is missing", marks=pytest.mark.extra),
        ({"MLFLOW_BRIDGE_URL": "http://127.0.0.1:9464"}, "MLFLOW_BRIDGE_TOKEN is missing"),
    ],
)
def test_a_server_without_the_bridges_address_or_token_ends_with_one_sentence(
    tmp_path, environment, why
) -> None:
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "mlflow-bridge", "--port", "0"]
    given = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_BRIDGE_")}
    given |= environment
    done = subprocess.run(
        command, capture_output=True, text=True, env=given, cwd=tmp_path, timeout=120, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"Error: mlflow-bridge: {why}")


FORMS = [
    pytest.param(
        ("--gunicorn-opts", "--worker-class sync --timeout 60"), {"socket": True}, id="gunicorn, one worker"
    ),
    pytest.param(("--workers", "3"), {"prefix": "/mlflow"}, id="uvicorn, three workers, below a prefix"),
    pytest.param((), {"version": "2.22.5"}, id="MLflow 2.22"),
]


@pytest.mark.extra
@pytest.mark.parametrize(("arguments", "more"), FORMS)
def test_it_works_in_every_form_of_the_server(tmp_path, receiver, arguments, more) -> None:
    sink = http_sink(receiver.url, more=EVERYTHING)
    if more.get("socket"):
        url = f"unix://{tmp_path}/bridge/state/control"
        more = {"MLFLOW_BRIDGE_URL": url, "MLFLOW_BRIDGE_TOKEN": ""}
    with PluggedServer(tmp_path / "server", *arguments, **more).running() as plugged:
        client = MlflowClient(plugged.url)
        client.create_registered_model("governed")
        good, bad = (version_with(client, "governed", validation_accuracy=one) for one in (0.95, 0.8))
        with plugged.bridge(tmp_path / "bridge", sink):
            with pytest.raises(RestException, match=r"below 0\.90"):
                client.transition_model_version_stage("governed", bad, "Production")
            client.transition_model_version_stage("governed", bad, "Staging")
            wait_until(lambda: "Staging" in [one.body.get("to_stage") for one in receiver.got])
            given = {"name": "governed", "version": good, "stage": "Production"}
            for api in ("/api/2.0/mlflow", "/api/2.0/preview/mlflow", "/ajax-api/2.0/mlflow"):
                status, told = plugged.ask("POST", f"{api}/transition-requests/create", given)
                assert status in {200, 400}, told  # 400: it is in Production already
            wait_until(lambda: _stage(client, "governed", good) == "Production")
            given["version"] = version_with(client, "governed", validation_accuracy=0.99)
            wait_until(lambda: plugged.ask("POST", f"{REQUESTS}/create", given)[0] == 200)
            wait_until(lambda: _stage(client, "governed", given["version"]) == "Production")


BODIES = {
    "plain": json.dumps,
    "encoded twice": lambda given: json.dumps(json.dumps(given)),
    "another case of the stage": lambda given: json.dumps({**given, "stage": given["stage"].lower()}),
    "members that nobody knows": lambda given: json.dumps({**given, "model": "free"}),
    "the name twice": lambda given: '{"name": "free", ' + json.dumps(given)[1:],
    "in camel case": lambda given: json.dumps({**given, "archiveExistingVersions": True}),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_no_encoding_passes_the_gate(plugged, governed, client, model, body) -> None:
    bad = version_with(client, model, validation_accuracy=0.8)
    text = body({"name": model, "version": bad, "stage": "Production"})
    answers = [
        plugged.send("POST", f"/{root}/{TRANSITION}", text, {"Content-Type": kind} if kind else {})
        for root in ("api", "ajax-api")
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "")
    ]
    assert _stage(client, model, bad) == "None"
    assert {status for status, _ in answers} <= {400, 403, 415}, answers
    assert answers[0][0] == 403


def _decided_by_the_service(plugged, governed, client, address, user="") -> list[dict]:
    """Have the service of the ordering document decide on two requests, all at MLflow's own address."""
    good, bad = (version_with(client, "ordered", validation_accuracy=one) for one in (0.95, 0.8))
    hook = Hook(address, governed.bridge.environment)
    hook.start()
    try:
        target = {
            "url": f"http://127.0.0.1:{hook.port}/mlflow-governance-hook",
            "enable_ssl_verification": False,
        }
        given = {
            "model_name": "ordered",
            "events": ["MODEL_VERSION_TRANSITIONED_STAGE"],
            "description": "decides on promotions",
            "status": "ACTIVE",
            "http_url_spec": target,
        }
        curl = ["curl", "-sf", "-X", "POST", f"{address}{HOOKS}/create"]
        curl += ["-H", "Content-Type: application/json", "-d", json.dumps(given)]
        made = subprocess.run(curl, capture_output=True, text=True, check=True)
        assert json.loads(made.stdout)["webhook"]["model_name"] == "ordered"
        asked = []
        for version in (good, bad):
            wanted = {"name": "ordered", "version": version, "stage": "Production"}
            status, told = plugged.ask("POST", f"{REQUESTS}/create", wanted, user)
            assert status == 200, told
            asked.append(told["request"]["id"])
        wait_until(lambda: _stage(client, "ordered", good) == "Production")
        wait_until(lambda: governed.shown(asked[1])["status"] == "rejected")
        assert _stage(client, "ordered", bad) == "None"
        return [governed.shown(one) for one in asked]
    finally:
        hook.kill()


def test_the_ordering_documents_curl_and_service_work_at_the_address_of_mlflow(
    plugged, governed, client
) -> None:
    client.create_registered_model("ordered")
    shown = _decided_by_the_service(plugged, governed, client, plugged.url)
    assert {(one["creator"], one["decided_by"]) for one in shown} == {("anonymous", "anonymous")}


# With MLflow's basic authentication: in test-extra, as each process of xdist would start a server of its own


class Guarded:
    """A server that authenticates, a model with users, and a bridge."""

    def __init__(self, plugged: PluggedServer, users) -> None:
        self.plugged = plugged
        self.users = users
        self.client = MlflowClient(plugged.url)
        self.model = ""
        self.bridge = None

    def request(self, user: str, verb: str, **given) -> tuple[int, dict]:
        method = {"list": "GET", "delete": "DELETE"}.get(verb, "POST")
        return self.plugged.ask(method, f"{REQUESTS}/{verb}", given, user)

    def hook(self, user: str, verb: str, **given) -> tuple[int, dict]:
        method = {"list": "GET", "delete": "DELETE", "update": "PATCH"}.get(verb, "POST")
        return self.plugged.ask(method, f"{HOOKS}/{verb}", given, user)


@pytest.fixture(scope="module")
def guarded_server(tmp_path_factory):
    if importlib.util.find_spec("flask_wtf") is None:
        pytest.skip("mlflow's basic-auth app needs Flask-WTF")
    from mlflow.server.auth.client import AuthServiceClient

    with (
        PluggedServer(tmp_path_factory.mktemp("guarded"), auth=True).running() as plugged,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
        patch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        users = AuthServiceClient(plugged.url)
        for user in ("reader", "manager", "second", "nobody"):
            users.create_user(user, PASSWORD)
        yield Guarded(plugged, users)


@pytest.fixture
def guarded(guarded_server, tmp_path, receiver, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    found = guarded_server
    found.model = new_name()
    found.client.create_registered_model(found.model)
    for user, may in (("reader", "READ"), ("manager", "MANAGE"), ("second", "MANAGE")):
        found.users.grant_user_permission(user, "registered_model", found.model, may)
    with found.plugged.bridge(tmp_path / "bridge", http_sink(receiver.url, more=EVERYTHING)) as bridge:
        found.bridge = bridge
        yield found


@pytest.mark.extra
def test_who_may_read_asks_who_manages_decides_and_nobody_on_their_own(guarded, receiver) -> None:
    version, another = (version_with(guarded.client, guarded.model) for _ in range(2))
    given = {"name": guarded.model, "version": version, "stage": "Staging"}
    refused = [
        guarded.request("nobody", "create", **given),
        guarded.request("nobody", "list", name=guarded.model, version=version),
    ]
    status, answer = guarded.request("reader", "create", **given)
    assert status == 200, answer
    asked = {"transition_request_id": answer["request"]["id"]}
    refused += [guarded.request("reader", "approve", **asked), guarded.request("reader", "reject", **given)]
    refused += [guarded.request("nobody", "approve", **asked), guarded.request("nobody", "delete", **asked)]
    guarded.client.create_registered_model("of manager")
    guarded.users.grant_user_permission("reader", "registered_model", "of manager", "MANAGE")
    refused.append(guarded.request("reader", "approve", **asked, name="of manager"))  # the id is what counts
    own = guarded.request("manager", "create", **{**given, "version": another})[1]["request"]["id"]
    refused.append(guarded.request("manager", "approve", transition_request_id=own))
    status, approved = guarded.request("manager", "approve", **asked, comment="fine")

    assert [(one, told["error_code"]) for one, told in refused] == [(403, "PERMISSION_DENIED")] * 8
    assert (status, approved["activity"]["user_id"]) == (200, "manager")
    wait_until(lambda: _stage(guarded.client, guarded.model, version) == "Staging")
    wait_until(lambda: "Staging" in [one.body.get("to_stage") for one in receiver.got])
    (told,) = [one.body for one in receiver.got if one.body.get("to_stage") == "Staging"]
    assert told["user_id"] == "manager"


@pytest.mark.extra
def test_who_does_not_authenticate_gets_nowhere(guarded) -> None:
    for method, path in (
        ("POST", f"{REQUESTS}/create"),
        ("GET", f"{HOOKS}/list"),
        ("POST", f"{HOOKS}/create"),
    ):
        headers = {"X-MLflow-Bridge-User": ADMIN, "X-MLflow-Bridge-May": "decide"}
        assert guarded.plugged.send(method, path, "{}", headers)[0] == 401


@pytest.mark.extra
def test_events_tell_who_made_a_change(guarded, receiver) -> None:
    version = version_with(guarded.client, guarded.model)
    name = guarded.model
    for path, given in (
        ("model-versions/transition-stage", {"name": name, "version": version, "stage": "Staging"}),
        ("registered-models/set-tag", {"name": name, "key": "k", "value": "v"}),
        ("registered-models/alias", {"name": name, "alias": "a", "version": version}),
    ):
        assert guarded.plugged.ask("POST", f"/api/2.0/mlflow/{path}", given, "manager")[0] == 200
    wait_until(lambda: len(receiver.got) >= 4)
    by = {one.body["event"]: one.body["user_id"] for one in receiver.got}
    assert by == {
        "MODEL_VERSION_CREATED": ADMIN,
        "MODEL_VERSION_TRANSITIONED_STAGE": "manager",
        "REGISTERED_MODEL_TAG_SET": "manager",
        "MODEL_VERSION_ALIAS_SET": "manager",
    }


@pytest.mark.extra
def test_an_admin_cannot_pass_the_gate(guarded) -> None:
    version = version_with(guarded.client, guarded.model, validation_accuracy=0.5)
    with pytest.raises(RestException, match=r"below 0\.90"):
        guarded.client.transition_model_version_stage(guarded.model, version, "Production")
    notes = guarded.bridge.ask("GET", "/api/v1/notes")[1]["notes"]
    assert (notes[0]["kind"], notes[0]["by"]) == ("transition_refused", "admin (token mlflow)")


@pytest.mark.extra
def test_who_manages_a_model_keeps_its_webhooks_and_an_admin_those_of_all(guarded, receiver) -> None:
    given = {"events": ["MODEL_VERSION_CREATED"], "http_url_spec": {"url": receiver.url}}
    of_all = guarded.hook(ADMIN, "create", **given)
    own = guarded.hook("manager", "create", **given, model_name=guarded.model)
    assert (of_all[0], own[0]) == (200, 200), (of_all, own)
    ids = [one[1]["webhook"]["id"] for one in (of_all, own)]
    refused = [
        guarded.hook("manager", "create", **given),
        guarded.hook("reader", "create", **given, model_name=guarded.model),
        guarded.hook("manager", "delete", id=ids[0]),
        guarded.hook("manager", "update", id=ids[0], status="DISABLED"),
        guarded.hook("reader", "delete", id=ids[1]),
        guarded.hook("manager", "delete", id="0" * 32),
    ]
    assert [(one, told["error_code"]) for one, told in refused] == [(403, "PERMISSION_DENIED")] * 6
    listed = {user: guarded.hook(user, "list")[1]["webhooks"] for user in (ADMIN, "manager", "reader")}
    assert {user: [one["id"] for one in found] for user, found in listed.items()} == {
        ADMIN: ids,
        "manager": [ids[1]],
        "reader": [],
    }
    assert guarded.hook("second", "update", id=ids[1], status="DISABLED")[0] == 200
    assert guarded.hook("second", "delete", id=ids[1])[0] == 200


@pytest.mark.extra
def test_the_ordering_documents_curl_and_service_work_with_basic_authentication(guarded) -> None:
    guarded.client.create_registered_model("ordered")
    guarded.users.grant_user_permission("reader", "registered_model", "ordered", "READ")
    address = guarded.plugged.url.replace("http://", f"http://{ADMIN}:{PASSWORD}@")
    shown = _decided_by_the_service(guarded.plugged, guarded.bridge, guarded.client, address, "reader")
    assert {(one["creator"], one["decided_by"]) for one in shown} == {("reader", ADMIN)}


# Without the plug-in


@pytest.mark.extra
def test_mlflows_own_webhooks_wake_the_bridge_up(tmp_path, receiver) -> None:
    server = MlflowServer(
        tmp_path / "mlflow",
        MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY=Fernet.generate_key().decode(),
        MLFLOW_WEBHOOK_ALLOWED_SCHEMES="http",
        MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS="true",
    ).start()
    try:
        sink = http_sink(receiver.url, more=EVERYTHING)
        governed = Governed(tmp_path / "bridge", server.url, sink, poll=NEVER)
        config = governed.bridge.config
        secret = 'mlflow_webhook_secret = { env = "OF_MLFLOW" }\n'
        config.write_text(config.read_text().replace("[server]\n", f"[server]\n{secret}"))
        governed.bridge.environment["OF_MLFLOW"] = "the secret of the webhook"
        client = MlflowClient(server.url)
        client.create_registered_model("m")
        client.create_model_version("m", "s3://b/x")
        client.create_webhook(
            "bridge",
            f"{governed.url}/api/v1/mlflow-webhooks",
            ["model_version_alias.created", "model_version_tag.set"],
            secret="the secret of the webhook",
        )
        with governed.bridge.running():
            governed.bridge.wait_for_log("baseline.taken")
            client.set_registered_model_alias("m", "champion", "1")
            client.set_model_version_tag("m", "1", "k", "v")
            wait_until(lambda: {"MODEL_VERSION_ALIAS_SET", "MODEL_VERSION_TAG_SET"} <= set(_events(receiver)))
    finally:
        server.stop()
