"""``events``: the audit trail, and what the registry was like at an instant."""

import json
from dataclasses import replace

import pytest
from support.values import commit, model, transition

from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.event_synthesis import Identity
from bridge.store.poll_commit import PollCommit
from bridge.store.state_metadata import Note

HOUR, DAY = 3_600_000, 86_400_000
BASELINE = 1_793_534_400_000  # 2026-11-01T12:00:00Z
PROMOTED = "00000000-0000-5000-8000-00000000000"


def at(hours: float) -> str:
    return f"2026-11-01T{12 + int(hours):02}:{round(hours % 1 * 60):02}Z"


def promotion(number: int, hours: float, name: str = "m", **fields):
    when = round(BASELINE + hours * HOUR)
    return transition(
        number, name, **{"id": f"{PROMOTED}{number}", "timestamp": when, "observed_at": when, **fields}
    )


def polled(*events, hours: float = 0, notes=(), **fields) -> PollCommit:
    made = commit(*events, at=round(BASELINE + hours * HOUR), baseline_at=BASELINE, **fields)
    return replace(made, notes=notes)


def note(hours: float, kind: str, name: str = "", **fields) -> Note:
    return Note(round(BASELINE + hours * HOUR), kind, name, **fields)


@pytest.fixture
def trail(bridge):
    """Four polls: a promotion, a rename, a hold, and a promotion into Staging."""
    rename = promotion(
        2, 2, "n", type=K.MODEL_RENAMED, model_version=None, lane="m", changed={"previous_name": "m"}
    )
    staged = promotion(3, 4, "o", changed={"to_stage": "Staging", "from_stage": "None"})
    bridge.commit(
        polled(models=[model("m", "Staging"), model("o")]),
        polled(promotion(1, 1), hours=1, models=[model("m", "Production")]),
        replace(
            polled(rename, hours=2, removed=["m"]),
            models={"n": (model("n", "Production"), Identity("m", 1))},
        ),
        polled(hours=3, notes=[note(3, "held", detail="\x1b[2Jtoo many")]),
        polled(staged, hours=4, notes=[note(4, "missed", "o", version="1")], models=[model("o", "Staging")]),
    )
    return bridge


def listed(bridge, *arguments: str) -> list[str]:
    """Return the ids of the events and the kinds of the notes that are listed."""
    done = bridge.run("events", "list", "--output", "json", *arguments)
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    return [one["id"][-1] for one in found["events"]] + [one["kind"] for one in found["notes"]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["1", "2", "3", "held", "missed"]),
        (("--model", "m"), ["1", "2"]),
        (("--model", "n"), ["2"]),
        (("--model", "M"), []),
        (("--model", "[mo]"), ["1", "2", "3", "missed"]),
        (("--model", "m", "--model", "o"), ["1", "2", "3", "missed"]),
        (("--type", "MODEL_VERSION_TRANSITIONED_STAGE"), ["1", "3"]),
        (("--type", "MODEL_VERSION_TRANSITIONED_TO_STAGING"), ["3"]),
        (("--type", "registered_model.created"), []),
        (("--type", "held"), ["held"]),
        (("--type", "held", "--type", "REGISTERED_MODEL_RENAMED"), ["2", "held"]),
        (("--since", at(2)), ["2", "3", "held", "missed"]),
        (("--until", at(3)), ["1", "2", "held"]),
        (("--since", at(2.5), "--until", at(3.5)), ["held"]),
        (("--since", "3650d", "--type", "missed"), ["missed"]),
        (("--limit", "1"), ["missed"]),
        (("--limit", "2"), ["3", "missed"]),
    ],
)
def test_the_trail_is_filtered(trail, arguments, expected) -> None:
    assert listed(trail, *arguments) == expected


def test_a_table_is_oldest_first_and_hostile_text_does_not_reach_the_terminal(trail) -> None:
    done = trail.run("events", "list")

    assert done.code == 0
    assert [line.split() for line in done.out.splitlines()] == [
        ["OBSERVED", "EVENT", "MODEL", "VERSION", "CHANGE", "ID"],
        [
            "2026-11-01",
            "13:00:00Z",
            "MODEL_VERSION_TRANSITIONED_STAGE",
            "m",
            "1",
            "Staging",
            "→",
            "Production",
            "00000000",
        ],
        ["2026-11-01", "14:00:00Z", "REGISTERED_MODEL_RENAMED", "n", "-", "previous_name=m", "00000000"],
        ["2026-11-01", "15:00:00Z", "held", "-", "-", "\ufffd[2Jtoo", "many", "-"],
        [
            "2026-11-01",
            "16:00:00Z",
            "MODEL_VERSION_TRANSITIONED_STAGE",
            "o",
            "1",
            "None",
            "→",
            "Staging",
            "00000000",
        ],
        ["2026-11-01", "16:00:00Z", "missed", "o", "1", "-", "-"],
    ]


def test_a_table_shows_the_newest_and_says_how_many_older_ones_there_are(bridge) -> None:
    events = [promotion(n, 1, id=f"event-{n}") for n in range(53)]
    bridge.commit(polled(), polled(*events, hours=1))

    few, all_ = bridge.run("events", "list"), bridge.run("events", "list", "--limit", "60")

    assert (len(few.out.splitlines()), few.out.splitlines()[-1]) == (52, "(3 older: --limit 53 shows all)")
    assert (len(all_.out.splitlines()), "older" in all_.out) == (54, False)
    assert len(listed(bridge)) == 53


@pytest.mark.parametrize("limit", range(1, 7))
def test_the_newest_are_the_end_of_the_whole_list(trail, limit) -> None:
    """With no filter they are read from the end; with a filter that takes everything, from the beginning."""

    def shown(*arguments: str) -> dict:
        return json.loads(trail.run("events", "list", "--output", "json", *arguments).out)

    assert shown("--limit", str(limit)) == shown("--limit", str(limit), "--model", "*", "--since", "3650d")


def test_after_the_clock_was_set_back_the_newest_are_the_end_of_the_whole_list_too(bridge) -> None:
    early = [promotion(n, 4 + n / 10) for n in range(4)]
    late = [promotion(n, 1 + n / 10) for n in range(4, 6)]
    bridge.commit(
        polled(*early, hours=4, notes=[note(3.9, "held"), note(4.2, "missed")]),
        polled(*late, hours=1, notes=[note(1.45, "late")], revision=1),
    )
    for limit in ("1", "2", "3", "8"):
        assert listed(bridge, "--limit", limit) == listed(bridge, "--limit", limit, "--model", "*")


def test_without_a_state_it_is_said_plainly(bridge) -> None:
    assert bridge.run("events", "list").out.startswith("no state yet: the first poll takes the baseline")
    assert listed(bridge) == []
    shown = bridge.run("events", "show", "x")
    assert (shown.code, "there is no state yet" in shown.err) == (1, True)
    then = bridge.run("events", "list", "--at", "1h")
    assert (then.code, then.err.startswith("mlflow-bridge: not known: there is no state yet")) == (1, True)
    assert not (bridge.folder / "state").exists()


def test_with_a_state_in_which_nothing_fits_it_is_said_too(trail) -> None:
    assert trail.run("events", "list", "--model", "x").out == "nothing that was observed fits\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--type", "MODEL_VERSION_ALIAS_SETT"), "did you mean 'MODEL_VERSION_ALIAS_SET'?"),
        (("list", "--type", "heldd"), "did you mean 'held'?"),
        (("list", "--since", "soon"), "'soon' is no instant"),
        (("list", "--limit", "0"), "0 is not in the range"),
        (("list", "--at", "1h", "--type", "held"), "--at asks for an instant"),
        (("list", "--at", "1h", "--since", "2h"), "--at asks for an instant"),
        (("show",), "Missing argument 'ID'"),
        (("show", " "), "ID: is empty"),
    ],
)
def test_wrong_usage_exits_2(bridge, arguments, message) -> None:
    done = bridge.run("events", *arguments)

    assert (done.code, message in done.err) == (2, True), done.err


def test_a_state_of_another_registry_is_refused(trail) -> None:
    trail.configure(registry="http://elsewhere")

    for arguments in (("list",), ("list", "--at", "1h"), ("show", PROMOTED)):
        done = trail.run("events", *arguments)
        assert (done.code, "mlflow-bridge state rebind" in done.err) == (78, True)


def test_an_event_is_shown_with_its_deliveries(bridge) -> None:
    event = promotion(
        1, 1, "e\x1bvil", flags=("first_seen",), changed={"to_stage": "x" * 60, "from_stage": None}
    )
    made = bridge.commit(polled(event, hours=1, sinks=("ci", "deploy")))
    tried = {"attempts": 3, "last_attempt_at": BASELINE, "http_status": 503}
    bridge.settle([replace(made[0], reason="server_error", detail="HTTP 503: \x1b[2J", **tried)])

    done, raw = (bridge.run("events", "show", PROMOTED, *more) for more in ((), ("--output", "json")))

    for line in (
        "model       e\ufffdvil",
        f"to_stage    {'x' * 60}",
        "user        -",
        f"timestamp   2026-11-01 13:00:00Z ({BASELINE + HOUR})",
        "flags       first_seen",
        "1      ci      pending  3         server_error  503   2026-11-01 12:00:00Z",
        "2      deploy  pending  0         -             -     -",
        "ci: HTTP 503: \ufffd[2J",
    ):
        assert line in done.out
    shown = json.loads(raw.out)
    tried, waits = shown.pop("deliveries")
    assert (tried["reason"], waits["reason"], tried.keys()) == ("server_error", "", waits.keys())
    assert shown == event.to_document()


def test_an_event_that_no_sink_asked_for_says_so(bridge) -> None:
    bridge.commit(polled(promotion(1, 1), hours=1, sinks=()))

    assert bridge.run("events", "show", PROMOTED).out.endswith("\n\nno sink asked for it\n")


def test_an_id_may_be_given_by_its_beginning_unless_others_begin_so(trail) -> None:
    assert trail.run("events", "show", f"{PROMOTED}2").code == 0
    several = trail.run("events", "show", "00000000-0000-5000")
    none = trail.run("events", "show", "7")

    assert (several.code, several.out) == (1, "")
    assert several.err.startswith(
        "mlflow-bridge: 3 events have an id that begins with '00000000-0000-5000':\n"
    )
    assert f"  {PROMOTED}2  REGISTERED_MODEL_RENAMED  n\n" in several.err
    assert (none.code, "no event has an id that begins with '7'" in none.err) == (1, True)


def test_the_id_of_an_event_that_was_sent_again_under_another_leads_to_it(bridge) -> None:
    made = bridge.commit(polled(promotion(1, 1), promotion(2, 1), hours=1))
    bridge.settle([replace(made[1], sent_as="77777777-0000-4000-8000-000000000000")])

    done = bridge.run("events", "show", "7777", "--output", "json")

    assert json.loads(done.out)["id"] == f"{PROMOTED}2"
    assert bridge.run("events", "show", "7777").code == 0


def test_of_many_candidates_the_newest_are_listed(bridge) -> None:
    bridge.commit(
        polled(
            *(
                promotion(
                    n,
                    1,
                    id=f"e{n:02}",
                )
                for n in range(12)
            ),
            hours=1,
        )
    )

    done = bridge.run("events", "show", "E")

    assert "\n  … 2 older ones\n" in done.err
    assert [line.split()[0] for line in done.err.splitlines()[2:]] == [f"e{n:02}" for n in range(2, 12)]


def test_a_whole_id_is_meant_also_where_another_begins_so(bridge) -> None:
    bridge.commit(polled(promotion(1, 1, id="e1"), promotion(2, 1, id="e12"), hours=1))

    assert json.loads(bridge.run("events", "show", "e1", "--output", "json").out)["id"] == "e1"


def then(bridge, instant: str, *arguments: str) -> dict:
    done = bridge.run("events", "list", "--output", "json", "--at", instant, *arguments)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_which_version_was_in_production_then(trail) -> None:
    before = trail.run("events", "list", "--model", "m", "--at", at(0.5))
    after = trail.run("events", "list", "--model", "n", "--at", at(1.5))

    assert before.code == 0
    assert [line.split() for line in before.out.splitlines()] == [
        ["as", "of", "2026-11-01", "12:30:00Z"],
        ["MODEL", "VERSION", "STAGE", "ALIASES", "SINCE"],
        ["m", "(now", "n)", "1", "Staging", "-", "-"],
    ]
    assert "m (now n)  1        Production  -        2026-11-01 13:00:00Z" in after.out
    (found,) = then(trail, at(1.5), "--model", "n")["models"]
    assert (found["name"], found["now"], found["versions"][0]["stage"]) == ("m", "n", "Production")


def test_before_the_baseline_it_is_not_known(trail) -> None:
    done = trail.run("events", "list", "--model", "m", "--at", "2026-11-01T11:59Z")

    assert (done.code, done.out) == (1, "")
    assert done.err == "mlflow-bridge: not known before 2026-11-01 12:00:00Z: the baseline was taken then\n"


def test_before_a_rebaseline_it_is_not_known_either(trail) -> None:
    trail.commit(polled(hours=5, notes=[note(5, "rebaselined")]))

    done = trail.run("events", "list", "--at", at(4.5))

    assert (done.code, "the registry was recorded anew then" in done.err) == (1, True)
    assert len(then(trail, at(5))["models"]) == 2


def test_what_limits_an_answer_is_said(trail) -> None:
    """Held since 15:00, and read last at 16:00."""
    held = trail.run("events", "list", "--at", at(3.5))
    later = then(trail, at(6))["cautions"]
    trail.commit(polled(hours=7, notes=[note(7, "accepted")]))
    accepted = then(trail, at(3.5))["cautions"]

    assert held.err == (
        "mlflow-bridge: changes are held since 2026-11-01 15:00:00Z: they are not in this answer (see status)\n"
    )
    assert [caution.partition(":")[0] for caution in later] == [
        "the registry was last read at 2026-11-01 16",
        "changes are held since 2026-11-01 15",
    ]
    assert [caution.partition(":")[0] for caution in accepted] == ["changes were held until 2026-11-01 19"]
    assert (then(trail, at(2))["cautions"], then(trail, at(7))["cautions"]) == ([], [])


def test_a_model_deleted_since_or_in_view_later_is_marked(trail) -> None:
    gone = promotion(5, 5, "o", type=K.MODEL_DELETED, model_version=None, changed={})
    trail.commit(
        polled(
            gone, hours=5, removed=["o"], models=[model("p", versions=0)], notes=[note(5, "appeared", "p")]
        )
    )

    done = trail.run("events", "list", "--at", at(4.5))
    last = trail.run("events", "list", "--model", "p", "--at", at(5))

    assert "o (deleted since)  1        Staging" in done.out
    assert "o was deleted since: it may have had versions that no event tells of" in done.err
    assert "p came into view at 2026-11-01 17:00:00Z: it is not known before" in done.err
    assert last.out.splitlines()[-1].split() == ["p", "-", "-", "-", "-"]


def test_nothing_that_fits_then_is_an_answer(trail) -> None:
    done = trail.run("events", "list", "--model", "x", "--at", at(1))

    assert (done.code, done.out) == (0, "as of 2026-11-01 13:00:00Z\nno model was there that fits\n")


def test_long_answers_are_cut_at_the_end(trail) -> None:
    trail.commit(polled(models=[model("p", versions=60)], hours=5))

    done = trail.run("events", "list", "--model", "p", "--at", at(5))

    assert (len(done.out.splitlines()), done.out.splitlines()[-1]) == (53, "(10 more: --limit 60 shows all)")


def test_the_zone_that_was_assumed_is_told(trail) -> None:
    done = trail.run("events", "list", "--since", "2026-11-01T00:00")

    assert done.err.startswith("mlflow-bridge: times without a zone are local: ")
