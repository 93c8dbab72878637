"""The pages on which people act: who sees them, whose forms they take, and what they show."""

import asyncio
import re
from html import unescape
from urllib.parse import urlencode

import pytest
from support.done import done
from support.hooks import KEY, TRANSITION, Hooks, api_of, settings_of
from support.receiver import Answer
from support.values import commit, model, onto, transition
from support.visitor import EYE, HOSTILE, TOKEN, Person

from bridge.delivery.outbox_entry import Entry, Status
from bridge.events.event import Event
from bridge.operations import webhook_execution
from bridge.server.page import sessions as module
from bridge.server.page.sessions import Sessions
from bridge.server.token_authority import NOBODY, Caller, Unauthenticated

ALL = {"name": "ci", "token": {"env": "CI"}, "may": ["read", "operate", "webhooks"]}


@pytest.fixture
async def person(monkeypatch):
    monkeypatch.setenv("CI", TOKEN)
    monkeypatch.setenv("EYE", "eye" * 10)
    hooks = Hooks()
    sink = {"name": "ci", "type": "http", "url": "https://ci.example.com/k3y"}
    hooks.settings = settings_of(sinks=[sink])
    done(hooks.state.commit_poll(commit(models=[model()])))
    async with api_of(hooks, ALL, EYE) as api:
        somebody = Person(api)
        somebody.hooks = hooks
        yield somebody


@pytest.mark.parametrize("path", ["/", "/webhooks", "/deliveries", "/webhooks/0123"])
async def test_where_there_are_tokens_people_sign_in_first(person, path) -> None:
    status, _, headers = await person.ask("GET", path)

    assert (status, headers["Location"]) == (303, f"/sign-in?next={path}")


async def test_a_session_is_a_cookie_that_no_script_and_no_other_site_gets(person) -> None:
    status, _, headers = await person.sign_in()

    assert (status, headers["Location"]) == (303, "/webhooks")
    flags = {flag.strip().lower() for flag in headers["Set-Cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert TOKEN not in headers["Set-Cookie"]
    assert (await person.ask("GET", "/"))[:2] == (200, "the status\n")


async def test_a_session_is_a_new_one_at_each_sign_in_whatever_was_sent(person) -> None:
    person.cookie = "chosen-by-somebody-else"
    await person.sign_in()
    first = person.cookie
    await person.sign_in()

    assert len({"chosen-by-somebody-else", first, person.cookie}) == 3


async def test_a_wrong_token_opens_nothing_and_is_not_shown(person) -> None:
    status, page, headers = await person.sign_in("wrong-token-of-some-length")

    assert (status, headers["Set-Cookie"], "wrong-token" in page) == (401, None, False)
    assert "this is not one of the bridge" in page


async def test_a_session_ends_with_its_token_with_signing_out_and_with_time(person, monkeypatch) -> None:
    await person.sign_in()
    monkeypatch.setenv("CI", "another-token-of-ours")
    withdrawn, _, _ = await person.ask("GET", "/webhooks")
    monkeypatch.setenv("CI", TOKEN)
    await person.sign_in()
    kept = person.cookie
    await person.send("/webhooks", url="x")
    _, page, _ = await person.ask("GET", "/webhooks")
    token = re.search(r'name="form_token" value="([^"]*)"', page)[1]
    await person.ask("POST", "/sign-out", {"form_token": token})
    person.cookie = kept
    out, _, _ = await person.ask("GET", "/webhooks")

    assert (withdrawn, out) == (303, 303)


@pytest.mark.parametrize(
    "place",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "/commands",
        "javascript:alert(1)",
        "/webhooks/../x",
        "/webhooks/é",
        "/sign-out",
    ],
)
async def test_signing_in_leads_nowhere_else(person, place) -> None:
    _, _, headers = await person.sign_in(place=place)

    assert headers["Location"] == "/"


@pytest.mark.parametrize("place", ["/webhooks", "/webhooks/0a1b", "/deliveries/12", "/events", "/sinks"])
async def test_signing_in_leads_back_to_where_somebody_wanted_to_go(person, place) -> None:
    _, _, asked = await person.ask("GET", place)
    _, _, headers = await person.sign_in(place=asked["Location"].partition("next=")[2])

    assert headers["Location"] == place


async def test_the_backlog_is_summed_up_once_however_many_webhooks_there_are(person, monkeypatch) -> None:
    for number in range(5):
        await person.hooks.created(description=str(number))
    state, summed = person.hooks.state, []
    monkeypatch.setattr(state, "summaries", lambda: summed.append(1) or {})

    webhooks, has_more = await (await person.hooks.present.resources()).webhooks(4)

    assert (len(webhooks), has_more, len(summed)) == (4, True, 1)


@pytest.mark.parametrize(
    "forged",
    [{"form_token": ""}, {"form_token": "x" * 43}, {}],
)
async def test_a_form_that_is_forged_changes_nothing(person, forged) -> None:
    await person.sign_in()
    status, page, _ = await person.ask(
        "POST", "/webhooks", {"url": "https://h.example", "events": TRANSITION, **forged}
    )

    assert (status, "does not come from a page of this session" in page) == (403, True)
    assert person.hooks.state.webhooks() == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Origin": "null"}]
)
async def test_a_form_from_another_site_changes_nothing_and_signs_nobody_in(person, headers) -> None:
    signed, _, got = await person.ask("POST", "/sign-in", {"token": TOKEN, "next": "/"}, **headers)
    await person.sign_in()
    _, page, _ = await person.ask("GET", "/webhooks")
    token = re.search(r'name="form_token" value="([^"]*)"', page)[1]
    sent, _, _ = await person.ask(
        "POST",
        "/webhooks",
        {"form_token": token, "url": "https://h.example", "events": TRANSITION},
        **headers,
    )

    assert (signed, got["Set-Cookie"], sent, person.hooks.state.webhooks()) == (403, None, 403, [])


async def test_the_form_of_another_session_is_none_of_ours(person) -> None:
    await person.sign_in()
    _, page, _ = await person.ask("GET", "/webhooks")
    token = re.search(r'name="form_token" value="([^"]*)"', page)[1]
    await person.sign_in()
    status, _, _ = await person.ask(
        "POST", "/webhooks", {"form_token": token, "url": "https://h.example", "events": TRANSITION}
    )

    assert status == 403


async def test_a_webhook_is_added_changed_switched_paused_and_deleted(person) -> None:
    await person.sign_in()
    status, _, headers = await person.send(
        "/webhooks",
        url="https://ci.example.com/k3y",
        events=[TRANSITION, "MODEL_VERSION_CREATED"],
        model_name="m",
        description="ours",
    )
    place = headers["Location"].partition("?")[0]
    _, made, _ = await person.ask("GET", headers["Location"])
    await person.send(place, do="disable")
    await person.send(place, do="change", events="MODEL_VERSION_CREATED", description="changed")
    (webhook,) = person.hooks.state.webhooks()
    await person.send(place, do="pause")
    paused = person.hooks.state.conditions()[webhook.id].word
    unsure, _, _ = await person.send(place, do="delete")
    _, _, gone = await person.send(place, do="delete", sure="yes")

    assert (status, "The webhook is created" in made, "k3y" in made) == (303, True, False)
    assert (webhook.status, webhook.events, webhook.description) == (
        "DISABLED",
        ("MODEL_VERSION_CREATED",),
        "changed",
    )
    assert (paused, unsure, gone["Location"]) == ("paused", 403, "/webhooks?done=deleted")
    assert person.hooks.state.webhooks() == []
    assert {note.by for note in person.hooks.state.notes()} == {"token ci"}


async def test_a_webhook_is_sent_elsewhere_with_another_secret(person, monkeypatch) -> None:
    monkeypatch.setenv("KEY", KEY)
    person.hooks.settings = settings_of({"encryption_key": {"env": "KEY"}})
    await person.sign_in()
    _, _, headers = await person.send(
        "/webhooks",
        url="https://ci.example.com/k3y",
        events=TRANSITION,
        secret="0ld",
        authorization="Bearer x",
    )
    place = headers["Location"].partition("?")[0]
    (before,) = person.hooks.state.webhooks()
    refused, told, _ = await person.send(place, do="redirect", url="http://10.0.0.1/x", secret="n3w")
    (unchanged,) = person.hooks.state.webhooks()
    await person.send(
        place, do="redirect", url="https://cd.example.com/0ther", secret="n3w", authorization=""
    )
    _, page, _ = await person.ask("GET", place)
    (after,) = person.hooks.state.webhooks()

    assert (refused, "does not allow 10.0.0.1" in unescape(told), "n3w" in told) == (400, True, False)
    assert unchanged == before
    assert (before.authorization != "", after.authorization) == (True, "")
    assert (after.url, after.events) == ("https://cd.example.com/0ther", before.events)
    assert after.secret not in {"", "n3w", before.secret}
    assert ("https://cd.example.com" in page, "0ther" in page) == (True, False)


async def test_what_cannot_be_used_is_told_and_what_was_filled_in_stays_but_for_the_secret(person) -> None:
    await person.sign_in()
    status, page, _ = await person.send(
        "/webhooks", url="http://10.0.0.1/x", events=TRANSITION, description="kept", secret="s3cret"
    )

    assert status == 400
    assert "webhooks.allowed_hosts does not allow 10.0.0.1" in unescape(page)
    assert ('value="kept"' in page, 'role="alert"' in page, "s3cret" in page) == (True, True, False)


async def test_hostile_names_are_text(person) -> None:
    await person.sign_in()
    await person.send(
        "/webhooks",
        url="https://ci.example.com/x",
        events=TRANSITION,
        model_name=HOSTILE,
        description=HOSTILE,
    )
    (webhook,) = person.hooks.state.webhooks()
    event = transition(1, HOSTILE)
    done(person.hooks.state.commit_poll(onto(person.hooks.state, commit(event))))
    pages = [
        (await person.ask("GET", path))[1]
        for path in (
            "/webhooks",
            f"/webhooks/{webhook.id}",
            "/deliveries",
            f"/deliveries?{urlencode({'sink': HOSTILE})}",
            "/webhooks?done=<script>",
        )
    ]

    for page in pages:
        assert "<script" not in page
        assert "<img" not in page
    assert HOSTILE[:12] in unescape(pages[0])


async def test_deliveries_are_listed_redriven_and_dropped(person) -> None:
    state = person.hooks.state
    entries = done(state.commit_poll(onto(state, commit(*(transition(n) for n in range(1, 4))))))
    dead = [
        type(one)(**{**one.facts(), "status": Status.DEAD, "attempts": 1, "last_attempt_at": 5})
        for one in entries[:2]
    ]
    done(state.settle(dead))
    await person.sign_in()

    _, page, _ = await person.ask("GET", "/deliveries?status=dead")
    _, one, _ = await person.ask("GET", "/deliveries/1")
    unknown, _, _ = await person.ask("GET", "/deliveries/99")
    _, _, redriven = await person.send("/deliveries", do="redrive", entries=["1"])
    _, _, dropped = await person.send("/deliveries", do="drop", entries=["2", "x", "-1"])
    nothing, _, _ = await person.send("/deliveries", do="drop")
    _, _, again = await person.send("/deliveries", do="redrive", entries=["1"])

    assert re.findall(r'name="entries" value="(\d+)"', page) == ["2", "1"]
    assert ("Attempts on record" in one, 'value="redrive"' in one, unknown) == (True, True, 404)
    assert again["Location"] == "/deliveries?done=nothing"
    assert (redriven["Location"], dropped["Location"], nothing) == (
        "/deliveries?done=redriven",
        "/deliveries?done=dropped",
        303,
    )
    assert {one.id: one.status for one in state.entries()} == {1: Status.PENDING, 3: Status.PENDING}


async def test_deliveries_come_in_pages(person) -> None:
    state = person.hooks.state
    done(state.commit_poll(onto(state, commit(*(transition(n) for n in range(1, 61))))))
    await person.sign_in()

    _, first, _ = await person.ask("GET", "/deliveries")
    older = unescape(re.search(r'href="(/deliveries[^"]*)" rel="next"', first)[1])
    _, second, _ = await person.ask("GET", older)

    assert (first.count('name="entries"'), second.count('name="entries"')) == (50, 10)
    assert 'rel="next"' not in second


async def test_who_may_only_look_has_no_forms_and_cannot_send_them(person) -> None:
    await person.sign_in("eye" * 10)
    _, page, _ = await person.ask("GET", "/webhooks")
    token = re.search(r'name="form_token" value="([^"]*)"', page)[1]
    status, told, _ = await person.ask(
        "POST", "/webhooks", {"form_token": token, "url": "https://h.example", "events": TRANSITION}
    )

    assert ('id="url"' in page, status) == (False, 403)
    assert 'it needs "webhooks" in its may' in unescape(told)


async def test_without_tokens_everybody_looks_nobody_acts_and_no_stranger_looks() -> None:
    hooks = Hooks()
    await hooks.created()
    async with api_of(hooks) as api:
        person = Person(api)
        status, page, _ = await person.ask("GET", "/webhooks")
        stranger, _, _ = await person.ask("GET", "/webhooks", Host="rebound.example.com")
        sent, _, _ = await person.ask("POST", "/webhooks", {"url": "https://h.example", "events": TRANSITION})

    assert (status, "<form" in page, stranger, sent) == (200, False, 421, 403)


@pytest.mark.parametrize("body", [b"\xff", b"a" * 70_000, b"&".join([b"a=1"] * 10_001)])
async def test_what_is_no_form_is_refused(person, body) -> None:
    status, _, _ = await asyncio.to_thread(person.api.raw, "POST", "/sign-in", body)

    assert status == 403


async def test_there_are_so_many_sessions_and_each_lasts_so_long(monkeypatch) -> None:
    class Anybody:
        async def caller(self, authorization):
            return Caller("x", ("read",))

    monkeypatch.setattr(module, "_MOST", 2)
    now = [0.0]
    sessions = Sessions(Anybody(), lambda: now[0])
    cookies = [await sessions.sign_in("t") for _ in range(3)]
    with pytest.raises(Unauthenticated):
        await sessions.of(cookies[0])
    assert (await sessions.of(cookies[2]))[0].name == "x"
    now[0] = module.LASTS_S + 1
    with pytest.raises(Unauthenticated):
        await sessions.of(cookies[2])
    assert NOBODY.may == ("read",)


async def test_events_lead_to_the_page_of_a_model_with_its_picture(person) -> None:
    state = person.hooks.state
    done(state.commit_poll(onto(state, commit(*(transition(n) for n in range(1, 4))))))
    await person.sign_in()

    _, listed, _ = await person.ask("GET", "/events?type=MODEL_VERSION_TRANSITIONED_STAGE")
    link = unescape(re.search(r'href="(/models[^"]*)"', listed)[1])
    status, page, _ = await person.ask("GET", link)
    _, unknown, _ = await person.ask("GET", "/models?name=none")
    wrong, _, _ = await person.ask("GET", "/events?type=X")

    assert (status, page.count("<svg"), page.count("<circle")) == (200, 1, 3)
    assert "Production" in page
    assert ("No registered model has this name now" in unknown, wrong) == (True, 400)


async def test_sinks_are_tested_paused_and_resumed(person) -> None:
    await person.sign_in()
    _, _, paused = await person.send("/sinks", name="ci", do="pause")
    _, page, _ = await person.ask("GET", "/sinks")
    _, _, resumed = await person.send("/sinks", name="ci", do="resume")
    unknown, _, _ = await person.send("/sinks", name="none", do="pause")
    odd, _, _ = await person.send("/sinks", name="ci", do="explode")

    assert (paused["Location"], resumed["Location"]) == ("/sinks?done=paused", "/sinks?done=resumed")
    assert ("paused" in page, "k3y" in page, unknown, odd) == (True, False, 404, 403)


async def test_a_test_of_a_sink_shows_what_was_sent_and_answered_without_its_secrets(
    person, receiver, monkeypatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cret-value")
    sink = {"name": "ci", "type": "http", "url": receiver.url, "secret": {"env": "SECRET"}}
    person.hooks.settings = settings_of(sinks=[sink])
    receiver.answer = Answer(418, body=HOSTILE.encode() + b" s3cret-value")
    await person.sign_in()

    _, page, _ = await person.send("/sinks", name="ci", do="test")

    assert len(receiver.got) == 1
    assert "HTTP 418" in page
    assert ("s3cret-value" in page, "<script" in page) == (False, False)


@pytest.mark.parametrize("path", ["/events", "/models?name=m", "/sinks", "/deliveries", "/webhooks"])
async def test_a_page_of_100_000_events_and_entries_takes_what_one_of_few_takes(
    person, path, monkeypatch
) -> None:
    """What is decoded is counted, not timed."""
    state = person.hooks.state
    done(state.commit_poll(onto(state, commit(*(transition(n) for n in range(1, 3_001))))))
    decoded = []
    for kind in (Event, Entry):
        read = kind.from_document
        monkeypatch.setattr(
            kind, "from_document", lambda document, read=read: decoded.append(1) or read(document)
        )
    state.summaries()  # counted once, at the start of the daemon
    decoded.clear()
    await person.sign_in()
    await person.ask("GET", path)

    assert len(decoded) <= 5_000


HOOKS = {"name": "hooks", "token": {"env": "HOOKS"}, "may": ["read", "webhooks"]}
OPERATOR = {"name": "operator", "token": {"env": "OPERATOR"}, "may": ["read", "operate"]}
BLIND = {"name": "blind", "token": {"env": "BLIND"}, "may": ["webhooks"]}


@pytest.fixture
async def team(monkeypatch, receiver):
    """Somebody who may do anything, and people who may not; one sink, and one webhook."""
    tokens = {"CI": TOKEN, "HOOKS": "hooks" * 5, "OPERATOR": "operator" * 3, "BLIND": "blind" * 5}
    for name, value in tokens.items():
        monkeypatch.setenv(name, value)
    hooks = Hooks()
    hooks.settings = settings_of(
        {"allowed_hosts": ["127.0.0.0/8"]}, sinks=[{"name": "prod", "type": "http", "url": receiver.url}]
    )
    webhook = await hooks.created(http_url_spec={"url": receiver.url})
    async with api_of(hooks, ALL, HOOKS, OPERATOR, BLIND) as api:

        async def person(token: str) -> Person:
            somebody = Person(api)
            await somebody.sign_in(tokens[token])
            return somebody

        person.hooks, person.webhook, person.api = hooks, webhook, api
        yield person


async def test_who_may_manage_webhooks_tests_no_other_sink(team, receiver) -> None:
    person = await team("HOOKS")
    _, page, _ = await person.ask("GET", "/webhooks")
    token = re.search(r'name="form_token" value="([^"]*)"', page)[1]
    status, _, _ = await person.ask("POST", "/webhooks/prod", {"form_token": token, "do": "test"})

    assert (status, receiver.got) == (404, [])


async def test_who_may_operate_pauses_a_webhook_and_changes_none(team) -> None:
    person, place = await team("OPERATOR"), f"/webhooks/{team.webhook}"
    _, page, _ = await person.ask("GET", place)
    _, _, paused = await person.send(place, do="pause")
    refused, told, _ = await person.send(place, do="disable")

    assert ('value="pause"' in page, 'value="test"' in page, 'value="delete"' in page) == (True, False, False)
    assert (paused["Location"], refused) == (f"{place}?done=paused", 403)
    assert 'it needs "webhooks" in its may' in unescape(told)


async def test_who_may_not_look_does_not_sign_in(team) -> None:
    person = Person(team.api)
    status, page, _ = await person.sign_in("blind" * 5)

    assert (status, person.cookie) == (403, "")
    assert 'it needs "read" in its may' in unescape(page)


async def test_a_test_on_a_page_ends_with_its_webhook(team, monkeypatch) -> None:
    begun = asyncio.Event()

    async def slow(*_arguments, **_named):
        begun.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(webhook_execution, "try_out", slow)
    person, other = await team("CI"), await team("CI")
    testing = asyncio.create_task(person.send(f"/webhooks/{team.webhook}", do="test"))
    await begun.wait()
    _, _, gone = await other.send(f"/webhooks/{team.webhook}", do="delete", sure="yes")
    status, _, _ = await testing

    assert (gone["Location"], status) == ("/webhooks?done=deleted", 404)


async def test_a_change_leaves_what_was_shown_as_it_was(team) -> None:
    made = await team.hooks.created(
        events=["model_version.created", "COMMENT_CREATED"], description="a\u200db"
    )
    person = await team("CI")
    _, page, _ = await person.ask("GET", f"/webhooks/{made}")
    shown = unescape(re.search(r'name="description"[^>]*value="([^"]*)"', page)[1])
    chosen = re.findall(r"<option selected>([^<]*)<", page)
    await person.send(f"/webhooks/{made}", do="change", events=chosen, description=shown)

    (webhook,) = [one for one in team.hooks.state.webhooks() if one.id == made]
    assert sorted(chosen) == ["COMMENT_CREATED", "model_version.created"]
    assert (webhook.events, webhook.description) == (("model_version.created", "COMMENT_CREATED"), "a\u200db")


async def test_signing_in_again_ends_the_session_before_and_many_sessions_end_only_ones_own(
    team, monkeypatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    mine, other = await team("CI"), await team("OPERATOR")
    first = mine.cookie
    await mine.sign_in()
    second, mine.cookie = mine.cookie, first
    ended, _, _ = await mine.ask("GET", "/webhooks")
    mine.cookie = second
    for _ in range(5):
        await team("OPERATOR")

    assert ended == 303
    assert (await mine.ask("GET", "/webhooks"))[0] == 200
    assert (await other.ask("GET", "/webhooks"))[0] == 303


async def test_where_there_are_no_tokens_nobody_signs_in() -> None:
    async with api_of(Hooks()) as api:
        person = Person(api)
        status, page, _ = await person.sign_in("anything-at-all")

    assert (status, person.cookie, "the bridge has no tokens" in page) == (401, "", True)


@pytest.mark.parametrize("origin", ["http://[", "null", "http://evil.example:9464", "javascript:x"])
async def test_an_odd_origin_is_a_refusal_and_no_fault(person, origin) -> None:
    signed, _, _ = await person.ask("POST", "/sign-in", {"token": TOKEN}, Origin=origin)
    api, _, _ = await person.ask("GET", "/api/v1/status", Origin=origin)

    assert (signed, api) == (403, 403)


async def test_slow_forms_leave_the_others_their_places(person) -> None:
    head = b"POST /sign-in HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\nto"
    slow = [await asyncio.open_connection("127.0.0.1", person.api.port) for _ in range(40)]
    for _, writer in slow:
        writer.write(head)
        await writer.drain()
    await person.sign_in()
    status, _, _ = await person.ask("GET", "/webhooks")
    for _, writer in slow:
        writer.close()

    assert status == 200


async def test_thousands_of_events_are_refused_before_they_are_looked_at(person) -> None:
    await person.sign_in()
    status, page, _ = await person.send("/webhooks", url="https://h.example", events=["x" * 7] * 2_000)

    assert (status, "events: must have at most 100 items" in page) == (400, True)


async def test_odd_numbers_of_entries_are_nothing(person) -> None:
    await person.sign_in()
    status, _, _ = await person.send("/deliveries", do="drop", entries=["9" * 5_000, "²", "1" * 18])

    assert status == 303


async def test_what_a_path_takes_is_told(person) -> None:
    status, _, headers = await person.ask("DELETE", "/webhooks")

    assert (status, headers["Allow"]) == (405, "GET, HEAD, POST")
