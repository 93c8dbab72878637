"""The other commands, as their users start them; and all the ways they can be misused."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from support.command import Bridge, http_sink, only
from support.done import done
from support.patience import patience
from support.receiver import Answer, Receiver, free_port

from bridge.store.document_state import DocumentState
from bridge.store.tinydb_store import TinyDocuments

pytestmark = pytest.mark.filterwarnings("ignore")


MISSING_SECRET = (
    "mlflow-bridge: sinks[0].secret: environment variable CI_SECRET is not set: "
    "set it in the bridge's environment\n"
)


def test_once_as_cron_runs_it_again_and_again(tmp_path, server, client, model, receiver) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    stages = ("Staging", "Production", "Archived")
    for stage in (None, *stages):
        if stage:
            client.transition_model_version_stage(model, "1", stage)
        for _ in range(2 if stage == "Staging" else 1):
            done = bridge.run("once", "--deadline", "60s")
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    assert [got.body["to_stage"] for got in receiver.got] == list(stages)


def test_once_says_what_waits_and_exits_74_until_it_is_delivered(tmp_path, server, client, model) -> None:
    port = free_port()
    bridge = Bridge(tmp_path, server.url, http_sink(f"http://127.0.0.1:{port}", more=only(model)))
    bridge.run("once")
    client.transition_model_version_stage(model, "1", "Staging")

    first = bridge.run("once")
    assert (first.returncode, "1 entry is still waiting" in first.stderr) == (74, True)
    assert (
        "Connection refused" in bridge.run("status").stdout
        or "connection attempts failed" in bridge.run("status").stdout
    )
    receiver = Receiver(port=port)
    time.sleep(2.1)
    assert bridge.run("once", "-v").stdout == "0 new entries, 1 delivered, 0 waiting\n"
    receiver.stop()


def test_once_delivers_also_when_the_registry_is_down(tmp_path, server, client, model, receiver) -> None:
    url = server.url
    sink = http_sink(receiver.url, more=only(model))
    receiver.answer = Answer(500)
    bridge = Bridge(tmp_path, url, sink)
    bridge.run("once")
    client.transition_model_version_stage(model, "1", "Staging")
    assert bridge.run("once").returncode == 74
    receiver.answer = Answer(204)
    time.sleep(2.1)
    bridge.write(url, sink, poll='deadline = "1ms"')

    down = bridge.run("once")

    assert (down.returncode, bridge.status()["sinks"][0]["delivered"]) == (69, 1)
    assert "in time" in down.stderr
    assert bridge.status()["last_poll"]["outcome"] == "failed"


def test_a_deadline_bounds_the_whole_run_and_is_recorded(tmp_path, server) -> None:
    bridge = Bridge(tmp_path, server.url)

    done = bridge.run("once", "--deadline", "1ms")

    assert (done.returncode, "in time" in done.stderr) == (69, True)
    assert bridge.status()["last_poll"]["outcome"] == "failed"


def test_diff_shows_what_would_be_emitted_and_changes_nothing(
    tmp_path, server, client, model, receiver
) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    assert "no baseline yet" in bridge.run("diff").stdout
    assert not (tmp_path / "state").exists()
    bridge.run("once")
    client.transition_model_version_stage(model, "1", "Staging")

    table = bridge.run("diff").stdout
    document = json.loads(bridge.run("diff", "--output", "json").stdout)
    (event,) = [one for one in document["events"] if one["model_name"] == model]
    bridge.run("once")

    assert list(document) == ["first_poll", "held", "events"]
    assert "None → Staging" in table
    assert (event["sinks"], event["changed"]["to_stage"]) == (["ci"], "Staging")
    assert receiver.got[0].delivery_id == event["id"]
    assert "nothing: the registry is as it was last observed" in bridge.run("diff").stdout


def test_status_without_a_state_and_with_one(tmp_path, server, client, model, receiver) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url))
    before = bridge.run("status")
    assert (before.returncode, "none yet: the first poll takes it" in before.stdout) == (0, True)
    bridge.run("once")

    status = bridge.status()
    assert status["registry"]["uri"] == status["registry"]["state_is_bound_to"] == server.url
    assert status["last_poll"]["outcome"] == "ok"
    assert status["snapshot"]["models"] >= 1
    assert status["registry"]["server"].startswith("MLflow 3.")
    assert (status["registry"]["lacks"], status["held"]) == ([], None)
    assert (status["full_scan"]["went_well"], status["full_scan"]["is_slowed_by_share"]) == (True, False)
    table = bridge.run("status").stdout
    assert "full scan" in table
    assert "every " in table
    assert [(sink["name"], sink["condition"], sink["pending"]) for sink in status["sinks"]] == [
        ("ci", "running", 0)
    ]


def test_an_orphaned_sink_is_shown_and_counts_in_no_exit_code(tmp_path, server, client, model) -> None:
    dead = http_sink(f"http://127.0.0.1:{free_port()}", "old", only(model))
    bridge = Bridge(tmp_path, server.url, dead)
    bridge.run("once")
    client.transition_model_version_stage(model, "1", "Staging")
    assert bridge.run("once").returncode == 74
    bridge.write(server.url)

    assert bridge.run("once").returncode == 0
    assert [(sink["name"], sink["condition"], sink["pending"]) for sink in bridge.status()["sinks"]] == [
        ("old", "orphaned", 1)
    ]


def test_check_says_ok_and_with_connect_asks_everything(tmp_path, server, receiver) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url))

    assert bridge.run("check").stdout == f"{bridge.config}: ok, 1 sink\n"
    connected = bridge.run("check", "--connect")
    assert (connected.returncode, f"{server.url}: answers" in connected.stdout) == (0, True)
    bridge.environment.pop("CI_SECRET")
    missing = bridge.run("check", "--connect")
    assert (missing.returncode, missing.stderr) == (
        78,
        MISSING_SECRET,
    )


def test_rebaseline_silences_what_happened(tmp_path, server, client, model, receiver) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    bridge.run("once")
    client.transition_model_version_stage(model, "1", "Staging")

    assert "emitted nothing" in bridge.run("state", "rebaseline").stdout
    assert (bridge.run("once").returncode, receiver.got) == (0, [])


def test_a_moved_registry_is_refused_until_it_is_rebound(tmp_path, server, client, model) -> None:
    bridge = Bridge(tmp_path, server.url)
    bridge.run("once")
    moved = server.url.replace("127.0.0.1", "localhost")
    bridge.write(moved)

    for command in (["once"], ["run"], ["diff"], ["state", "rebaseline"]):
        refused = bridge.run(*command)
        assert (refused.returncode, "mlflow-bridge state rebind" in refused.stderr) == (78, True)
    assert bridge.run("state", "rebind").stdout == f"the state is bound to {moved}\n"
    assert bridge.run("once").returncode == 0


def test_another_registry_cannot_be_bound(tmp_path, server) -> None:
    bridge = Bridge(tmp_path, server.url)
    bridge.run("once")
    journal = tmp_path / "state" / "journal"
    bridge.write(server.url.replace("127.0.0.1", "localhost"))
    state = DocumentState(TinyDocuments.open(journal.parent))
    done(state.write_head(replace(state.head, fingerprint="12345")))
    state.close()

    refused = bridge.run("state", "rebind")

    assert (refused.returncode, "its database has another fingerprint" in refused.stderr) == (78, True)


def test_a_registry_with_another_fingerprint_is_bound_by_an_operators_word(
    tmp_path, server, client, model, receiver
) -> None:
    """As after `mlflow gc` of the Default experiment: everything but the fingerprint is the same."""
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    bridge.run("once")
    state = DocumentState(TinyDocuments.open(tmp_path / "state"))
    done(state.write_head(replace(state.head, fingerprint="1700000000000")))
    state.close()
    client.transition_model_version_stage(model, "1", "Production")

    polled, shown = bridge.run("once", "--full"), bridge.run("state", "rebind")
    accepted, after = bridge.run("state", "rebind", "--accept"), bridge.run("once", "--full")

    assert (polled.returncode, "known models that were asked for are there" in polled.stderr) == (78, True)
    assert "mlflow-bridge state rebind --accept" in polled.stderr
    assert (shown.returncode, f"same URL: {server.url}" in shown.stderr) == (78, True)
    assert "before 2023-11-14 22:13:20 UTC" in shown.stderr
    assert (accepted.returncode, f"the state is bound to {server.url}" in accepted.stdout) == (0, True)
    assert "other fingerprint: " in accepted.stdout
    assert (after.returncode, len(receiver.got)) == (0, 1), after.stderr


def test_a_storm_is_held_shown_and_accepted(tmp_path, server, client, model, receiver) -> None:
    poll = 'max_events = 1\ninterval = "1s"'
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)), poll=poll)
    client.create_model_version(model, "s3://b/y")
    bridge.run("once")
    for version in ("1", "2"):
        client.transition_model_version_stage(model, version, "Staging")

    held = bridge.run("once")
    assert (held.returncode, receiver.got) == (65, [])
    assert "poll.max_events = 1 allows: 2 for ci" in held.stderr
    assert "last poll  held, " in bridge.run("status").stdout
    assert bridge.run("once", "--accept-held").returncode == 0
    assert len(receiver.got) == 2


BAD = {
    "no file": (None, 78, "there is no such file"),
    "no toml": ("[registry", 78, "is not valid TOML"),
    "no registry": ("", 78, "registry.tracking_uri: is missing (or set MLFLOW_TRACKING_URI)"),
    "unknown key": ('[registry]\ntracking_uri = "http://h"\nurl = "x"', 78, "registry.url: unknown key"),
    "database": ('[registry]\ntracking_uri = "sqlite:///x.db"', 78, "is a database"),
    "down": ('[registry]\ntracking_uri = "http://127.0.0.1:1"', 69, "connection refused"),
    "no state": (
        '[registry]\ntracking_uri = "http://127.0.0.1:1"\n[state]\nurl = "tinydb:/proc/nope"',
        73,
        "the state folder /proc/nope cannot be made",
    ),
    "cron": ('[registry]\ntracking_uri = "http://h"\n[poll]\ncron = "99 * * * *"', 78, "poll.cron: "),
    "never": ('[registry]\ntracking_uri = "http://h"\n[poll]\ncron = "0 0 30 2 *"', 78, "never comes true"),
}


@pytest.mark.parametrize(("content", "code", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_sentence_and_the_right_code(tmp_path, content, code, message) -> None:
    bridge = Bridge(tmp_path, "http://h")
    bridge.environment.pop("MLFLOW_TRACKING_URI", None)
    if content is None:
        bridge.config.unlink()
    else:
        bridge.config.write_text(content)

    done = bridge.run("check" if "cron" in (content or "") else "once")

    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert (done.stderr.count("\n"), "Traceback" in done.stderr) == (1, False)


def test_a_missing_registry_password_names_its_key(tmp_path, server) -> None:
    bridge = Bridge(tmp_path, server.url)
    text = bridge.config.read_text().replace(
        "timeout", 'username = "u"\npassword = { env = "NO_SUCH" }\ntimeout', 1
    )
    bridge.config.write_text(text)

    done = bridge.run("once")

    assert done.returncode == 78
    assert "registry.password: environment variable NO_SUCH is not set" in done.stderr


def test_a_full_disk_exits_73_and_loses_nothing(tmp_path, server, client, model, receiver) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url, more=only(model)))
    bridge.run("once")
    client.transition_model_version_stage(model, "1", "Staging")
    journal = tmp_path / "state" / "journal"
    before = journal.read_bytes()

    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, len(before) + 100))

    bridge.environment = {name: value for name, value in bridge.environment.items() if "COVERAGE" not in name}
    done = bridge.run("once", preexec_fn=full)

    assert (done.returncode, done.stderr.count("\n")) == (73, 1)
    assert "nothing was changed: free space" in done.stderr
    assert (journal.read_bytes(), receiver.got) == (before, [])
    assert bridge.run("once").returncode == 0
    assert [got.body["to_stage"] for got in receiver.got] == ["Staging"]


def test_a_read_only_disk_exits_73_and_status_still_works(tmp_path, server) -> None:
    bridge = Bridge(tmp_path, server.url)
    bridge.run("once")
    state = tmp_path / "state"
    read_only = f'mount --bind {state} {state} && mount -o remount,bind,ro {state} && exec $0 "$@"'
    command = ["unshare", "--mount", "sh", "-c", read_only, sys.executable, "-m", "bridge"]
    codes = {}
    for name in ("once", "run", "status"):
        done = subprocess.run(
            [*command, name, "--config", str(bridge.config)], capture_output=True, text=True, check=False
        )
        if "unshare" in done.stderr or "mount:" in done.stderr:
            pytest.skip(f"no mount namespaces here: {done.stderr}")
        codes[name] = done.returncode
        assert done.stderr.count("\n") <= 1

    assert codes == {"once": 73, "run": 73, "status": 0}


def test_a_newer_state_exits_78(tmp_path, server) -> None:
    bridge = Bridge(tmp_path, server.url)
    from bridge.store.journal_records import Record, encode

    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "journal").write_bytes(encode(Record(0, format=2)))

    for command in ("once", "status", "diff"):
        done = bridge.run(command)
        assert (done.returncode, "use the version that wrote it" in done.stderr) == (78, True)


def test_usage_errors_exit_2_and_suggest() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "statsu"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, "Did you mean 'status'?" in done.stderr) == (2, True)


def test_a_bad_deadline_is_a_usage_error(tmp_path) -> None:
    done = Bridge(tmp_path, "http://h").run("once", "--deadline", "soon")

    assert (done.returncode, "must be a duration" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "command", ["", "run", "outbox", "sinks test"]
)  # all: tests/unit/cli/test_command_help.py
def test_every_command_explains_itself(command) -> None:
    arguments = command.split()
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *arguments, "--help"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout.startswith("Usage: mlflow-bridge")) == (0, True)


def test_what_does_not_poll_does_not_import_mlflow(tmp_path) -> None:
    bridge = Bridge(tmp_path, "http://h", http_sink("http://h"))
    program = (
        "import sys\nfrom bridge.cli import main\n"
        "sys.argv = ['mlflow-bridge', *sys.argv[1:]]\n"
        "try:\n    main()\nfinally:\n    print([m for m in ('mlflow', 'httpx', 'apscheduler') if m in sys.modules])\n"
    )
    for command in ("check", "status", "events list", "sinks list", "sinks test ci --dry-run"):
        done = subprocess.run(
            [sys.executable, "-c", program, *command.split(), "--config", str(bridge.config)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


def test_the_demo_shows_the_main_job_end_to_end() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "demo"],
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(),
        env={  # all of it is on this machine, and no registry of the environment is the demo's business
            **os.environ,
            "HTTP_PROXY": f"http://127.0.0.1:{free_port()}",
            "MLFLOW_REGISTRY_URI": f"http://127.0.0.1:{free_port()}",
        },
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("signature verified") == 6
    assert "rejected by gate quality: accuracy: below 0.90" in done.stdout
    assert "applied by gate quality: all checks passed" in done.stdout
    assert '"to_stage": "Archived"' in done.stdout
    assert '"event": "MODEL_VERSION_ALIAS_SET"' in done.stdout, "the webhook that is created at run time"
    assert "SIGNATURE WRONG" not in done.stdout


def test_the_demo_without_its_extra_is_one_sentence_naming_it() -> None:
    program = (
        "import sys, importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'sqlalchemy' else real(name, *rest)\n"
        "from bridge.cli import main\nsys.argv = ['mlflow-bridge', 'demo']\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == "mlflow-bridge: the demo needs a registry of its own: pip install 'mlflow-bridge[demo]'\n"
    )


def test_a_missing_secret_is_told_before_any_event_waits_for_it(tmp_path, server, receiver) -> None:
    bridge = Bridge(tmp_path, server.url, http_sink(receiver.url))
    del bridge.environment["CI_SECRET"]

    done = bridge.run("once")

    assert done.returncode == 0
    assert "sink.secret_unavailable" in done.stderr
    assert "environment variable CI_SECRET is not set" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_root_leaves_files_that_the_service_can_use(tmp_path, server) -> None:
    bridge = Bridge(tmp_path, server.url)
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 65534, 65534)

    assert bridge.run("once").returncode == 0
    assert {path.stat().st_uid for path in (tmp_path / "state").iterdir()} == {65534}
