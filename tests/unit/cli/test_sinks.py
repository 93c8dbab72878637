"""``sinks``: which there are, and whether they can be delivered to."""

import json
import uuid

import pytest
from support.command import github_sink, http_sink
from support.receiver import Answer, free_port
from support.values import commit, transition

SECRET = "s3cret-in-env"


@pytest.fixture(autouse=True)
def secrets(monkeypatch) -> None:
    monkeypatch.setenv("CI_SECRET", SECRET)
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret")


def test_sinks_are_listed_with_what_they_ask_for_and_what_waits(bridge) -> None:
    filters = 'events = ["MODEL_VERSION_ALIAS_SET", "model_version.created"]\nmodels = ["a*"]\n'
    bridge.configure(
        http_sink("https://h:8443/key", more=filters), github_sink("https://api.h", 'to_stages = ["Staging"]')
    )
    bridge.commit(commit(transition(1), sinks=("ci", "ci", "old")))

    done, raw = bridge.run("sinks", "list"), bridge.run("sinks", "list", "--output", "json")

    assert (done.code, raw.code) == (0, 0)
    assert [line.split("  ") for line in map(_squeezed, done.out.splitlines())] == [
        ["SINK", "TYPE", "CONDITION", "TO", "EVENTS", "MODELS", "TO STAGES", "PENDING", "DEAD"],
        [
            "ci",
            "http",
            "running",
            "https://h:8443",
            "MODEL_VERSION_ALIAS_SET, model_version.created",
            "a*",
            "all",
            "2",
            "0",
        ],
        [
            "deploy",
            "github_dispatch",
            "running",
            "https://api.h acme/deploy",
            "MODEL_VERSION_TRANSITIONED_STAGE",
            "all",
            "Staging",
            "0",
            "0",
        ],
        ["old", "-", "orphaned", "-", "-", "-", "-", "1", "0"],
    ]
    ci, _, old = json.loads(raw.out)["sinks"]
    assert (ci["models"], ci["to_stages"], ci["backlog"]) == (["a*"], [], {"pending": 2, "dead": 0})
    assert (old["condition"], old["type"], old["backlog"]["pending"]) == ("orphaned", None, 1)


def _squeezed(line: str) -> str:
    return "  ".join(part.strip() for part in line.split("  ") if part.strip())


def test_without_sinks_and_without_a_state_it_is_said(bridge) -> None:
    done = bridge.run("sinks", "list")

    assert (done.code, done.out.startswith("no sinks: nothing is delivered")) == (0, True)
    assert not (bridge.folder / "state").exists()


def test_a_trial_shows_exactly_what_was_sent_but_for_secrets(bridge, receiver) -> None:
    bridge.configure(github_sink(receiver.url))
    receiver.answer = Answer(503, body=b"no thanks for ghp_secret")

    done = bridge.run("sinks", "test", "deploy")

    (got,) = receiver.got
    assert done.code == 1
    head, body, answer, end = done.out.split("\n\n")
    assert head.splitlines()[0] == f"POST {receiver.url}/repos/acme/deploy/dispatches"
    assert "Authorization: Bearer ***" in head
    assert got.headers["authorization"] == "Bearer ghp_secret"
    assert body.encode() == got.raw
    assert got.body["client_payload"]["model_name"] == "mlflow-bridge-test"
    assert answer == "HTTP 503\nno thanks for ***"
    assert end.startswith("not delivered, a real event would be tried again: server_error: HTTP 503")
    for line in head.splitlines()[1:]:
        name, value = line.split(": ", 1)
        assert name == "Authorization" or got.headers[name.lower()] == value


def test_a_trial_is_signed_as_a_real_event_is_and_its_id_is_fresh(bridge, receiver) -> None:
    from bridge.events.delivery_signatures import mlflow_signature

    bridge.configure(http_sink(receiver.url))
    for _ in range(2):
        assert bridge.run("sinks", "test", "ci").code == 0

    first, second = receiver.got
    signed_at = int(first.headers["x-mlflow-timestamp"])
    assert first.headers["x-mlflow-signature"] == mlflow_signature(
        SECRET, first.delivery_id, signed_at, first.raw
    )
    assert uuid.UUID(first.delivery_id) != uuid.UUID(second.delivery_id)
    assert len(first.body) == 8


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (422, "not delivered, a real event would be dead at once: refused: HTTP 422"),
        (503, "not delivered, a real event would be tried again: server_error: HTTP 503"),
        (401, "not delivered, a real event would be tried again: misconfigured: HTTP 401"),
    ],
)
def test_a_trial_that_is_refused_exits_1_and_says_what_would_become_of_a_real_event(
    bridge, receiver, status, told
) -> None:
    bridge.configure(http_sink(receiver.url))
    receiver.answer = Answer(status, body=b"\x1b[2Jno: " + SECRET.encode())

    done = bridge.run("sinks", "test", "ci")
    raw = json.loads(bridge.run("sinks", "test", "ci", "--output", "json").out)

    assert (done.code, told in done.out) == (1, True), done.out
    assert SECRET not in done.out
    assert "\x1b" not in done.out
    (exchange,) = raw["exchanges"]
    assert (raw["sent"], exchange["answer"]["status"], exchange["request"]["method"]) == (
        True,
        status,
        "POST",
    )
    assert len(receiver.got) == 2


def test_a_receiver_that_is_not_there_is_no_answer(bridge) -> None:
    bridge.configure(http_sink(f"http://127.0.0.1:{free_port()}"))

    done, raw = bridge.run("sinks", "test", "ci"), bridge.run("sinks", "test", "ci", "--output", "json")

    assert (done.code, raw.code, "tried again: connect: " in done.out) == (1, 1, True)
    assert json.loads(raw.out)["exchanges"][0]["answer"] is None


def test_a_dry_run_shows_the_request_and_sends_nothing(bridge, receiver) -> None:
    bridge.configure(http_sink(receiver.url))

    done = bridge.run("sinks", "test", "ci", "--dry-run")
    raw = json.loads(bridge.run("sinks", "test", "ci", "--dry-run", "--output", "json").out)

    assert (done.code, receiver.got) == (0, [])
    assert done.out.startswith(f"POST {receiver.url}/hook\n")
    assert done.out.endswith("\n\ndry run: nothing was sent\n")
    assert (raw["sent"], raw["outcome"], len(raw["exchanges"])) == (False, None, 1)


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_without_its_secret_no_request_can_be_made(bridge, receiver, monkeypatch, more) -> None:
    monkeypatch.delenv("CI_SECRET")
    bridge.configure(http_sink(receiver.url))

    done = bridge.run("sinks", "test", "ci", *more)

    assert (done.code, receiver.got) == (1, [])
    assert done.out.startswith(
        "no request could be made: secret: sinks.ci.secret: environment variable CI_SECRET"
    )


def test_further_filters_are_listed_where_a_sink_has_any(bridge) -> None:
    filters = """
        from_stages = ["Staging"]
        aliases = ["canary-.+"]
        tags = { team = "fraud", release = "*" }
        when = "user_id != 'robot'"
    """
    bridge.configure(http_sink("https://h", more=filters), http_sink("https://h", "other"))
    bridge.commit()

    head, ci, other = bridge.run("sinks", "list").out.splitlines()
    one, two = json.loads(bridge.run("sinks", "list", "--output", "json").out)["sinks"]

    assert "FURTHER" in head
    assert (
        "from_stages: Staging; aliases: canary-.+; tags: team = fraud, release = *; when: user_id != 'robot'"
        in ci
    )
    assert "from_stages" not in other
    assert (one["aliases"], one["tags"]["team"], one["when"]) == (
        ["canary-.+"],
        "fraud",
        "user_id != 'robot'",
    )
    assert (two["from_stages"], two["when"]) == ([], None)


def test_the_type_is_the_first_that_the_sink_asks_for_unless_another_is_named(bridge, receiver) -> None:
    bridge.configure(
        http_sink(receiver.url, more='events = ["model_version_alias.created", "MODEL_VERSION_CREATED"]')
    )

    assert bridge.run("sinks", "test", "ci").err == ""
    named = bridge.run("sinks", "test", "ci", "--event", "MODEL_VERSION_CREATED")
    unasked = bridge.run("sinks", "test", "ci", "--event", "MODEL_VERSION_TRANSITIONED_TO_STAGING")

    assert (named.code, named.err, unasked.code) == (0, "", 0)
    assert "ci does not ask for MODEL_VERSION_TRANSITIONED_TO_STAGING" in unasked.err
    assert [got.body["event"] for got in receiver.got] == [
        "MODEL_VERSION_ALIAS_SET",
        "MODEL_VERSION_CREATED",
        "MODEL_VERSION_TRANSITIONED_TO_STAGING",
    ]


def test_a_trial_of_an_event_that_the_format_cannot_tell_of_says_which_formats_can(bridge, receiver) -> None:
    bridge.configure(http_sink(receiver.url, more='format = "databricks"\n'))

    done = bridge.run("sinks", "test", "ci", "--event", "REGISTERED_MODEL_RENAMED")

    assert (done.code, receiver.got) == (1, [])
    assert "no request could be made: misconfigured: the format 'databricks' cannot tell of" in done.out
    assert "mlflow, registry, standard, cloudevents, cloudevents-binary can" in done.out


@pytest.mark.parametrize(("form", "kind"), [("cloudevents", "cloudevents+json"), ("databricks", "json")])
def test_a_trial_is_in_the_format_of_the_sink(bridge, receiver, form, kind) -> None:
    bridge.configure(http_sink(receiver.url, more=f'format = "{form}"\n'))

    done = bridge.run("sinks", "test", "ci")

    (got,) = receiver.got
    assert (done.code, got.headers["content-type"]) == (0, f"application/{kind}")
    assert done.out.split("\n\n")[1].encode() == got.raw


def test_a_trial_leaves_the_state_alone(bridge, receiver) -> None:
    bridge.configure(http_sink(receiver.url))
    bridge.run("sinks", "test", "ci")
    assert not (bridge.folder / "state").exists()
    bridge.commit(commit(transition(1)))
    before = (bridge.folder / "state" / "journal").read_bytes()

    bridge.run("sinks", "test", "ci")

    assert (bridge.folder / "state" / "journal").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("cii",), 1, "no sink is called 'cii' (did you mean 'ci'?)"),
        (("elsewhere",), 1, "no sink is called 'elsewhere' (there are: ci)"),
        ((), 2, "Missing argument 'NAME'"),
        (("ci", "--event", "MODEL_VERSION_ALIAS_SETT"), 2, "did you mean 'MODEL_VERSION_ALIAS_SET'?"),
        (("ci", "--event", "held"), 2, "'held' is not the name of an event"),
    ],
)
def test_what_is_not_there_or_not_known_is_told(bridge, arguments, code, message) -> None:
    bridge.configure(http_sink("http://h"))

    done = bridge.run("sinks", "test", *arguments)

    assert (done.code, message in done.err) == (code, True), done.err


def test_a_sink_is_paused_and_resumed_and_its_standing_shows(bridge) -> None:
    bridge.configure(http_sink("https://h"))
    bridge.commit(commit(transition(1)))

    paused = bridge.run("sinks", "pause", "ci")
    again = bridge.run("sinks", "pause", "ci")
    (listed,) = json.loads(bridge.run("sinks", "list", "--output", "json").out)["sinks"]
    (told,) = json.loads(bridge.run("status", "--output", "json").out)["sinks"]
    status = bridge.run("status").out
    resumed = bridge.run("sinks", "resume", "ci")
    running = bridge.run("sinks", "resume", "ci")

    assert (paused.code, paused.out, again.out) == (0, "ci is paused\n", "ci is paused\n")
    assert (listed["condition"], told["condition"], told["condition_why"]) == (
        "paused",
        "paused",
        "paused by an operator",
    )
    assert "ci: paused since " in status
    assert (resumed.out, running.out) == ("ci is running again (it was paused)\n", "ci is running\n")


def test_a_sink_that_is_not_configured_can_neither_be_paused_nor_resumed(bridge) -> None:
    bridge.configure(http_sink("https://h"))

    for verb in ("pause", "resume"):
        done = bridge.run("sinks", verb, "cj")
        assert (done.code, "no sink is called 'cj'" in done.err) == (1, True)
