"""The pages on which people act: who sees them, whose forms they take, and what they show."""

import asyncio
import re
from html import unescape
from urllib.parse import urlencode

import pytest
from support.done import done
from support.hooks import TRANSITION, Hooks, api_of, settings_of
from support.values import commit, model, onto, transition

from bridge.delivery.outbox_entry import Status
from bridge.server.page import sessions as module
from bridge.server.page.sessions import COOKIE, Sessions
from bridge.server.token_authority import NOBODY, Caller, Unauthenticated

TOKEN = "0123456789abcdef0123456789abcdef"
ALL = {"name": "ci", "token": {"env": "CI"}, "may": ["read", "operate", "webhooks"]}
EYE = {"name": "eye", "token": {"env": "EYE"}, "may": ["read"]}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


class Person:
    """Somebody with a browser that keeps cookies, and sends what a browser sends."""

    def __init__(self, api) -> None:
        self.api, self.cookie = api, ""

    async def ask(self, method: str, path: str, form=None, **headers):
        body = urlencode(form, doseq=True).encode() if form is not None else None
        sent = {
            "Cookie": f"{COOKIE}={self.cookie}",
            "Content_Type": "application/x-www-form-urlencoded",
            **headers,
        }
        status, text, got = await asyncio.to_thread(self.api.raw, method, path, body, **sent)
        cookie = re.match(rf"{COOKIE}=([^;]*)", got.get("Set-Cookie", ""))
        if cookie:
            self.cookie = cookie[1]
        return status, text.decode(), got

    async def sign_in(self, token: str = TOKEN, place: str = "/webhooks"):
        return await self.ask("POST", "/sign-in", {"token": token, "next": place})

    async def send(self, path: str, **form):
        """Send a form of a page, as it is on that page."""
        _, page, _ = await self.ask("GET", path)
        token = re.search(r'name="form_token" value="([^"]*)"', page)[1]
        return await self.ask("POST", path, {"form_token": token, **form})


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
    ],
)
async def test_signing_in_leads_nowhere_else(person, place) -> None:
    _, _, headers = await person.sign_in(place=place)

    assert headers["Location"] == "/"


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
    _, _, redriven = await person.send("/deliveries", do="redrive", entries=["1"])
    _, _, dropped = await person.send("/deliveries", do="drop", entries=["2", "x", "-1"])
    nothing, _, _ = await person.send("/deliveries", do="drop")
    _, _, again = await person.send("/deliveries", do="redrive", entries=["1"])

    assert re.findall(r'name="entries" value="(\d+)"', page) == ["2", "1"]
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
