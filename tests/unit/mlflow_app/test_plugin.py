"""The routes and hooks in an application with MLflow's endpoints; `tests/acceptance/test_mlflow_app.py` has a real server."""

import sys
import threading
from types import SimpleNamespace

import pytest
from flask import Flask, Response, jsonify
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from support.until import wait_until

from bridge.governance.transition_target import Target
from bridge.mlflow_app.bridge_client import Answer, BridgeUnreachable
from bridge.mlflow_app.changed_models import CHANGES, ChangedModels
from bridge.mlflow_app.forwarded_api import PREFIXES, ForwardedApi
from bridge.mlflow_app.governed_transitions import GovernedTransitions
from bridge.mlflow_app.guarded_targets import GuardedTargets
from bridge.mlflow_app.user_permissions import Anybody, MlflowUsers

pytestmark = pytest.mark.filterwarnings("ignore")  # of SQLAlchemy, about MLflow's tables

GUARD = {"gate": "quality", "models": ["m*"], "to_stages": ["Production"], "aliases": ["champ.*"]}
SAID = {"guards": [GUARD], "is_polled": True}
HERE = PREFIXES[0]
MOVE = {"name": "m", "version": "1", "stage": "Production"}


class Stores:
    """What the server knows: `bridge.mlflow_app.version_facts.ServerRegistry`."""

    def __init__(self) -> None:
        self.facts_found: dict | None = {}
        self.holds: tuple = ()

    def name_of(self, given):
        return given

    def spellings(self, alias):
        return tuple(dict.fromkeys((alias, alias.lower())))

    def held(self, _name):
        return iter(self.holds)

    def facts(self, *_):
        return self.facts_found


@pytest.fixture(autouse=True)
def stores(monkeypatch) -> Stores:
    found = Stores()
    monkeypatch.setattr("bridge.mlflow_app.governed_transitions.ServerRegistry", lambda: found)
    return found


class Bridge:
    """Answers as the bridge does, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list = []
        self.answers: dict = {"/api/v1/hints": SAID}
        self.is_down = False
        self.status = 200

    def ask(self, method, path, document, asker, _timeout_s):
        import json

        if self.is_down:
            raise BridgeUnreachable("it is down")
        self.asked.append((method, path, dict(document), asker))
        return Answer(self.status, json.dumps(self.answers.get(path, {})).encode())

    def to(self, path) -> list:
        return [document for _, one, document, _ in self.asked if one == path]


class Users(Anybody):
    """One user, with permissions for models."""

    def __init__(self, reads=(), manages=(), *, is_admin=False) -> None:
        self._reads, self._manages, self._is_admin = reads, manages, is_admin

    def name(self):
        return "ann"

    def is_admin(self):
        return self._is_admin

    def may_read(self, model):
        if model == "gone":
            raise MlflowException("there is no model gone", error_code=RESOURCE_DOES_NOT_EXIST)
        return model in self._reads

    def may_manage(self, model):
        return self._is_admin or model in self._manages


def application(bridge, users=None, *, is_open=False) -> Flask:
    app, users, guarded = Flask(__name__), users or Anybody(), GuardedTargets()

    def view() -> Response:
        return jsonify({"model_version": {"version": "7"}})

    for endpoint, (path, _) in CHANGES.items():
        app.add_url_rule(f"/{path}", endpoint, view, methods=["POST", "PATCH", "DELETE"])
    app.before_request(GovernedTransitions(bridge, users, guarded, is_open=is_open).before_request)
    app.after_request(ChangedModels(bridge, users, guarded.learn).after_request)
    assert len(list(ForwardedApi(bridge, users, guarded).add_to(app))) == 30
    return app


@pytest.fixture
def bridge() -> Bridge:
    return Bridge()


def move(app, **more):
    return app.test_client().post("/model-versions/transition-stage", json={**MOVE, **more})


# Refusals


def test_what_the_gates_refuse_is_refused_with_every_reason(bridge, stores) -> None:
    stores.facts_found = {"gaps": ["x"]}
    bridge.answers["/api/v1/transition-checks"] = {
        "allowed": False,
        "reasons": ["a: b", "c: d"],
        **SAID,
    }
    answer = move(application(bridge, Users()))
    assert (answer.status_code, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert "refuses version 1 of 'm' to Production: a: b; c: d" in answer.json["message"]
    (asked,) = bridge.to("/api/v1/transition-checks")
    assert asked == {**MOVE, "facts": {"gaps": ["x"]}}
    assert bridge.asked[-1][3].user == "ann"


def test_what_no_gate_guards_is_not_asked_about(bridge) -> None:
    app = application(bridge)
    assert move(app, name="free").status_code == 200
    assert move(app, stage="Staging").status_code == 200
    alias = {"name": "m", "alias": "other", "version": "1"}
    assert app.test_client().post("/registered-models/set-alias", json=alias).status_code == 200
    assert bridge.to("/api/v1/transition-checks") == []


def test_what_passes_is_made(bridge) -> None:
    bridge.answers["/api/v1/transition-checks"] = {"allowed": True, "reasons": [], **SAID}
    app = application(bridge)
    assert move(app).status_code == 200
    alias = {"name": "m", "alias": "champion", "version": "1"}
    assert app.test_client().post("/registered-models/set-alias", json=alias).status_code == 200
    assert [one.get("alias") for one in bridge.to("/api/v1/transition-checks")] == [None, "champion"]


def test_an_answer_that_is_none_refuses(bridge) -> None:
    app = application(bridge)
    for status, answers in ((200, {}), (200, {"guards": "x"}), (500, {"message": "a fault"})):
        bridge.status, bridge.answers["/api/v1/transition-checks"] = status, answers
        answer = move(app)
        assert (answer.status_code, answer.json["error_code"]) == (403, "TEMPORARILY_UNAVAILABLE")


def test_a_bridge_that_is_down_refuses_what_it_may_guard_unless_told_otherwise(bridge) -> None:
    app = application(bridge)
    bridge.is_down = True
    unknown = move(app, name="free")
    assert (unknown.status_code, unknown.json["error_code"]) == (403, "TEMPORARILY_UNAVAILABLE")
    assert move(application(bridge, is_open=True)).status_code == 200
    bridge.is_down = False
    assert move(app, name="free").status_code == 200
    bridge.is_down = True
    assert (move(app, name="free").status_code, move(app).status_code) == (200, 403)


def test_what_mlflow_refuses_by_itself_is_left_to_it(bridge) -> None:
    assert move(application(bridge), stage="Nowhere").status_code == 200  # the view here takes everything
    assert bridge.to("/api/v1/transition-checks") == []


def test_what_the_bridge_refuses_to_judge_is_refused_also_by_an_open_server(bridge) -> None:
    app = application(bridge, is_open=True)
    assert move(app, name="free").status_code == 200
    bridge.answers["/api/v1/transition-checks"] = {"message": "version: is too long"}
    bridge.status = 400
    answer = move(app)
    assert (answer.status_code, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert "version: is too long" in answer.json["message"]


@pytest.mark.parametrize("is_open", [False, True])
def test_a_token_that_is_not_the_bridges_opens_nothing_and_is_told(bridge, is_open) -> None:
    bridge.status, bridge.answers["/api/v1/hints"] = (
        401,
        {"message": "this is not one of the bridge's tokens"},
    )
    answer = move(application(bridge, is_open=is_open))
    assert (answer.status_code, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert "this is not one of the bridge's tokens" in answer.json["message"]


def test_a_token_that_is_not_the_bridges_is_told_to_whoever_asks(bridge, monkeypatch) -> None:
    monkeypatch.setattr("bridge.mlflow_app.forwarded_api.workspace", lambda: "a")
    bridge.status, bridge.answers["/api/v1/hints"] = (
        401,
        {"message": "this is not one of the bridge's tokens"},
    )
    answer = ask(application(bridge), "GET", "transition-requests/list?name=m&version=1")
    assert (answer.status_code, "refuses MLflow's server" in answer.json["message"]) == (503, True)


def test_what_does_not_exist_is_left_to_mlflow(bridge, stores) -> None:
    stores.facts_found = None
    assert move(application(bridge)).status_code == 200
    assert bridge.to("/api/v1/transition-checks") == []


def test_facts_that_are_too_long_are_left_out_and_said_to_be(bridge, stores) -> None:
    stores.facts_found = {"run": {"params": {"p": "x" * 9_000_000}}}
    bridge.answers["/api/v1/transition-checks"] = {"allowed": True, "reasons": [], **SAID}
    assert move(application(bridge)).status_code == 200
    (asked,) = bridge.to("/api/v1/transition-checks")
    assert "more than" in asked["facts"]["gaps"][0]


def test_a_new_name_must_not_bring_versions_past_the_gates_that_guard_it(bridge, stores) -> None:
    stores.holds = (
        ("1", Target(stage="Production")),
        ("2", Target(stage="Staging")),
        ("1", Target(alias="champion")),
    )
    bridge.answers["/api/v1/transition-checks"] = {"allowed": False, "reasons": ["bad"], **SAID}
    client = application(bridge).test_client()

    def rename(name, new_name):
        return client.post("/registered-models/rename", json={"name": name, "new_name": new_name}).status_code

    assert [rename("free", "m"), rename("m", "free"), rename("m1", "m2"), rename("free", "other")] == [
        403,
        200,
        200,
        200,
    ]
    assert [(one["name"], one["version"]) for one in bridge.to("/api/v1/transition-checks")] == [("m", "1")]
    told = client.post("/registered-models/rename", json={"name": "free", "new_name": "m"}).json["message"]
    assert told == "mlflow-bridge refuses to rename 'free' to 'm': its version 1 is in Production: bad"
    bridge.asked.clear()
    bridge.answers["/api/v1/transition-checks"] = {"allowed": True, "reasons": [], **SAID}
    assert rename("free", "m") == 200
    assert len(bridge.to("/api/v1/transition-checks")) == 2


def test_a_guard_that_is_old_is_asked_for_anew_and_not_while_the_bridge_is_down(bridge, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("bridge.mlflow_app.guarded_targets.time", SimpleNamespace(monotonic=lambda: now[0]))
    guarded = GuardedTargets()
    assert guarded.guards(None, "m", Target("Production"))  # not known yet
    bridge.is_down = True
    with pytest.raises(BridgeUnreachable):
        guarded.ask(bridge, None)
    bridge.is_down = False
    guarded.ask(bridge, None)
    guarded.ask(bridge, None)
    assert len(bridge.asked) == 1
    assert guarded.guards(None, "model", Target("Production"))
    assert guarded.guards(None, "model", Target(alias="champion"))
    assert not guarded.guards(None, "other", Target("Production"))
    now[0] = 61.0
    bridge.is_down = True
    guarded.ask(bridge, None)  # the old ones are good
    bridge.is_down = False
    guarded.ask(bridge, None)
    assert len(bridge.asked) == 1
    now[0] = 92.0
    guarded.ask(bridge, None)
    assert len(bridge.asked) == 2


def test_a_workspace_that_the_bridge_does_not_poll_is_not_handed_on(bridge, monkeypatch) -> None:
    for module in ("forwarded_api", "changed_models", "governed_transitions"):
        monkeypatch.setattr(f"bridge.mlflow_app.{module}.workspace", lambda: "b")
    app = application(bridge)
    assert ask(app, "GET", "transition-requests/list?name=m&version=1").status_code == 200
    bridge.answers["/api/v1/hints"] = {"guards": [], "is_polled": False}
    answer = ask(application(bridge), "GET", "transition-requests/list?name=m&version=1")
    assert (answer.status_code, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert [one.get("workspace") for one in bridge.to("/api/v1/hints")] == ["b", "b"]


def test_an_alias_is_judged_by_each_spelling_that_the_database_takes_for_it(bridge) -> None:
    bridge.answers["/api/v1/transition-checks"] = {"allowed": False, "reasons": ["bad"], **SAID}
    client = application(bridge).test_client()

    def set_alias(alias) -> int:
        given = {"name": "m", "alias": alias, "version": "1"}
        return client.post("/registered-models/set-alias", json=given).status_code

    assert [set_alias("CHAMPION"), set_alias("champion"), set_alias("OTHER")] == [403, 403, 200]
    bridge.answers["/api/v1/hints"] = bridge.answers["/api/v1/transition-checks"] = {
        "guards": [{**GUARD, "aliases": ["Champion"]}],
        "is_polled": True,
    }
    client = application(bridge).test_client()
    assert [set_alias("Champion"), set_alias("champion")] == [403, 200]


def test_a_server_whose_bridge_guards_nothing_reads_nothing(bridge, monkeypatch) -> None:
    bridge.answers["/api/v1/hints"] = {"guards": [], "is_polled": True}
    monkeypatch.setattr("bridge.mlflow_app.governed_transitions.ServerRegistry", None)
    app = application(bridge)
    assert move(app).status_code == 200
    renamed = {"name": "m", "new_name": "n"}
    assert app.test_client().post("/registered-models/rename", json=renamed).status_code == 200


# Hints


def test_a_change_is_told_with_its_user_and_its_members(bridge) -> None:
    app = application(bridge, Users())
    client = app.test_client()
    client.post("/model-versions/set-tag", json={"name": "m", "version": "1", "key": "k", "value": "v"})
    client.post("/model-versions/create", json={"name": "m", "source": "s", "description": "x" * 9_000})
    client.post("/registered-models/rename", json={"name": "m", "new_name": "n"})
    move(app, name="free", archive_existing_versions=True)
    wait_until(lambda: sum(len(one["hints"]) for one in bridge.to("/api/v1/hints")) >= 4)
    found = [hint for one in bridge.to("/api/v1/hints") for hint in one["hints"]]
    assert {one["user"] for one in found} == {"ann"}
    assert [(one["model"], one["operation"], one["arguments"]) for one in found] == [
        ("m", "model-versions/set-tag", {"version": "1", "key": "k", "value": "v"}),
        ("m", "model-versions/create", {"source": "s", "version": "7"}),
        ("m", "registered-models/rename", {"new_name": "n"}),
        (
            "free",
            "model-versions/transition-stage",
            {"version": "1", "stage": "Production", "archive_existing_versions": "true"},
        ),
    ]


def test_hints_fail_once_in_the_log_and_never_in_an_answer(bridge, monkeypatch) -> None:
    told: list[str] = []
    log = SimpleNamespace(warning=lambda text, *_: told.append(text), info=told.append, debug=lambda *_: None)
    monkeypatch.setattr("bridge.mlflow_app.changed_models._log", log)
    client = application(bridge).test_client()
    tag = {"name": "m", "key": "k", "value": "v"}

    def change() -> None:
        assert client.post("/registered-models/set-tag", json=tag).status_code == 200

    bridge.is_down = True
    change()
    wait_until(lambda: told)
    bridge.is_down, bridge.status = False, 403
    change()
    assert client.post("/registered-models/set-tag", data="{").status_code == 200
    wait_until(lambda: bridge.asked)
    bridge.status = 200
    change()
    wait_until(lambda: len(told) == 2)
    assert ["no hints" in told[0], "again" in told[1]] == [True, True]


def test_one_thread_sends_them(bridge) -> None:
    app = application(bridge)
    before = threading.active_count()
    for number in range(20):
        app.test_client().post("/registered-models/create", json={"name": f"m{number}"})
    wait_until(lambda: sum(len(one["hints"]) for one in bridge.to("/api/v1/hints")) == 20)
    assert threading.active_count() <= before + 1


# The API


def ask(app, method, path, body=None, **more):
    return app.test_client().open(f"{HERE}/{path}", method=method, json=body, **more)


def test_arguments_come_from_the_query_and_the_body_and_only_what_was_judged_is_handed_on(bridge) -> None:
    app = application(bridge)
    ask(app, "POST", "transition-requests/create?name=x&stage=Staging&stage=Production", {"name": "m"})
    ask(app, "GET", "registry-webhooks/list?events=A&events=B&model_name=m")
    assert [(method, path, given) for method, path, given, _ in bridge.asked] == [
        ("POST", f"{HERE}/transition-requests/create", {"name": "m", "stage": "Production"}),
        ("GET", f"{HERE}/registry-webhooks/list", {"events": ["A", "B"], "model_name": "m"}),
    ]


@pytest.mark.parametrize("body", ["{", "[]", '"{}"', "[" * 100_000])
def test_a_body_that_is_no_object_is_refused(bridge, body) -> None:
    answer = application(bridge).test_client().post(f"{HERE}/registry-webhooks/create", data=body)
    assert (answer.status_code, answer.json["error_code"]) == (400, "MALFORMED_REQUEST")
    assert bridge.asked == []


def test_a_body_that_is_too_long_is_refused(bridge) -> None:
    answer = application(bridge).test_client().post(f"{HERE}/registry-webhooks/create", data="x" * 2_000_000)
    assert answer.status_code == 413


def test_a_bridge_that_is_down_is_told_in_a_sentence(bridge) -> None:
    bridge.is_down = True
    answer = ask(application(bridge), "GET", "transition-requests/list?name=m&version=1")
    assert (answer.status_code, answer.json["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


@pytest.mark.parametrize(
    ("verb", "users", "may"),
    [
        ("create", Users(reads=["m"]), ("read", "request")),
        ("create", Users(manages=["m"]), ("read", "request", "decide")),
        ("create", Users(), None),
        ("approve", Users(manages=["m"]), ("read", "request", "decide")),
        ("approve", Users(reads=["m"]), None),
        ("reject", Users(reads=["m"]), None),
        ("list", Users(reads=["m"]), ("read", "request")),
        ("list", Users(), None),
    ],
)
@pytest.mark.parametrize("by_id", [False, True])
def test_who_reads_may_ask_and_who_manages_may_decide(bridge, verb, users, may, by_id) -> None:
    bridge.answers["/api/v1/requests/tr_1"] = {"model_name": "m"}
    given = {"transition_request_id": "tr_1", "name": "own"} if by_id else {"name": "m", "version": "1"}
    method = "GET" if verb == "list" else "POST"
    answer = ask(application(bridge, users), method, f"transition-requests/{verb}", given)
    if may is None:
        assert (answer.status_code, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    else:
        assert bridge.asked[-1][3].may == may
        assert not by_id or "name" not in bridge.asked[-1][2]


def test_an_unknown_id_and_an_unknown_model_are_told_and_decide_nothing(bridge) -> None:
    app = application(bridge, Users())
    for identity in ("tr_1", "../status", 7, None):
        ask(app, "POST", "transition-requests/approve", {"transition_request_id": identity})
        assert bridge.asked[-1][3].may == ("read",)
    answer = ask(app, "GET", "transition-requests/list", {"name": "gone", "version": "1"})
    assert (answer.status_code, "there is no model gone" in answer.json["message"]) == (404, True)


def test_the_webhook_of_an_id_is_looked_for_on_every_page(bridge) -> None:
    pages = [
        {"webhooks": [{"id": "a", "model_name": "x"}], "next_page_token": "p2"},
        {"webhooks": [{"id": "b", "model_name": "m"}]},
    ]

    def ask_pages(method, path, document, asker, timeout_s):
        if path.endswith("list"):
            bridge.answers[path] = pages[1 if document.get("page_token") else 0]
        return Bridge.ask(bridge, method, path, document, asker, timeout_s)

    other = SimpleNamespace(ask=ask_pages)
    app = application(other, Users(manages=["m"]))
    assert ask(app, "DELETE", "registry-webhooks/delete", {"id": "b"}).status_code == 200
    assert bridge.asked[-1][1].endswith("delete")
    for identity in ("a", "c"):
        assert ask(app, "DELETE", "registry-webhooks/delete", {"id": identity}).status_code == 403


def test_calls_beyond_those_that_a_process_hands_on_at_once_are_refused(bridge) -> None:
    api = ForwardedApi(bridge, Anybody(), GuardedTargets())
    app = Flask(__name__)
    list(api.add_to(app))
    for _ in range(8):
        assert api._free.acquire(blocking=False)
    assert ask(app, "GET", "transition-requests/list?name=m&version=1").status_code == 503
    api._free.release()
    assert ask(app, "GET", "transition-requests/list?name=m&version=1").status_code == 200
    assert ask(app, "GET", "transition-requests/list?name=m&version=1").status_code == 200


def test_a_page_of_another_site_gets_nowhere(bridge) -> None:
    answer = ask(
        application(bridge),
        "POST",
        "transition-requests/create",
        MOVE,
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert (answer.status_code, bridge.asked) == (403, [])


def test_an_answer_that_nobody_understands_does_not_end_the_hints(bridge) -> None:
    app = application(bridge)
    bridge.answers["/api/v1/hints"] = {
        "guards": [{"gate": "x", "models": [], "to_stages": [], "aliases": ["("]}]
    }
    tag = {"name": "m", "key": "k", "value": "v"}
    for number in (1, 2):
        app.test_client().post("/registered-models/set-tag", json=tag)
        wait_until(lambda number=number: len(bridge.to("/api/v1/hints")) == number)


def test_an_error_of_the_list_is_handed_on(bridge) -> None:
    bridge.status = 400
    assert ask(application(bridge, Users()), "GET", "registry-webhooks/list").status_code == 400


def test_a_list_leaves_out_what_the_user_does_not_manage(bridge) -> None:
    bridge.answers[f"{HERE}/registry-webhooks/list"] = {
        "webhooks": [{"id": "a", "model_name": "m"}, {"id": "b"}, {"id": "c", "model_name": "x"}],
        "next_page_token": "p",
    }
    found = ask(application(bridge, Users(manages=["m"])), "GET", "registry-webhooks/list").json
    assert ([one["id"] for one in found["webhooks"]], found["next_page_token"]) == (["a"], "p")
    found = ask(application(bridge, Users(is_admin=True)), "GET", "registry-webhooks/list").json
    assert len(found["webhooks"]) == 3


def test_mlflows_validators_are_asked_about_the_model_in_question(monkeypatch) -> None:
    from flask import request

    def of_model() -> bool:
        return request.json["name"] == "m" and request.headers["Authorization"] == "Basic x"

    auth = SimpleNamespace(
        sender_is_admin=lambda: False,
        validate_can_read_registered_model=of_model,
        validate_can_manage_registered_model=of_model,
        authenticate_request=lambda: SimpleNamespace(username="ann"),
    )
    monkeypatch.setitem(sys.modules, "mlflow.server.auth", auth)
    monkeypatch.setattr("mlflow.server.auth", auth, raising=False)
    users, app = MlflowUsers(), Flask(__name__)
    with app.test_request_context(
        "/", method="DELETE", json={"name": "x"}, headers={"Authorization": "Basic x"}
    ):
        assert (users.name(), users.is_admin()) == ("ann", False)
        assert (users.may_read("m"), users.may_manage("m"), users.may_manage("x")) == (True, True, False)
