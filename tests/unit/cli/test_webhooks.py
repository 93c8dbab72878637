"""``webhooks``: created, changed and deleted by commands."""

import json
import re

import pytest
from support.command import http_sink
from support.hooks import KEY, OTHER_KEY
from support.receiver import Answer
from support.values import commit, transition

SECTION = (
    '[webhooks]\nencryption_key = { env = "KEY" }\nallowed_hosts = ["public", "127.0.0.0/8", "*.example.com"]'
)
URL = "https://ci.example.com/hooks/k3y"


@pytest.fixture(autouse=True)
def secrets(monkeypatch) -> None:
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", OTHER_KEY)
    monkeypatch.setenv("SECRET", "s3cret")


@pytest.fixture
def hooks(bridge):
    bridge.configure(SECTION)
    return bridge


def created(bridge, *arguments: str, url: str = URL) -> str:
    done = bridge.run("webhooks", "create", url, *arguments)
    assert done.code == 0, done.err
    return re.fullmatch(r"created: ([0-9a-f]{32})\n", done.out)[1]


def shown(bridge, webhook: str) -> dict:
    return json.loads(bridge.run("webhooks", "show", webhook, "--output", "json").out)


def test_a_webhook_is_created_listed_shown_and_deleted(hooks) -> None:
    webhook = created(hooks, "--model", "fraud", "--description", "ours", "--secret-env", "SECRET")

    table = hooks.run("webhooks", "list").out
    facts = hooks.run("webhooks", "show", webhook[:6]).out
    gone = hooks.run("webhooks", "delete", webhook[:6], "--yes")

    assert [line.split()[:4] for line in table.splitlines()] == [
        ["WEBHOOK", "STATUS", "TO", "EVENTS"],
        [webhook[:12], "ACTIVE", "https://ci.example.com", "MODEL_VERSION_TRANSITIONED_STAGE"],
    ]
    assert "is_signed         yes" in facts
    assert not {"k3y", "s3cret"} & set(re.findall(r"\w+", table + facts))
    assert (gone.code, gone.out) == (0, f"deleted: {webhook}\n")
    assert hooks.run("webhooks", "list").out == "no webhooks\n"


def test_it_is_a_sink_among_the_others(hooks) -> None:
    webhook = created(hooks)
    hooks.commit(commit(transition(1), sinks=(webhook,)))

    sinks = json.loads(hooks.run("sinks", "list", "--output", "json").out)["sinks"]
    status = json.loads(hooks.run("status", "--output", "json").out)["sinks"]
    paused = hooks.run("sinks", "pause", webhook)
    waiting = json.loads(hooks.run("outbox", "list", "--sink", webhook, "--output", "json").out)["entries"]
    hooks.run("webhooks", "update", webhook, "--status", "disabled")
    disabled = json.loads(hooks.run("status", "--output", "json").out)["sinks"]

    assert [(one["name"], one["type"], one["condition"]) for one in sinks] == [
        (webhook, "webhook", "running")
    ]
    assert [(one["name"], one["to"], one["pending"]) for one in status] == [
        (webhook, "https://ci.example.com", 1)
    ]
    assert (paused.out, len(waiting)) == (f"{webhook} is paused\n", 1)
    assert [(one["condition"], one["next_attempt_seconds"]) for one in disabled] == [("disabled", None)]


def test_what_waits_for_a_deleted_one_is_dead_visible_and_not_sent_again(hooks) -> None:
    webhook = created(hooks)
    hooks.commit(commit(transition(1), sinks=(webhook,)))
    hooks.run("webhooks", "delete", webhook, "--yes")

    (dead,) = json.loads(hooks.run("outbox", "list", "--output", "json").out)["entries"]
    again = hooks.run("outbox", "redrive", "--all")

    assert (dead["status"], dead["detail"]) == ("dead", "its webhook was deleted")
    assert again.out == "redriven: 0 entries\n"
    assert "webhook_deleted" in hooks.run("events", "list").out


def test_what_is_replayed_goes_to_webhooks_too(hooks) -> None:
    hooks.commit(commit(transition(1), sinks=()))
    webhook = created(hooks)

    done = hooks.run("replay", "--all", "--sink", webhook, "--yes")

    assert done.out == f"replayed: 1 entry to {webhook}\n"


def test_a_change_needs_a_word_about_a_stored_secret_only_with_a_new_target(hooks) -> None:
    webhook = created(hooks, "--secret-env", "SECRET")

    refused = hooks.run("webhooks", "update", webhook, "--url", "https://b.example.com/x")
    kept = hooks.run("webhooks", "update", webhook, "--description", "d")
    signed = shown(hooks, webhook)["is_signed"]
    moved = hooks.run("webhooks", "update", webhook, "--url", "https://b.example.com/x", "--no-secret")

    assert (refused.code, "give --secret-env or --secret-file, or --no-secret" in refused.err) == (2, True)
    assert (kept.out, signed) == (f"updated: {webhook}\n", True)
    assert (moved.code, shown(hooks, webhook)["is_signed"]) == (0, False)
    assert "http_url_spec.secret: the webhook had one" in moved.err


def test_a_secret_comes_from_a_file(hooks, tmp_path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")

    webhook = created(hooks, "--secret-file", str(tmp_path / "secret"), "--authorization-env", "SECRET")

    assert (shown(hooks, webhook)["is_signed"], shown(hooks, webhook)["has_authorization"]) == (True, True)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["create", "ci.example.com"], 1, "http_url_spec.url: must be an http:// or https:// URL"),
        (["create", URL, "--event", "MODEL_VERSION_TRANSITIONED"], 1, "did you mean 'MODEL_VERSION_TRANSITIONED_STAGE'?"),
        (["create", "http://10.0.0.1/x"], 1, "webhooks.allowed_hosts does not allow 10.0.0.1"),
        (["create", URL, "--secret-env", "NO_SUCH"], 78, "environment variable NO_SUCH is not set"),
        (["create", URL, "--secret-env", "A", "--secret-file", "b"], 2, "give --secret-env or --secret-file, not both"),
        (["show", "ffff"], 1, "there is no webhook 'ffff'"),
        (["update", "ffff", "--status", "ACTIVE"], 1, "there is no webhook"),
        (["delete", "ffff", "--yes"], 1, "there is no webhook"),
        (["test", "ffff"], 1, "there is no webhook"),
    ],
)  # fmt: skip
def test_wrong_use_is_told_in_a_sentence(hooks, arguments, code, told) -> None:
    done = hooks.run("webhooks", *arguments)

    assert (done.code, done.out) == (code, "")
    assert told in done.err


def test_a_change_of_nothing_is_wrong_use(hooks) -> None:
    done = hooks.run("webhooks", "update", created(hooks))

    assert (done.code, "what? Give --url" in done.err) == (2, True)


def test_switched_off_it_says_how_to_switch_them_on(bridge) -> None:
    assert "they are switched off: add the section" in bridge.run("webhooks", "list").out
    done = bridge.run("webhooks", "create", URL)

    assert (done.code, "switched off: add a [webhooks] section" in done.err) == (1, True)


def test_webhooks_that_are_switched_off_are_orphans(hooks) -> None:
    webhook = created(hooks)
    hooks.commit(commit(transition(1), sinks=(webhook,)))
    hooks.configure()

    (sink,) = json.loads(hooks.run("status", "--output", "json").out)["sinks"]

    assert (sink["name"], sink["condition"]) == (webhook, "orphaned")
    assert "get no events" in hooks.run("webhooks", "list").err


def test_a_test_shows_the_request_with_its_secrets_masked(hooks, receiver) -> None:
    receiver.answer = Answer(500)
    webhook = created(hooks, "--secret-env", "SECRET", "--authorization-env", "SECRET", url=receiver.url)

    dry = hooks.run("webhooks", "test", webhook, "--dry-run")
    done = hooks.run("webhooks", "test", webhook)

    (got,) = receiver.got
    assert (dry.code, done.code, got.body["webhook_id"]) == (0, 1, webhook)
    assert "s3cret" not in dry.out + done.out
    assert "X-Databricks-Signature" in done.out


def test_keys_are_replaced_without_losing_a_secret(hooks) -> None:
    webhook = created(hooks, "--secret-env", "SECRET")
    hooks.configure('[webhooks]\nencryption_key = [{ env = "OTHER_KEY" }, { env = "KEY" }]')
    rekeyed = hooks.run("webhooks", "rekey")
    hooks.configure('[webhooks]\nencryption_key = { env = "OTHER_KEY" }')

    assert rekeyed.out == "rekeyed: 1 webhook\n"
    assert hooks.run("webhooks", "test", webhook, "--dry-run").code == 0
    hooks.configure(SECTION)
    assert "was encrypted with another key" in hooks.run("webhooks", "rekey").err


def test_check_tells_which_of_the_bridges_own_secrets_cannot_be_used(bridge, monkeypatch) -> None:
    monkeypatch.setenv("KEY", "a passphrase")
    monkeypatch.setenv("CI", "short")
    tokens = 'tokens = [{ name = "ci", token = { env = "CI" }, may = ["read"] }, { name = "x", token = { env = "NO" }, may = ["read"] }]'
    bridge.configure(SECTION, f'[server]\nlisten = "127.0.0.1:9464"\n{tokens}', http_sink("https://h"))
    monkeypatch.setenv("CI_SECRET", "s")

    found = json.loads(bridge.run("check", "--connect", "--output", "json").out)["faults"]

    told = {one["key"]: one["message"] for one in found}
    assert "is too short: make one of 16 characters or more" in told["server.tokens[0].token"]
    assert told["server.tokens[1].token"].startswith("environment variable NO is not set")
    assert "is no Fernet key" in told["webhooks.encryption_key"]
