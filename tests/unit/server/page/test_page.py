"""The status page, of a night in which not all is well."""

from dataclasses import replace

import pytest
from support.page_reader import Node, read
from support.page_story import GITHUB_RUN, MINUTE, NOW, Story

from bridge.delivery.outbox_entry import Status
from bridge.diff.registry_changes import ChangeKind
from bridge.server.page.page_templates import is_link, shortened
from bridge.server.page.status_page import refresh_of, render
from bridge.server.page.status_page_data import View


@pytest.fixture(autouse=True)
def token(monkeypatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret")


def page(view: View, **options) -> Node:
    return read(render(view, **options))


def test_the_night_is_told_with_what_helps() -> None:
    shown = page(Story().view())
    told = shown.within("verdict")

    assert told.all("h2")[0].text == "2 things need you"
    assert [one.text for one in told.all("strong")] == [
        "ci takes nothing: 2 entries wait, the oldest for 44m",
        "governance: 1 dead letter, not delivered and not tried again",
    ]
    assert [one.text for one in told.all("code")] == [
        "mlflow-bridge sinks test ci",
        "mlflow-bridge outbox list --sink ci",
        "mlflow-bridge outbox list --status dead --sink governance",
        "mlflow-bridge outbox redrive --sink governance",
    ]
    assert "connection refused: ci.acme.internal port 443" in told.text
    assert shown.all("title")[0].text.startswith("2 things need you")


def test_a_night_in_which_nothing_is_wrong_says_so() -> None:
    shown = page(Story(well=True).view())

    assert shown.within("verdict").text == "All is wellThe registry was read 12s ago; nothing waits."
    assert [one.text for one in shown.all("h2")] == [
        *("All is well", "Registry", "Polls", "Sinks", "What changed lately")
    ]


def test_registry_polls_and_sinks_are_shown() -> None:
    shown = page(Story().view())

    facts = shown.within("registry").all("dl")[0]
    names, values = ([one.text for one in facts.all(tag)] for tag in ("dt", "dd"))
    assert list(zip(names, values, strict=True)) == [
        ("Place", "https://mlflow.acme.internal"),
        ("Reached", "✓ yes 12s ago"),
        ("Server", "3.17.2"),
        ("Holds", "214 models, 1,893 versions"),
    ]
    rows = [[cell.text for cell in row.children] for row in shown.within("polls").all("tr")[1:]]
    assert rows[0] == ["Last poll (fast)", "12s ago", "41 ms", "✓ ok", "in 18s"]
    assert rows[1][:4] == ["Last full scan", "6m ago", "3140 ms", "✓ ok"]
    sinks = {row.children[0].children[0]: row.text for row in shown.within("sinks").all("tr")[1:]}
    assert "✕ failing" in sinks["ci"]
    assert "2oldest 44m, tried again in 60s" in sinks["ci"]
    assert "https://api.github.com acme/deploy" in sinks["deploy"]


def test_what_changed_is_shown_by_model_the_newest_first_with_its_deliveries() -> None:
    timeline = page(Story().view()).within("timeline")

    names = [row.text for row in timeline.all("tr") if row.attributes.get("class") == "model"]
    assert names == ["support-triage", "fraud-detector", "price-elasticity", "churn"]
    on_its_way = "! ci pending: connect✓ deploy delivered✓ governance delivered"
    refused = "✓ ci delivered✓ deploy delivered✕ governance dead: refused"
    fraud = [row.text for row in timeline.all("tbody")[1].all("tr")[1:]]
    assert fraud == [
        "44m agoMODEL_VERSION_ALIAS_SET7alias=champion, previous_version=6" + on_its_way,
        "61m agoMODEL_VERSION_TRANSITIONED_STAGE7Staging → Production" + refused,
    ]
    links = {one.attributes["href"] for one in timeline.all("a")}
    assert links == {GITHUB_RUN, *(f"./models?name={name}" for name in names)}


def test_a_renamed_model_is_one_by_its_last_name() -> None:
    story = Story(well=True)
    story.happen(5, "customer-churn", None, ChangeKind.MODEL_RENAMED, lane="churn", previous_name="churn")
    groups = page(story.view()).within("timeline").all("tbody")

    assert groups[0].all("tr")[0].text == "customer-churn"
    assert len(groups[0].all("tr")) == 1 + 4


def test_a_dead_letter_has_its_attempts() -> None:
    story = Story(well=True)
    entry, *_ = story.moved(30, "fraud-detector", "8", "Staging", "Production")
    story.failed(entry, "connection refused", 29)
    story.failed(entry, "HTTP 400: no such model", 28, status=Status.DEAD, reason="refused", http_status=400)
    (letter,) = page(story.view()).within("dead").all("li")

    assert letter.all("h3")[0].text == f"{entry.id} to ci: fraud-detector version 8"
    assert letter.all("code")[-1].text == f"mlflow-bridge outbox redrive {entry.id}"
    assert letter.all("summary")[0].text == "2 attempts"
    rows = [[cell.text for cell in row.children] for row in letter.all("tr")[1:]]
    assert [row[0] for row in rows] == ["1", "2"]
    assert rows[0][3:] == ["-", "connect", "connection refused"]
    assert rows[1][3:] == ["400", "refused", "HTTP 400: no such model"]


def test_older_dead_letters_are_counted() -> None:
    story = Story(well=True)
    for number in range(23):
        entry, *_ = story.moved(20, "m", str(number), "None", "Staging")
        story.failed(entry, "no", 20 - number % 10, status=Status.DEAD, reason="refused")
    dead = page(story.view()).within("dead")

    assert len(dead.all("li")) == 20
    assert "3 older: mlflow-bridge outbox list --status dead" in dead.text


def test_before_the_first_poll_it_says_that() -> None:
    story = Story()
    fresh = replace(story.view(), poll=None, scan=None, sinks=(), events=(), entries=(), dead=())
    shown = page(fresh)

    assert "No poll has ended yet" in shown.within("verdict").text
    assert "Nothing was observed yet" in shown.within("timeline").text


def test_deliveries_that_are_too_long_ago_to_be_known_are_not_made_up() -> None:
    view = Story().view()
    few = list(view.entries)[:3]
    shown = page(replace(view, entries=few, has_all_entries=False)).within("timeline")
    nothing_asked = page(replace(view, entries=few)).within("timeline")

    assert "longer ago than shown here" in shown.text
    assert "no sink asked for it" not in shown.text
    assert "no sink asked for it" in nothing_asked.text


def test_a_registry_that_names_its_credentials_shows_without() -> None:
    view = Story().view()
    uri = "postgresql://mlflow:s3cret@db/registry?password=s3cret"
    shown = render(replace(view, registry={**view.registry, "uri": uri})).decode()

    assert "s3cret" not in shown
    assert "postgresql://***@db/registry" in shown


def test_a_name_of_500_characters_shows_its_beginning_and_its_end() -> None:
    long = "a" * 250 + "b" * 250

    assert shortened(long) == "a" * 80 + " … " + "b" * 30
    assert shortened("a" * 120) == "a" * 120
    assert shortened(long, 600) == long


@pytest.mark.parametrize(
    "target", ["javascript:alert(1)", "", "https://x y", "http://" + "x" * 600, "https://é"]
)
def test_a_link_that_is_none_is_text(target) -> None:
    story = Story(well=True)
    entry, *_ = story.moved(30, "m", "8", "Staging", "Production")
    view = story.view()
    linked = [replace(one, link=target, status=Status.DELIVERED) for one in view.entries]
    shown = page(replace(view, entries=linked)).within("timeline")

    assert not is_link(target)
    assert f"{entry.sink} delivered" in shown.text
    assert all(one.attributes["href"].startswith("./models?name=") for one in shown.all("a"))


def test_it_is_one_document_without_script_or_anything_from_elsewhere() -> None:
    shown = page(Story().view())

    assert shown.all("html")[0].attributes == {"lang": "en"}
    assert not {one.tag for one in shown.all()} & {"script", "link", "img", "iframe", "form"}
    assert len(shown.all("main")) == len(shown.all("h1")) == len(shown.all("title")) == 1
    for table in shown.all("table"):
        assert table.all("caption")[0].text
        assert all(head.attributes.get("scope") for head in table.all("th"))
    ids = [one.attributes["id"] for one in shown.all() if "id" in one.attributes]
    assert len(ids) == len(set(ids))


def test_no_badge_tells_by_its_colour_alone() -> None:
    badges = [one for one in page(Story().view()).all("span") if "badge" in one.attributes.get("class", "")]

    assert len(badges) > 20
    for one in badges:
        kind = one.attributes["class"].split()[1]
        assert one.text.startswith({"good": "✓ ", "bad": "✕ ", "warn": "! ", "calm": "· "}[kind])
        assert len(one.text) > 2


@pytest.mark.parametrize(
    ("query", "seconds"),
    [("refresh=30", 30), ("x=1&refresh=300", 300), ("", None), ("refresh=1", None), ("refresh=31", None)]
    + [(f"refresh={bad}", None) for bad in ("", "x", "-30", "²", "9" * 5_000, "30;url=//evil", "%ff")],
)
def test_it_is_loaded_anew_only_as_often_as_makes_sense(query, seconds) -> None:
    assert refresh_of(query) == seconds


def test_a_page_that_is_loaded_anew_says_so_and_how_to_stop_it() -> None:
    still, moving = page(Story().view()), page(Story().view(), refresh_s=30)

    assert [one for one in still.all("meta") if "http-equiv" in one.attributes] == []
    assert still.all("header")[0].all("a")[-1].attributes["href"] == "?refresh=30"
    assert [one.attributes["content"] for one in moving.all("meta") if "http-equiv" in one.attributes] == [
        "30"
    ]
    assert moving.all("header")[0].all("a")[-1].attributes["href"] == "./"


def test_an_age_is_of_the_moment_at_which_the_page_was_made() -> None:
    times = page(Story().view()).within("timeline").all("time")

    assert (times[0].text, times[0].attributes["datetime"]) == ("34m ago", "2026-11-24T02:28:11Z")
    assert NOW - 34 * MINUTE == 1_795_487_291_000


def test_a_sink_that_takes_nothing_says_for_how_long() -> None:
    story = Story(well=True)
    story.pause("deploy", 50)
    shown = page(story.view())

    assert "! paused for 50m" in shown.within("sinks").text
    assert "deploy is paused since 2026-11-24 02:12:11Z" in shown.within("verdict").text
