"""Several bridges over one state in PostgreSQL: one works, and another takes over when it is gone, stopped or cut off."""

import random
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psycopg
import pytest
from cryptography.fernet import Fernet
from support.command import Bridge, http_sink, only, stop
from support.receiver import Answer, Got, Receiver, free_port
from support.replicas import LEASE_S, Place, owner_of, places
from support.until import wait_until

pytestmark = pytest.mark.filterwarnings("ignore")

STAGES = ("None", "Staging", "Production", "Archived")


class Judge(Receiver):
    """Says yes, mostly; ``taken`` is what it said yes to."""

    def __init__(self) -> None:
        self.taken: list[Got] = []
        self._chance = random.Random(7)  # noqa: S311
        super().__init__(self._judge)

    def _judge(self, got: Got) -> Answer:
        if self._chance.random() < 0.1:
            return Answer(503)
        self.taken.append(got)
        return Answer(204, delay=0.05)


@contextmanager
def mutations(client, models: list[str]) -> Iterator[None]:
    end = threading.Event()

    def mutate() -> None:
        chance = random.Random(9)  # noqa: S311
        while not end.wait(0.1):
            client.transition_model_version_stage(chance.choice(models), "1", chance.choice(STAGES))

    thread = threading.Thread(target=mutate)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def kill(place: Place) -> None:
    place.process.send_signal(signal.SIGKILL)


def stand_still(place: Place) -> None:
    place.process.send_signal(signal.SIGSTOP)


def cut_off(place: Place) -> None:
    place.wire.hang()


def lose_an_answer(place: Place) -> None:
    place.wire.lose_answer_to("swap AS")
    wait_until(place.wire.has_lost.is_set)
    kill(place)


def test_nothing_is_lost_or_out_of_order_whatever_becomes_of_the_owner(
    tmp_path, server, client, cluster
) -> None:
    models = [f"shared-{number}" for number in range(3)]
    for name in models:
        client.create_registered_model(name)
        client.create_model_version(name, "s3://b/x")
    receiver = Judge()
    sink = http_sink(receiver.url, more='models = ["shared-*"]')
    with places(tmp_path, cluster, server.url, sink, count=3) as hosts:
        hosts[0].bridge.wait_for_log("baseline.taken")
        with mutations(client, models):
            for fault in (kill, stand_still, cut_off, lose_an_answer, kill, stand_still):
                place = owner_of(hosts)
                seen = len(receiver.taken)
                fault(place)
                after = owner_of(hosts, besides=place)
                wait_until(lambda seen=seen: len(receiver.taken) > seen + 3)
                if fault is stand_still:
                    place.process.send_signal(signal.SIGCONT)
                elif fault is cut_off:
                    place.wire.mend()
                if place.process.poll() is not None:
                    place.restart()
                wait_until(lambda place=place: not place.owns)
                assert after.owns
        for name in models:
            client.transition_model_version_stage(name, "1", "None")
            client.transition_model_version_stage(name, "1", "Production")

        def all_arrived() -> bool:
            last = {got.body["model_name"]: got.body["to_stage"] for got in list(receiver.taken)}
            return last == dict.fromkeys(models, "Production")

        wait_until(all_arrived)
        (works,) = [one for one in hosts if one.owns]
        assert works.bridge.status()["sinks"][0]["dead"] == 0
    receiver.stop()

    stages: dict[str, str] = {}
    numbers: dict[str, int] = {}
    seen: set[str] = set()
    for got in receiver.taken:
        name, number = got.body["model_name"], int(got.headers["x-mlflow-bridge-sequence"])
        if got.delivery_id not in seen:
            assert got.body["from_stage"] == stages.get(name, "None"), "out of order, or lost"
            assert number > numbers.get(name, 0)
            stages[name], numbers[name] = got.body["to_stage"], number
        seen.add(got.delivery_id)


def test_a_bridge_that_is_told_to_stop_hands_over_at_once(tmp_path, server, cluster) -> None:
    with places(tmp_path, cluster, server.url, count=2, lease_s=300) as (first, second):
        first.bridge.wait_for_log("daemon.started")
        assert stop(first.process) == 0
        second.bridge.wait_for_log("daemon.started")


def test_commands_work_from_any_host_that_reaches_the_database(
    tmp_path, server, client, cluster, receiver
) -> None:
    sink = http_sink(receiver.url, more=only("asked-from-afar"))
    with places(tmp_path, cluster, server.url, sink, count=2) as (works, stands_by):
        works.bridge.wait_for_log("baseline.taken")
        assert stands_by.bridge.run("sinks", "pause", "ci").returncode == 0
        assert works.bridge.wait_for_log("sink.paused")
        client.create_registered_model("asked-from-afar")
        client.create_model_version("asked-from-afar", "s3://b/x")
        client.transition_model_version_stage("asked-from-afar", "1", "Production")
        wait_until(lambda: stands_by.bridge.status()["sinks"][0]["pending"] == 1)
        assert receiver.got == []
        assert stands_by.bridge.run("sinks", "resume", "ci").returncode == 0
        wait_until(lambda: len(receiver.got) == 1)

        again = stands_by.bridge.run("once")
        assert (again.returncode, "owns the state" in again.stderr) == (75, True)
        shown = stands_by.bridge.run("status").stdout
        assert "works" in shown
        assert "stands by" in shown
        members = stands_by.bridge.status()["replicas"]
        assert [one["is_owner"] for one in members] == [True, False]


def test_a_standby_answers_probes_and_metrics(tmp_path, server, cluster) -> None:
    ports = [free_port(), free_port()]
    state = f'schema = "s{uuid.uuid4().hex[:12]}"\nlease = "{LEASE_S}s"'
    with ExitStack() as stack:
        hosts = []
        for number, port in enumerate(ports):
            more = f'[server]\nlisten = "127.0.0.1:{port}"\n'
            host = Place(tmp_path / f"host-{number}", cluster, server.url, state, more=more)
            stack.callback(host.end)
            host.bridge.wait_for_log("daemon.started" if number == 0 else "replica.stands_by")
            hosts.append(host)
        hosts[1].bridge.wait_for_log("server.listening")
        asked = [f"http://127.0.0.1:{port}" for port in ports]
        assert httpx.get(f"{asked[1]}/livez").status_code == 200
        assert httpx.get(f"{asked[1]}/readyz").status_code == 200
        assert httpx.get(asked[1]).status_code == 503
        owners = [httpx.get(f"{one}/metrics").text for one in asked]
        assert "mlflow_bridge_is_owner 1.0" in owners[0]
        assert "mlflow_bridge_is_owner 0.0" in owners[1]
        assert "mlflow_bridge_outbox" not in owners[1]

        hosts[1].wire.hang()
        wait_until(lambda: _status(f"{asked[1]}/readyz") == 503)
        lives = []
        wait_until(lambda: lives.append(_status(f"{asked[1]}/livez")) or len(lives) > 3 * LEASE_S * 20)
        assert set(lives) == {
            200
        }  # the database is away for more than a lease: no reason to restart anything
        hosts[1].wire.mend()
        wait_until(lambda: _status(f"{asked[1]}/readyz") == 200)


def test_the_api_of_a_standby_answers_as_the_owners_does(tmp_path, server, client, cluster, receiver) -> None:
    ports = [free_port(), free_port()]
    state = f'schema = "s{uuid.uuid4().hex[:12]}"\nlease = "{LEASE_S}s"'
    key = Fernet.generate_key().decode()
    with ExitStack() as stack:
        hosts = []
        for number, port in enumerate(ports):
            more = (
                f'[server]\nlisten = "127.0.0.1:{port}"\n'
                '[[server.tokens]]\nname = "ci"\ntoken = { env = "CI_TOKEN" }\n'
                'may = ["read", "operate", "webhooks"]\n'
                '[webhooks]\nencryption_key = { env = "HOOK_KEY" }\nallowed_hosts = ["127.0.0.0/8"]\n'
            )
            environment = {"CI_TOKEN": "t" * 32, "HOOK_KEY": key}
            host = Place(
                tmp_path / f"host-{number}", cluster, server.url, state, more=more, environment=environment
            )
            stack.callback(host.end)
            host.bridge.wait_for_log("daemon.started" if number == 0 else "replica.stands_by")
            hosts.append(host)
        hosts[0].bridge.wait_for_log("baseline.taken")
        hosts[1].bridge.wait_for_log("server.listening")
        with httpx.Client(
            base_url=f"http://127.0.0.1:{ports[1]}",
            headers={"Authorization": f"Bearer {'t' * 32}"},
            timeout=60,
        ) as standby:
            assert httpx.get(f"http://127.0.0.1:{ports[1]}/api/v1/status").status_code == 401
            assert standby.get("/api/v1/status").json()["registry"]["uri"] == server.url
            missing = standby.get("/api/v1/events/none")
            assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
            assert standby.get("/api/v1/requests", params={"nonsense": 1}).status_code == 400
            made = standby.post(
                "/api/2.0/mlflow/registry-webhooks/create",
                json={
                    "model_name": "hooked-from-afar",
                    "events": ["MODEL_VERSION_TRANSITIONED_STAGE"],
                    "http_url_spec": {"url": f"{receiver.url}/hook", "secret": "of-the-webhook"},
                },
            )
            assert made.status_code == 200, made.text
            client.create_registered_model("hooked-from-afar")
            client.create_model_version("hooked-from-afar", "s3://b/x")
            client.transition_model_version_stage("hooked-from-afar", "1", "Production")
            assert standby.post("/api/v1/polls").status_code == 200
            wait_until(lambda: receiver.got)
            assert "of-the-webhook" not in repr(
                execute(cluster, hosts[0], "SELECT * FROM {schema}.documents")
            )


def execute(cluster, place: Place, statement: str) -> list[tuple]:
    schema = place.bridge.config.read_text().partition('schema = "')[2].partition('"')[0]
    with psycopg.connect(cluster.state_url("states")) as connection:
        return connection.execute(statement.format(schema=schema)).fetchall()


def _status(url: str) -> int:
    try:
        return httpx.get(url).status_code
    except httpx.TransportError:  # it joins again
        return 0


def test_a_state_moves_to_a_database_and_back_and_goes_on(
    tmp_path, server, client, cluster, receiver
) -> None:
    client.create_registered_model("moving")
    client.create_model_version("moving", "s3://b/x")
    bridge = Bridge(tmp_path / "host", server.url, http_sink(receiver.url, more=only("moving")))
    assert bridge.run("once").returncode == 0
    client.transition_model_version_stage("moving", "1", "Staging")
    assert bridge.run("once").returncode == 0
    there = cluster.state_url("states")
    schema = f"s{uuid.uuid4().hex[:12]}"
    bridge.write(server.url, http_sink(receiver.url, more=only("moving")), state=f'schema = "{schema}"')

    moved = bridge.run("state", "copy", f"tinydb:{bridge.folder}/state", there)
    assert moved.returncode == 0, moved.stderr
    refused = bridge.run("once")
    assert (refused.returncode, "goes on there" in refused.stderr) == (78, True)
    assert bridge.run("state", "copy", f"tinydb:{bridge.folder}/state", there).returncode == 1

    bridge.write(
        server.url,
        http_sink(receiver.url, more=only("moving")),
        state=f'url = "{there}"\nschema = "{schema}"',
    )
    client.transition_model_version_stage("moving", "1", "Production")
    assert bridge.run("once").returncode == 0
    assert bridge.run("state", "copy", there, f"tinydb:{bridge.folder}/state").returncode == 0
    bridge.write(
        server.url,
        http_sink(receiver.url, more=only("moving")),
        state=f'url = "tinydb:{bridge.folder}/state"',
    )
    client.transition_model_version_stage("moving", "1", "Archived")
    assert bridge.run("once").returncode == 0
    assert [got.body["to_stage"] for got in receiver.got] == ["Staging", "Production", "Archived"]
    numbers = [int(got.headers["x-mlflow-bridge-sequence"]) for got in receiver.got]
    assert numbers == sorted(set(numbers))
