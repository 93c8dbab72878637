"""What is done with webhooks: durable, in force, and in the audit trail."""

import asyncio
import json
import os

import pytest
from support.done import done
from support.hooks import ASKED, KEY, OTHER_KEY, TRANSITION, Hooks, Sinks, settings_of
from support.values import commit, model, transition

from bridge.delivery.outbox_entry import Status
from bridge.errors import (
    InvalidArgument,
    InvalidState,
    LimitExceeded,
    NotFound,
    SecretUnavailable,
    StateUnwritable,
)
from bridge.operations import webhook_execution
from bridge.sinks.http.webhook_sink import sink_of_webhook

WITH_SECRET = {**ASKED["http_url_spec"], "secret": "s3cret", "authorization": "Bearer t0ken"}
KEYS = {"encryption_key": {"env": "KEY"}}


@pytest.fixture(autouse=True)
def keys(monkeypatch) -> None:
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", OTHER_KEY)


@pytest.fixture
def hooks() -> Hooks:
    hooks = Hooks(**KEYS)
    done(hooks.state.commit_poll(commit(models=[model()])))
    return hooks


def notes(hooks: Hooks) -> list[tuple[str, str]]:
    return [(note.kind, note.by) for note in hooks.state.notes()]


async def test_a_webhook_is_created_shown_and_in_force(hooks) -> None:
    answer = await hooks.webhooks.create({**ASKED, "model_name": "m", "description": "ours"}, "token ci")

    webhook = answer["webhook"]
    assert answer.keys() == {"webhook"}
    assert webhook == {
        "id": webhook["id"],
        "events": [TRANSITION],
        "creation_timestamp": hooks.clock.now_ms(),
        "last_updated_timestamp": hooks.clock.now_ms(),
        "description": "ours",
        "status": "ACTIVE",
        "model_name": "m",
        "http_url_spec": {"url": "https://ci.example.com/hooks", "enable_ssl_verification": True},
    }
    assert len(webhook["id"]) == 32
    assert int(webhook["id"], 16)
    assert hooks.sinks.calls == [("put", webhook["id"])]
    assert (await hooks.webhooks.page({}))["webhooks"] == [webhook]
    assert notes(hooks) == [("webhook_created", "token ci")]


async def test_a_secret_is_stored_encrypted_and_never_shown(hooks) -> None:
    answer = await hooks.webhooks.create({**ASKED, "http_url_spec": WITH_SECRET}, "ann")
    (stored,) = hooks.state.webhooks()
    sink = sink_of_webhook(stored, hooks.settings.webhooks)

    shown = json.dumps([answer, await hooks.webhooks.page({}), stored.to_document(), repr(sink)])
    assert "s3cret" not in shown
    assert "t0ken" not in shown
    assert {key: one.read() for key, one in sink.secrets().items()} == {
        "secret": "s3cret",
        "headers.Authorization": "Bearer t0ken",
    }


async def test_a_secret_without_a_key_is_refused_and_nothing_is_created(hooks) -> None:
    hooks.settings = settings_of()

    with pytest.raises(
        InvalidArgument, match=r"http_url_spec.secret: cannot be stored: webhooks.encryption_key is not set"
    ):
        await hooks.webhooks.create({**ASKED, "http_url_spec": WITH_SECRET}, "ann")
    assert (hooks.state.webhooks(), hooks.sinks.calls) == ([], [])


async def test_a_request_that_is_repeated_within_a_minute_returns_the_same_webhook(hooks) -> None:
    first = await hooks.webhooks.create({**ASKED, "http_url_spec": WITH_SECRET}, "ann")
    again = await hooks.webhooks.create({**ASKED, "http_url_spec": WITH_SECRET}, "ann")
    another = await hooks.webhooks.create({**ASKED, "http_url_spec": {**WITH_SECRET, "secret": "x"}}, "ann")
    somebody = await hooks.webhooks.create({**ASKED, "http_url_spec": WITH_SECRET}, "bob")
    hooks.clock.sleep(61)
    later = await hooks.webhooks.create({**ASKED, "http_url_spec": WITH_SECRET}, "ann")

    ids = [one["webhook"]["id"] for one in (first, again, another, somebody, later)]
    assert (ids[0] == ids[1], len(set(ids))) == (True, 4)


async def test_two_that_create_the_same_at_once_get_one_webhook(hooks) -> None:
    made = await asyncio.gather(*(hooks.webhooks.create(ASKED, "ann") for _ in range(5)))

    assert len({one["webhook"]["id"] for one in made}) == len(hooks.state.webhooks()) == 1


async def test_there_are_no_more_webhooks_than_there_may_be() -> None:
    hooks = Hooks(max=1)
    first = await hooks.created()

    with pytest.raises(LimitExceeded, match=r"there are 1 webhooks, and webhooks\.max is 1"):
        await hooks.created(description="another")
    await hooks.webhooks.delete({"id": first}, "ann")
    await hooks.created(description="another")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:8/x", None),
        ("http://localhost:8/x", None),
        ("http://[::ffff:10.0.0.1]/x", None),
        ("http://169.254.169.254/latest/meta-data", None),
        ("https://8.8.8.8/x", ["10.0.0.0/8"]),
    ],
)
async def test_a_target_that_is_known_not_to_be_allowed_is_refused(url, allowed) -> None:
    hooks = Hooks(**({"allowed_hosts": allowed} if allowed else {}))

    with pytest.raises(InvalidArgument, match=r"http_url_spec\.url: webhooks\.allowed_hosts does not allow"):
        await hooks.created(http_url_spec={"url": url})


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:8/x", ["127.0.0.0/8"]),
        ("http://localhost:8/x", ["localhost"]),
        ("http://your-webhook-service:8088/hook", None),
        ("https://8.8.8.8/x", ["public", "10.0.0.0/8"]),
        ("https://10.1.2.3/x", ["public", "10.0.0.0/8"]),
    ],
)
async def test_a_target_that_may_be_allowed_is_taken(url, allowed) -> None:
    hooks = Hooks(**({"allowed_hosts": allowed} if allowed else {}))

    assert await hooks.created(http_url_spec={"url": url})


async def test_the_list_of_deliveries_counts_for_webhooks_too(hooks) -> None:
    hooks.settings = settings_of(delivery={"allowed_hosts": ["*.corp.example"]})

    with pytest.raises(InvalidArgument, match=r"delivery\.allowed_hosts does not allow ci\.example\.com"):
        await hooks.created()


async def test_what_may_be_a_mistake_is_a_warning(hooks) -> None:
    answer = await hooks.webhooks.create(
        {**ASKED, "model_name": "none", "events": ["COMMENT_CREATED"]}, "ann"
    )

    assert [warning.partition(":")[0] for warning in answer["warnings"]] == ["model_name", "events"]


async def test_an_update_replaces_what_it_names_and_nothing_else(hooks) -> None:
    made = (await hooks.webhooks.create({**ASKED, "model_name": "m", "http_url_spec": WITH_SECRET}, "ann"))[
        "webhook"
    ]
    hooks.clock.sleep(5)

    answer = await hooks.webhooks.update(
        {"id": made["id"], "status": "DISABLED", "description": "off"}, "bob"
    )

    assert answer["webhook"] == {
        **made,
        "status": "DISABLED",
        "description": "off",
        "last_updated_timestamp": hooks.clock.now_ms(),
    }
    (stored,) = hooks.state.webhooks()
    assert stored.secret
    assert hooks.sinks.in_force[made["id"]] == stored
    assert notes(hooks)[-1] == ("webhook_updated", "bob")


async def test_a_new_target_takes_no_secret_along_and_says_so(hooks) -> None:
    made = await hooks.created(http_url_spec=WITH_SECRET)

    answer = await hooks.webhooks.update(
        {"id": made, "http_url_spec": {"url": "https://other.example/x"}}, "ann"
    )

    (stored,) = hooks.state.webhooks()
    assert (stored.secret, stored.authorization, stored.url) == ("", "", "https://other.example/x")
    assert [one.partition(":")[0] for one in answer["warnings"]] == [
        "http_url_spec.secret",
        "http_url_spec.authorization",
    ]


async def test_an_update_that_changes_nothing_is_no_change(hooks) -> None:
    made = await hooks.created()
    hooks.clock.sleep(5)

    await hooks.webhooks.update({"id": made, "status": "ACTIVE"}, "ann")

    assert [kind for kind, _ in notes(hooks)] == ["webhook_created"]


async def test_the_model_of_a_webhook_stays(hooks) -> None:
    with pytest.raises(InvalidArgument, match="model_name: cannot be changed"):
        await hooks.webhooks.update({"id": await hooks.created(), "model_name": "other"}, "ann")


async def test_a_deleted_webhook_gets_nothing_and_what_waited_is_dead_and_visible(hooks) -> None:
    made = await hooks.created()
    done(hooks.state.commit_poll(commit(transition(1), transition(2), sinks=(made, "ci"), revision=1)))
    hooks.sinks.calls.clear()

    assert await hooks.webhooks.delete({"id": made}, "bob") == {}

    assert hooks.sinks.calls == [("stop", made), ("remove", made)]
    ours = [entry for entry in hooks.state.entries() if entry.sink == made]
    assert [(one.status, one.reason, one.detail) for one in ours] == [
        (Status.DEAD, "orphaned", "its webhook was deleted")
    ] * 2
    assert {entry.sink for entry in hooks.state.pending()} == {"ci"}
    assert hooks.state.summaries()[made].dead == 2
    assert notes(hooks)[-1] == ("webhook_deleted", "bob")
    with pytest.raises(NotFound):
        await hooks.webhooks.delete({"id": made}, "bob")


@pytest.mark.parametrize("verb", ["create", "update", "delete"])
async def test_what_cannot_be_written_has_not_happened(hooks, verb, monkeypatch) -> None:
    made = await hooks.created()
    before = hooks.state.webhooks()

    def full(_writes):
        raise StateUnwritable("the disk is full")

    monkeypatch.setattr(hooks.state._documents, "commit", full)
    given = {
        "create": {**ASKED, "description": "x"},
        "update": {"id": made, "description": "x"},
        "delete": {"id": made},
    }
    with pytest.raises(StateUnwritable):
        await getattr(hooks.webhooks, verb)(given[verb], "ann")

    assert hooks.state.webhooks() == before
    assert hooks.sinks.in_force == {made: before[0]}


@pytest.mark.parametrize("verb", ["update", "delete", "test"])
async def test_a_webhook_that_does_not_exist_is_told(hooks, verb) -> None:
    asked = getattr(hooks.webhooks, verb)
    with pytest.raises(NotFound, match="there is no webhook 'nothing'"):
        await (asked({"id": "nothing"}) if verb == "test" else asked({"id": "nothing"}, "ann"))


@pytest.mark.parametrize("verb", ["create", "update", "delete", "test", "page", "rekey"])
async def test_where_webhooks_are_switched_off_it_is_said(hooks, verb) -> None:
    hooks.settings = hooks.settings.model_copy(update={"webhooks": None})
    asked = getattr(hooks.webhooks, verb)
    arguments = {"rekey": ("ann",), "page": ({},), "test": ({"id": "x"},)}.get(verb, ({"id": "x"}, "ann"))

    with pytest.raises(InvalidState, match=r"switched off: add a \[webhooks\] section"):
        await asked(*arguments)


async def test_a_list_comes_in_pages_that_hold_while_others_come_and_go(hooks) -> None:
    made = []
    for number in range(5):
        hooks.clock.sleep(1)
        made.append(await hooks.created(description=str(number)))

    first = await hooks.webhooks.page({"max_results": 2})
    await hooks.webhooks.delete({"id": made[1]}, "ann")
    await hooks.webhooks.delete({"id": made[2]}, "ann")
    second = await hooks.webhooks.page({"max_results": 2, "page_token": first["next_page_token"]})

    assert [one["id"] for one in first["webhooks"]] == made[:2]
    assert [one["id"] for one in second["webhooks"]] == made[3:]
    assert "next_page_token" not in second


async def test_a_list_is_filtered_by_model_and_by_event(hooks) -> None:
    ours = await hooks.created(model_name="m")
    hooks.clock.sleep(1)
    aliases = await hooks.created(events=["MODEL_VERSION_ALIAS_SET"])

    async def ids(**asked):
        return [one["id"] for one in (await hooks.webhooks.page(asked))["webhooks"]]

    assert await ids(model_name="m") == [ours]
    assert await ids(events=["MODEL_VERSION_ALIAS_SET"]) == [aliases]
    assert await ids(events=["MODEL_VERSION_ALIAS_SET", TRANSITION]) == [ours, aliases]
    assert await ids(model_name="m", events=["MODEL_VERSION_ALIAS_SET"]) == []


@pytest.mark.parametrize("token", ["x", "eA==", "é", "Lg==", "=" * 10])
async def test_what_is_no_page_is_refused(hooks, token) -> None:
    with pytest.raises(InvalidArgument, match="page_token: is none"):
        await hooks.webhooks.page({"page_token": token})


async def test_a_new_key_takes_over_all_secrets_in_one_commit(hooks) -> None:
    made = [await hooks.created(http_url_spec=WITH_SECRET, description=str(number)) for number in range(3)]
    await hooks.created(description="without")
    hooks.settings = settings_of({"encryption_key": [{"env": "OTHER_KEY"}, {"env": "KEY"}]})

    assert await hooks.webhooks.rekey("ann") == 3
    hooks.settings = settings_of({"encryption_key": {"env": "OTHER_KEY"}})

    stored = {one.id: one for one in hooks.state.webhooks()}
    for webhook in made:
        sink = sink_of_webhook(stored[webhook], hooks.settings.webhooks)
        assert [one.read() for one in sink.secrets().values()] == ["Bearer t0ken", "s3cret"]
        assert hooks.sinks.in_force[webhook] == stored[webhook]
    assert notes(hooks)[-1] == ("webhooks_rekeyed", "ann")


async def test_without_the_old_key_nothing_is_rekeyed(hooks) -> None:
    await hooks.created(http_url_spec=WITH_SECRET)
    before = hooks.state.webhooks()
    hooks.settings = settings_of({"encryption_key": {"env": "OTHER_KEY"}})

    with pytest.raises(SecretUnavailable, match="was encrypted with another key"):
        await hooks.webhooks.rekey("ann")
    assert hooks.state.webhooks() == before


async def test_a_test_sends_one_signed_event_and_shows_the_answer(receiver) -> None:
    hooks = Hooks(allowed_hosts=["127.0.0.0/8"], **KEYS)
    receiver.answer = type(receiver.answer)(418, body=b"no tea for s3cret")
    made = await hooks.created(http_url_spec={"url": receiver.url, "secret": "s3cret"}, status="TEST_MODE")

    answer = await hooks.webhooks.test({"id": made})

    (got,) = receiver.got
    assert (answer["status_code"], answer["status"], "s3cret" in answer["body"]) == (418, 418, False)
    assert (got.body["event"], got.body["webhook_id"]) == (TRANSITION, made)
    assert {"x-mlflow-signature", "x-databricks-signature"} <= {name.lower() for name in got.headers}


async def test_a_test_without_an_answer_says_why(hooks) -> None:
    hooks.settings = settings_of({"allowed_hosts": ["10.0.0.0/8", "127.0.0.0/8"]})
    made = await hooks.created(http_url_spec={"url": "http://127.0.0.1:9/x"})

    answer = await hooks.webhooks.test({"id": made})

    assert (answer.keys(), "no connection" in answer["body"]) == ({"body"}, True)


async def test_a_test_of_what_is_never_observed_is_refused(hooks) -> None:
    made = await hooks.created(events=["COMMENT_CREATED"])

    with pytest.raises(InvalidArgument, match="event: COMMENT_CREATED is not sent"):
        await hooks.webhooks.test({"id": made})


async def test_what_is_asked_over_a_reload_is_in_force_after_it(hooks, monkeypatch) -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    keys_of = hooks.webhooks._keys

    async def slow_keys():
        begun.set()
        await go.wait()
        return await keys_of()

    monkeypatch.setattr(hooks.webhooks, "_keys", slow_keys)
    creating = asyncio.create_task(hooks.webhooks.create({**ASKED, "http_url_spec": WITH_SECRET}, "ann"))
    await begun.wait()
    after = Sinks()
    await hooks.webhooks.serve_with(after)
    go.set()
    made = (await creating)["webhook"]["id"]

    assert list(after.in_force) == [made]
    assert hooks.sinks.in_force == {}


async def test_new_loops_get_what_was_changed_while_they_were_built(hooks) -> None:
    made = await hooks.created()
    after = Sinks()

    await hooks.webhooks.serve_with(after)

    assert list(after.in_force) == [made]


async def test_a_rekey_whose_key_hangs_holds_up_nobody_and_brings_nothing_back(
    hooks, monkeypatch, tmp_path
) -> None:
    gone = await hooks.created(http_url_spec=WITH_SECRET)
    os.mkfifo(tmp_path / "key")
    hooks.settings = settings_of({"encryption_key": {"file": str(tmp_path / "key")}})
    rekeying = asyncio.create_task(hooks.webhooks.rekey("ann"))
    await asyncio.sleep(0.05)

    made = await hooks.created(description="without a secret")
    await hooks.webhooks.delete({"id": gone}, "ann")
    (tmp_path / "key").write_text(KEY)

    assert await rekeying == 0
    assert [one.id for one in hooks.state.webhooks()] == [made]


async def test_a_key_that_hangs_is_given_up(hooks, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(webhook_execution, "_KEY_FILES_S", 0.1)
    os.mkfifo(tmp_path / "key")
    hooks.settings = settings_of({"encryption_key": {"file": str(tmp_path / "key")}})

    for asked in (
        hooks.webhooks.rekey("ann"),
        hooks.webhooks.create({**ASKED, "http_url_spec": WITH_SECRET}, "ann"),
    ):
        with pytest.raises(InvalidState, match="cannot be read within"):
            await asked
    (tmp_path / "key").write_text(KEY)


@pytest.mark.parametrize("verb", ["delete", "update"])
async def test_a_test_under_way_ends_with_its_webhook_or_its_target(hooks, monkeypatch, verb) -> None:
    begun, sent = asyncio.Event(), []

    async def slow(*_arguments, **_named):
        begun.set()
        await asyncio.sleep(60)
        sent.append(1)

    monkeypatch.setattr(webhook_execution, "try_out", slow)
    made = await hooks.created()
    testing = asyncio.create_task(hooks.webhooks.test({"id": made}))
    await begun.wait()
    change = {"delete": {}, "update": {"http_url_spec": {"url": "https://other.example/"}}}[verb]
    await getattr(hooks.webhooks, verb)({"id": made, **change}, "ann")

    with pytest.raises(NotFound, match="was changed or deleted while it was tested"):
        await testing
    assert sent == []


async def test_a_request_that_is_repeated_after_a_change_gets_a_webhook_of_its_own(hooks) -> None:
    made = await hooks.created()
    await hooks.webhooks.update({"id": made, "status": "DISABLED"}, "bob")

    assert await hooks.created() != made


async def test_the_answer_of_a_test_tells_no_address(hooks) -> None:
    hooks.settings = settings_of({"allowed_hosts": ["10.0.0.0/8"]})
    made = await hooks.created(http_url_spec={"url": "http://localhost:9/x"})

    answer = await hooks.webhooks.test({"id": made})

    assert answer == {"body": "not connected: webhooks.allowed_hosts does not allow this host"}
