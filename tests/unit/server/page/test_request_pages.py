"""The pages of transition requests: who asks and decides there, and what they see."""

import pytest
from support.done import done
from support.hooks import Hooks, api_of, settings_of
from support.values import commit, model, request
from support.visitor import EYE, HOSTILE, TOKEN, Person

from bridge.governance.gate import Finding, GateMode, Verdict
from bridge.governance.transition_target import Target
from bridge.server.page.request_pages import compared
from bridge.store.base import GovernanceCommit

ALL = {"name": "ci", "token": {"env": "CI"}, "may": ["read", "request", "decide"]}
ASKER = {"name": "asker", "token": {"env": "ASKER"}, "may": ["read", "request"]}
THEIRS = "tr_" + "1" * 32
VERDICT = Verdict(
    "quality",
    GateMode.DECIDE,
    Finding.FAILED,
    (f"accuracy: {HOSTILE}",),
    {"run.metrics.accuracy": 0.8, "incumbent.run.metrics.accuracy": 0.9},
    1,
)
GATE = {
    "name": "quality",
    "to_stages": ["Production"],
    "checks": [{"name": "accuracy", "require": "run.metrics.accuracy >= `0.9`"}],
}


@pytest.fixture
async def person(monkeypatch):
    monkeypatch.setenv("CI", TOKEN)
    monkeypatch.setenv("EYE", "eye" * 10)
    monkeypatch.setenv("ASKER", "asker" * 5)
    hooks = Hooks()
    hooks.settings = settings_of(gates=[GATE])
    done(hooks.state.commit_poll(commit(models=[model(versions=2)])))
    theirs = request(THEIRS, comment=HOSTILE, verdicts=(VERDICT,))
    done(hooks.state.commit_governance(GovernanceCommit(2_000, [theirs])))
    async with api_of(hooks, ALL, EYE, ASKER) as api:
        somebody = Person(api)
        somebody.hooks = hooks
        yield somebody


async def test_the_list_shows_requests_gates_and_a_form_for_who_may_ask(person) -> None:
    await person.sign_in()
    _, page, _ = await person.ask("GET", "/requests")
    await person.sign_in("eye" * 10)
    _, looking, _ = await person.ask("GET", "/requests?status=pending&model=m")
    _, none, _ = await person.ask("GET", "/requests?status=applied")

    assert all(one in page for one in (THEIRS[:13], "quality</bdi>: failed", "run.metrics.accuracy"))
    assert 'action="/requests" class="fields"' in page
    assert "may <code>request</code>" in looking
    assert "There are none." in none
    assert "<script>" not in page
    assert "<img" not in page


async def test_somebody_asks_sees_it_and_somebody_else_decides(person) -> None:
    await person.sign_in("asker" * 5)
    status, _, headers = await person.send(
        "/requests", name="m", version="1", target="production", comment="good", archives="yes"
    )
    place = headers["Location"].partition("?")[0]
    _, own, _ = await person.ask("GET", place)
    await person.sign_in()
    _, theirs, _ = await person.ask("GET", place)
    decided, _, after = await person.send(place, do="approve", comment="fine", archives="yes")

    assert status == 303
    assert 'value="approve"' not in own
    assert 'value="cancel"' in own
    assert all(one in theirs for one in ('value="approve"', 'value="reject"', "good", THEIRS[:13]))
    assert (decided, after["Location"]) == (303, f"{place}?done=approved")
    found = person.hooks.state.request(place.rpartition("/")[2])
    assert [(one.by, one.comment) for one in found.approvals] == [("ci", "fine")]
    assert found.archives


async def test_nobody_is_offered_to_decide_on_their_own_request(person) -> None:
    await person.sign_in()
    _, _, headers = await person.send("/requests", name="m", version="1", target="Production")
    _, own, _ = await person.ask("GET", headers["Location"].partition("?")[0])

    assert 'value="approve"' not in own
    assert 'value="reject"' not in own
    assert 'value="cancel"' in own
    assert "somebody else decides" in own


async def test_the_page_of_a_request_has_what_its_checks_used_beside_the_incumbents(person) -> None:
    await person.sign_in()
    _, page, _ = await person.ask("GET", f"/requests/{THEIRS}")
    missing, _, _ = await person.ask("GET", "/requests/tr_none")

    assert all(one in page for one in ("run.metrics.accuracy", "0.8", "0.9", "This version", "Incumbent"))
    assert "<script>" not in page
    assert missing == 404


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"name": "nobody", "version": "1", "target": "Staging"}, "has no model"),
        ({"name": "m", "version": "1", "target": "Nirvana"}, "is no stage"),
        ({"name": "", "version": "1", "target": "@x"}, "name"),
    ],
)
async def test_a_request_that_cannot_be_made_is_told_and_what_was_typed_stays(person, what, told) -> None:
    await person.sign_in()
    status, page, _ = await person.send("/requests", **what, comment="typed before")

    assert (status, told in page, "typed before" in page) == (400, True, True)


async def test_who_may_not_decide_cannot_and_no_other_word_does_anything(person) -> None:
    await person.sign_in("asker" * 5)
    refused, why, _ = await person.ask("GET", f"/requests/{THEIRS}")
    token_page = (await person.ask("GET", "/requests"))[1]
    token = token_page.partition('name="form_token" value="')[2].partition('"')[0]
    form = {"form_token": token, "do": "approve"}
    approved, told, _ = await person.ask("POST", f"/requests/{THEIRS}", form)
    cancelled, _, _ = await person.ask("POST", f"/requests/{THEIRS}", {**form, "do": "cancel"})
    nothing, _, _ = await person.ask("POST", f"/requests/{THEIRS}", {**form, "do": "dance"})

    assert (refused, approved, cancelled, nothing) == (200, 403, 403, 403)
    assert "may not do this" in told
    assert "Decide" not in why


def test_values_stand_beside_those_of_the_incumbent() -> None:
    values = {
        "run.metrics.a": 1,
        "incumbent.run.metrics.a": 2,
        "incumbent.run.metrics.b": 3,
        "incumbent": None,
    }

    assert compared(values) == [("run.metrics.a", 1, 2), ("run.metrics.b", None, 3)]


async def test_a_request_for_an_alias_is_shown_with_who_has_it(person) -> None:
    alias = request("tr_" + "2" * 32, target=Target(alias="champion"), before="2")
    done(person.hooks.state.commit_governance(GovernanceCommit(2_000, [alias])))
    await person.sign_in()
    _, page, _ = await person.ask("GET", f"/requests/{alias.id}")

    assert "@champion" in page
    assert "Alias is at version" in page
