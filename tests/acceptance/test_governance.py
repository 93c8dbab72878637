"""Transition requests and gates: a real registry, the real daemon, and the service of the ordering document."""

import http.client
import json
import os
import random
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.command import http_sink, stop
from support.front import Front
from support.governed import ACCURACY, REQUESTS, TOKENS, Governed, version_with
from support.promotion_service import HOOK, Hook
from support.receiver import is_listening
from support.until import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")

CLIENTS = Path(__file__).parents[2] / ".venv" / "databricks"
EVERYTHING = """events = ["MODEL_VERSION_TRANSITIONED_STAGE", "TRANSITION_REQUEST_CREATED", "TRANSITION_REQUEST_APPROVED",
"TRANSITION_REQUEST_REJECTED", "TRANSITION_REQUEST_CANCELLED", "TRANSITION_REQUEST_EXPIRED", "GATE_FAILED"]"""


def _stage(client, model: str, version: str) -> str:
    return client.get_model_version(model, version).current_stage


def test_the_service_of_the_ordering_document_decides_by_the_metric_also_after_it_was_killed(
    tmp_path, server, client, model
) -> None:
    good, bad, unknown, late = (
        version_with(client, model, **metrics)
        for metrics in (
            {"validation_accuracy": 0.95},
            {"validation_accuracy": 0.80},
            {},
            {"validation_accuracy": 0.91},
        )
    )
    governed = Governed(tmp_path, server.url)
    front = Front(server.url, governed.url)
    hook = Hook(front.url, governed.bridge.environment)
    try:
        with governed.bridge.running() as daemon:
            governed.bridge.wait_for_log("baseline.taken")
            hook.start()
            given = {
                "model_name": model,
                "events": ["MODEL_VERSION_TRANSITIONED_STAGE"],
                "http_url_spec": {"url": f"http://127.0.0.1:{hook.port}/mlflow-governance-hook"},
            }
            assert governed.ask("POST", "/api/2.0/mlflow/registry-webhooks/create", given)[0] == 200
            asked = [governed.request(model, version) for version in (good, bad, unknown)]
            wait_until(lambda: _stage(client, model, good) == "Production")
            wait_until(lambda: governed.shown(asked[1])["status"] == "rejected")
            wait_until(lambda: governed.shown(asked[2])["status"] == "rejected")
            hook.kill()
            asked.append(governed.request(model, late))
            governed.bridge.wait_for_log("delivery.retry")
            hook.start()
            wait_until(lambda: _stage(client, model, late) == "Production")
            wait_until(lambda: governed.shown(asked[3])["event_id"])
            shown = [governed.shown(one) for one in asked]
            assert stop(daemon) == 0
    finally:
        hook.kill()
        front.stop()

    assert [one["status"] for one in shown] == ["applied", "rejected", "rejected", "applied"]
    assert [one["decided_by"] for one in shown] == ["decider"] * 4
    assert shown[1]["decision_comment"] == "Automated rejection: 0.8 is below 0.9"
    assert _stage(client, model, bad) == _stage(client, model, unknown) == "None"


def test_a_gate_decides_and_every_sink_hears_of_it_in_order(
    tmp_path, server, client, model, receiver
) -> None:
    good = version_with(client, model, validation_accuracy=0.95)
    bad = version_with(client, model, validation_accuracy=0.80)
    sink = http_sink(receiver.url, more=f'{EVERYTHING}\nmodels = ["{model}"]')
    governed = Governed(tmp_path, server.url, sink, more=ACCURACY)
    with governed.bridge.running():
        governed.bridge.wait_for_log("baseline.taken")
        rejected, approved = governed.request(model, bad), governed.request(model, good)
        wait_until(lambda: governed.shown(rejected)["status"] == "rejected")
        wait_until(lambda: governed.shown(approved)["event_id"])
        wait_until(lambda: len(receiver.got) == 6)
        shown = governed.shown(rejected)
        repeated = governed.decide("approve", approved)
        opposite = governed.decide("reject", approved)
        late = governed.decide("approve", rejected)

    assert _stage(client, model, good) == "Production"
    assert _stage(client, model, bad) == "None"
    (verdict,) = shown["verdicts"]
    assert (verdict["verdict"], verdict["reasons"]) == ("failed", ["accuracy: below 0.90"])
    assert verdict["values"] == {"run.metrics.validation_accuracy": 0.8}
    told = [got.body for got in receiver.got]
    by_request = [
        [one["event"] for one in told if one["transition_request_id"] == asked]
        for asked in (rejected, approved)
    ]
    assert by_request == [
        ["TRANSITION_REQUEST_CREATED", "GATE_FAILED", "TRANSITION_REQUEST_REJECTED"],
        [
            "TRANSITION_REQUEST_CREATED",
            "TRANSITION_REQUEST_APPROVED",
            "MODEL_VERSION_TRANSITIONED_STAGE",
        ],
    ]
    (transition,) = [one for one in told if one["event"] == "MODEL_VERSION_TRANSITIONED_STAGE"]
    assert (transition["user_id"], transition["to_stage"]) == ("gate quality", "Production")
    assert (repeated[0], opposite[0], opposite[1]["error_code"]) == (200, 400, "INVALID_STATE")
    assert (late[0], late[1]["error_code"]) == (400, "INVALID_STATE")


def test_people_decide_and_nobody_on_their_own_request(tmp_path, server, client, model) -> None:
    governed = Governed(tmp_path, server.url)
    with governed.bridge.running():
        governed.bridge.wait_for_log("baseline.taken")
        asked = governed.request(model, "1", "admin", comment="please")
        assert governed.request(model, "1", "admin", comment="again") == asked
        own = governed.decide("approve", asked, "admin")
        may_not = governed.decide("approve", asked, "asker")
        listed = governed.ask("GET", f"{REQUESTS}/list", {"name": model, "version": 1})[1]["requests"]
        by_name = {"name": model, "version": "1", "stage": "production", "archive_existing_versions": "true"}
        done = governed.ask("POST", f"{REQUESTS}/approve", by_name, "decider")
        wait_until(lambda: _stage(client, model, "1") == "Production")
        wait_until(lambda: governed.shown(asked)["event_id"])
        shown = governed.shown(asked)

    assert (own[0], own[1]["error_code"]) == (403, "PERMISSION_DENIED")
    assert "nobody decides on their own request" in own[1]["message"]
    assert may_not[0] == 403
    assert [one["id"] for one in listed] == [asked]
    assert done[0] == 200
    assert done[1]["activity"]["activity_type"] == "APPROVED_REQUEST"
    assert (shown["status"], shown["decided_by"], shown["comment"]) == ("applied", "decider", "please")


def test_commands_ask_try_and_decide_with_and_without_a_daemon(tmp_path, server, client, model) -> None:
    version = version_with(client, model, validation_accuracy=0.8)
    gate = ACCURACY + "\n[governance]\nself_approval = true\n"
    governed = Governed(tmp_path, server.url, more=gate.replace('"Production"', '"Staging"'))
    assert governed.bridge.run("once").returncode == 0

    tried = governed.bridge.run("gates", "check", model, version, "staging")
    alone = governed.bridge.run("requests", "create", model, version, "@champion", "--comment", "good")
    request = alone.stdout.split()[-1]
    governed.bridge.run("requests", "approve", request[:12], "--comment", "yes")
    shown = governed.bridge.run("requests", "show", request).stdout
    with governed.bridge.running():
        beside = governed.bridge.run("requests", "create", model, version, "Staging", "--output", "json")
        made = json.loads(beside.stdout)["request"]["id"]
        wait_until(lambda: governed.shown(made)["status"] == "rejected")
        listed = governed.bridge.run("requests", "list", "--all").stdout

    assert (tried.returncode, tried.stdout.splitlines()[:2]) == (
        1,
        ["quality: failed", "  accuracy: below 0.90"],
    )
    assert client.get_model_version_by_alias(model, "champion").version == version
    assert "applied" in shown
    assert ("rejected" in listed, "quality: failed" in listed) == (True, True)


ENFORCED = ACCURACY.replace('name = "quality"', 'name = "quality"\nmode = "enforce"\naliases = ["champion"]')


def test_a_direct_promotion_that_fails_an_enforcing_gate_is_undone_and_no_sink_hears_of_it(
    tmp_path, server, client, model, receiver
) -> None:
    before = [version_with(client, model, validation_accuracy=0.95) for _ in range(3)]
    for version in before:
        client.transition_model_version_stage(model, version, "Production")
    bad = version_with(client, model, validation_accuracy=0.80)
    sink = http_sink(
        receiver.url,
        more='events = ["MODEL_VERSION_TRANSITIONED_STAGE", "TRANSITION_REVERTED", "GATE_FAILED", "MODEL_VERSION_CREATED"]'
        f'\nmodels = ["{model}"]',
    )
    governed = Governed(tmp_path, server.url, sink, more=ENFORCED, poll="1s")
    with governed.bridge.running():
        governed.bridge.wait_for_log("baseline.taken")
        client.transition_model_version_stage(model, bad, "Production", archive_existing_versions=True)
        governed.bridge.wait_for_log("transition.reverted")
        stages = {version: _stage(client, model, version) for version in (*before, bad)}
        good = version_with(client, model, validation_accuracy=0.91)
        client.transition_model_version_stage(model, good, "Production", archive_existing_versions=True)
        wait_until(lambda: len(receiver.got) >= 7)
        trail = governed.bridge.run("events", "list", "--model", model, "--output", "json").stdout

    assert stages == {**dict.fromkeys(before, "Production"), bad: "None"}
    told = [(got.body["event"], got.body.get("model_version")) for got in receiver.got]
    assert told[:2] == [("GATE_FAILED", bad), ("TRANSITION_REVERTED", bad)]
    assert ("MODEL_VERSION_CREATED", good) == told[2]
    assert sorted(told[3:6]) == [("MODEL_VERSION_TRANSITIONED_STAGE", one) for one in before]
    assert told[6] == ("MODEL_VERSION_TRANSITIONED_STAGE", good)
    assert _stage(client, model, good) == "Production"
    notes = [one["kind"] for one in json.loads(trail)["notes"]]
    assert notes == ["transition_refused", "transition_reverted"]


def test_an_alias_that_was_moved_past_its_gate_goes_back(tmp_path, server, client, model, receiver) -> None:
    good = version_with(client, model, validation_accuracy=0.95)
    bad = version_with(client, model, validation_accuracy=0.80)
    client.set_registered_model_alias(model, "champion", good)
    sink = http_sink(receiver.url, more=f'events = ["MODEL_VERSION_ALIAS_SET"]\nmodels = ["{model}"]')
    governed = Governed(tmp_path, server.url, sink, more=ENFORCED)
    with governed.bridge.running():
        governed.bridge.wait_for_log("baseline.taken")
        client.set_registered_model_alias(model, "champion", bad)
        governed.bridge.wait_for_log("transition.reverted")
        assert client.get_model_version_by_alias(model, "champion").version == good
        client.set_registered_model_alias(model, "other", bad)
        wait_until(lambda: receiver.got)

    assert [(got.body["alias"], got.body["model_version"]) for got in receiver.got] == [("other", bad)]


def test_what_was_granted_is_no_direct_transition(tmp_path, server, client, model, receiver) -> None:
    good = version_with(client, model, validation_accuracy=0.95)
    governed = Governed(
        tmp_path, server.url, http_sink(receiver.url, more=f'models = ["{model}"]'), more=ENFORCED
    )
    with governed.bridge.running():
        governed.bridge.wait_for_log("baseline.taken")
        governed.request(model, good)
        wait_until(lambda: receiver.got)

    assert receiver.got[0].body["user_id"] == "gate quality"
    assert not [line for line in governed.bridge.log if line["event"].startswith("transition.")]


def test_a_tag_in_mlflow_makes_a_request_and_verdicts_are_tags_where_that_is_asked_for(
    tmp_path, server, client, model
) -> None:
    good = version_with(client, model, validation_accuracy=0.95)
    bad = version_with(client, model, validation_accuracy=0.85)
    gate = ACCURACY.replace("to_stages", f'models = ["{model}"]\nto_stages')
    governed = Governed(tmp_path, server.url, more=f"[governance]\ntags = true\n{gate}")
    with governed.bridge.running():
        governed.bridge.wait_for_log("baseline.taken")
        client.set_model_version_tag(model, bad, "mlflow_bridge.request", "production")
        client.set_model_version_tag(model, good, "mlflow_bridge.request", "Production")
        client.set_model_version_tag(model, "1", "mlflow_bridge.request", "Produktion")
        wait_until(lambda: _stage(client, model, good) == "Production")
        governed.bridge.wait_for_log("request.rejected")
        governed.bridge.wait_for_log("request.refused")
        tag = "mlflow_bridge.gate.quality"
        wait_until(lambda: tag in client.get_model_version(model, bad).tags)
        tags = client.get_model_version(model, bad).tags
        listed = governed.ask("GET", f"/api/v1/requests?model={model}")[1]["requests"]

    assert tags[tag] == "failed; accuracy: below 0.90"
    assert {(one["version"], one["status"], one["creator"]) for one in listed} == {
        (good, "applied", "tag"),
        (bad, "rejected", "tag"),
    }


@pytest.mark.extra
def test_databricks_sdk_makes_and_decides_requests_unchanged(tmp_path, server, client) -> None:
    client.create_registered_model("asked")
    for _ in range(2):
        version_with(client, "asked", validation_accuracy=0.95)
    governed = Governed(tmp_path, server.url)
    with governed.bridge.running():
        governed.bridge.wait_for_log("baseline.taken")
        program = [
            CLIENTS / "bin" / "python",
            "-P",
            HOOK.with_name("databricks_clients.py"),
            "requests",
            governed.url,
            TOKENS["admin"],
            TOKENS["decider"],
        ]
        environment = {"PATH": governed.bridge.environment["PATH"], "HOME": str(tmp_path)}
        done = subprocess.run(program, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        wait_until(lambda: _stage(client, "asked", "1") == "Production")

    assert found["made"]["request"]["to_stage"] == "Production"
    assert found["listed"][0]["user_id"] == "admin"
    assert "nobody decides on their own request" in found["refused"]
    assert found["approved"]["activity"]["activity_type"] == "APPROVED_REQUEST"
    assert found["rejected"]["activity"]["comment"] == "no"
    assert "was rejected by decider" in found["opposite"]
    assert found["deleted"]["activity"]["activity_type"] == "CANCELLED_REQUEST"
    assert found["left"] == []


@pytest.mark.extra
def test_whoever_promotes_at_random_only_what_passed_is_in_production_in_the_end(
    tmp_path, server, client
) -> None:
    """Writers promote directly, one asks: `GOVERNANCE_RACE_S` says how long, in seconds."""
    seconds = float(os.environ.get("GOVERNANCE_RACE_S", "8"))
    names = [f"race-{number}" for number in range(20 if seconds > 60 else 4)]
    good: dict[str, set[str]] = {}
    for name in names:
        client.create_registered_model(name)
        made = {version_with(client, name, validation_accuracy=one): one for one in (0.95, 0.8, 0.97, 0.5)}
        good[name] = {version for version, one in made.items() if one >= 0.9}
        client.transition_model_version_stage(name, "1", "Production")
    limit = "[governance]\nmost_reverts = 1000\n"
    gate = ENFORCED.replace("to_stages", 'models = ["race-*"]\nto_stages')
    governed = Governed(tmp_path, server.url, more=limit + gate, poll="1s")
    with governed.bridge.running():
        governed.bridge.wait_for_log("baseline.taken")
        writers = [threading.Thread(target=_promote, args=(server.url, names, seconds, n)) for n in range(4)]
        asker = threading.Thread(target=_ask, args=(governed, names, seconds))
        for each in (*writers, asker):
            each.start()
        for each in (*writers, asker):
            each.join()
        wait_until(lambda: all(_is_governed(client, name, good[name]) for name in names))
        governed.bridge.run("once")  # refused beside a daemon: nothing changes
        assert all(_is_governed(client, name, good[name]) for name in names)

    assert not [line for line in governed.bridge.log if line["event"].endswith(".fault")]
    assert [line for line in governed.bridge.log if line["event"] == "transition.reverted"]


def _promote(url: str, names: list[str], seconds: float, seed: int) -> None:
    from mlflow import MlflowClient

    dice, client, end = random.Random(seed), MlflowClient(url), time.monotonic() + seconds  # noqa: S311
    while time.monotonic() < end:
        stage = dice.choice(("Production", "Production", "Staging", "Archived", "None"))
        archives = stage == "Production" and dice.random() < 0.5
        client.transition_model_version_stage(
            dice.choice(names), str(dice.randint(1, 4)), stage, archive_existing_versions=archives
        )
        time.sleep(dice.uniform(0.05, 0.6))


def _ask(governed: Governed, names: list[str], seconds: float) -> None:
    dice, end = random.Random(9), time.monotonic() + seconds  # noqa: S311
    while time.monotonic() < end:
        given = {"name": dice.choice(names), "version": str(dice.randint(1, 4)), "stage": "Production"}
        governed.ask("POST", f"{REQUESTS}/create", given, "asker")
        time.sleep(dice.uniform(0.1, 0.5))


def _is_governed(client, name: str, good: set[str]) -> bool:
    versions = client.search_model_versions(f"name = '{name}'")
    return {one.version for one in versions if one.current_stage == "Production"} <= good


@pytest.mark.extra
def test_kills_at_any_moment_make_nothing_twice_forget_nothing_and_let_nothing_past_the_gate(
    tmp_path, server, client, receiver
) -> None:
    dice = random.Random(7)  # noqa: S311
    names = [f"killed-{number}" for number in range(4)]
    good: dict[str, set[str]] = {}
    for name in names:
        client.create_registered_model(name)
        made = {version_with(client, name, validation_accuracy=one): one for one in (0.95, 0.8, 0.97, 0.99)}
        good[name] = {version for version, one in made.items() if one >= 0.9}
        client.transition_model_version_stage(name, "1", "Production")
    gate = ENFORCED.replace("to_stages", 'models = ["killed-*"]\nto_stages')
    sink = http_sink(receiver.url, more='models = ["killed-*"]')
    limits = "[governance]\nmost_reverts = 1000\n"
    governed = Governed(tmp_path, server.url, sink, more=limits + gate, poll="300ms")
    stopping = threading.Event()
    writers = [
        threading.Thread(target=_write_until, args=(stopping, lambda: _promote_once(client, names, dice))),
        threading.Thread(target=_write_until, args=(stopping, lambda: _ask_once(governed, names, dice))),
    ]
    with governed.bridge.running():
        governed.bridge.wait_for_log("baseline.taken")
    for each in writers:
        each.start()
    for _ in range(int(os.environ.get("GOVERNANCE_KILLS", "10"))):
        with governed.bridge.running():
            time.sleep(dice.uniform(0.2, 2.5))
    stopping.set()
    for each in writers:
        each.join()
    with governed.bridge.running():
        wait_until(lambda: is_listening(governed.port))
        wait_until(lambda: all(_is_governed(client, name, good[name]) for name in names))
        wait_until(lambda: not _open_ones(governed))
        wait_until(lambda: all(one["pending"] == 0 for one in governed.bridge.status()["sinks"]))
        found = governed.ask("GET", "/api/v1/requests?limit=500")[1]["requests"]

    refused = [
        got.body
        for got in receiver.got
        if got.body["to_stage"] == "Production"
        and got.body["model_version"] not in good[got.body["model_name"]]
    ]
    assert refused == []
    used = [one["event_id"] for one in found if one["event_id"]]
    assert len(used) == len(set(used)) > 0
    assert {one["status"] for one in found} <= {"applied", "rejected", "cancelled", "failed"}
    assert {one["version"] for one in found if one["status"] == "rejected"} <= {"2"}


def _open_ones(governed: Governed) -> list:
    return [
        one
        for status in ("pending", "approved")
        for one in governed.ask("GET", f"/api/v1/requests?status={status}")[1]["requests"]
    ]


def _write_until(stopping: threading.Event, write) -> None:
    while not stopping.is_set():
        write()
        time.sleep(0.2)


def _promote_once(client, names: list[str], dice: random.Random) -> None:
    stage = dice.choice(("Production", "Production", "Staging", "None"))
    archives = stage == "Production" and dice.random() < 0.5
    client.transition_model_version_stage(
        dice.choice(names), str(dice.randint(1, 4)), stage, archive_existing_versions=archives
    )


def _ask_once(governed: Governed, names: list[str], dice: random.Random) -> None:
    given = {"name": dice.choice(names), "version": str(dice.randint(1, 4)), "stage": "Production"}
    with suppress(OSError, http.client.HTTPException, ValueError):  # the daemon is being killed
        governed.ask("POST", f"{REQUESTS}/create", given, "asker")
