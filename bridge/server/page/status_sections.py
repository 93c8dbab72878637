"""The sections of the status page about overall health, the registry, the polls and the sinks."""

import re
from collections.abc import Sequence

from bridge.delivery.attempt_outcome import Reason
from bridge.events.display_text import count, span
from bridge.server.page.html_escaping import Html, element
from bridge.server.page.page_elements import (
    MESSAGE,
    NOTHING,
    badge,
    code,
    duration,
    facts,
    foreign,
    moment,
    section,
    table,
)
from bridge.server.page.problem_advice import Finding, Level
from bridge.server.page.view_model import Facts, View

_USERINFO = re.compile(r"//[^/?#]*@")


def verdict(view: View, found: Sequence[Finding]) -> Html:
    """Return the section with the overall health and the findings."""
    to_do = sum(one.level is Level.ACT for one in found)
    kind = "bad" if to_do else "warn" if found else "good"
    heading = element("h2", sentence(found), id="verdict")
    told = element("ul", *map(_finding, found)) if found else element("p", _calm(view))
    return element("section", heading, told, class_=f"verdict {kind}", aria_labelledby="verdict")


def _calm(view: View) -> Html:
    waiting = sum(sink["pending"] for sink in view.sinks)
    read = moment(view.poll.succeeded_at if view.poll else None, view.now_ms)
    left = f"{waiting:,} on their way." if waiting else "nothing waits."
    return Html("The registry was read ", read, "; ", left)


def sentence(found: Sequence[Finding]) -> str:
    """Return the overall health as a short sentence."""
    to_do = sum(one.level is Level.ACT for one in found)
    if to_do:
        return "1 thing needs you" if to_do == 1 else f"{to_do} things need you"
    return "Running, with something to know" if found else "All is well"


def _finding(one: Finding) -> Html:
    must = one.level is Level.ACT
    return element(
        "li",
        element(
            "p",
            badge("bad" if must else "warn", "to do" if must else "note"),
            " ",
            element("strong", one.what),
        ),
        element("p", foreign(one.why, MESSAGE), class_="why") if one.why else None,
        element("p", one.advice) if one.advice else None,
        element("p", *map(code, one.commands), class_="chips") if one.commands else None,
    )


def registry(view: View) -> Html:
    """Return the section about the registry: its URL, whether it is reached, its version and abilities."""
    told, poll = view.registry, view.poll
    known: dict[str, str | int | Html | None] = {
        "Place": foreign(_USERINFO.sub("//***@", told["uri"].partition("?")[0]))
    }
    if told["workspace"]:
        known["Workspace"] = foreign(told["workspace"])
    known["Reached"] = _reached(view)
    known["Server"] = _server(told)
    if poll is not None and poll.succeeded_at is not None:
        known["Holds"] = f"{count(poll.models, 'model', ',')}, {count(poll.versions, 'version', ',')}"
    return section("registry", "Registry", facts(known))


def _reached(view: View) -> Html:
    poll = view.poll
    if poll is None:
        return badge("calm", "not asked yet")
    last = moment(poll.succeeded_at, view.now_ms)
    if poll.outcome == "failed":
        return Html(badge("bad", "not now"), " last read ", last)
    return Html(badge("good", "yes"), " ", last)


def _server(told: Facts) -> Html:
    if told["abilities"] is None:
        return Html("not asked yet")
    server = foreign(told["server"]) if told["server"] else Html("does not tell its version")
    return Html(server, "; lacks ", ", ".join(told["lacks"])) if told["lacks"] else server


def polls(view: View) -> Html:
    """Return the section about the last poll and the last full scan, and when the next are due."""
    columns = ("Read", "When", "Took", "Outcome", "Next")
    rows = [_last_poll(view), _last_scan(view)]
    return section(
        "polls", "Polls", table("The last reads of the registry", columns, [one for one in rows if one])
    )


def _last_poll(view: View) -> Sequence[str | Html] | None:
    poll, pulse = view.poll, view.pulse
    if pulse.polling_for is not None:
        soon = f"under way for {span(pulse.polling_for)}"
    else:
        soon = "not planned" if pulse.next_poll_in is None else f"in {span(pulse.next_poll_in)}"
    if poll is None:
        return "Last poll", "none yet", "", badge("calm", "starting"), soon
    name = f"Last poll ({poll.kind})" if poll.kind else "Last poll"
    return name, moment(poll.attempted_at, view.now_ms), took(poll.duration_ms), _outcome(poll.outcome), soon


def _last_scan(view: View) -> Sequence[str | Html] | None:
    scan = view.scan
    if scan is None:
        return None
    soon = f"in {span(scan['next_in_ms'])}"
    if scan["is_slowed_by_share"]:
        soon += ", slowed: it may keep the registry busy for a small share of the time"
    outcome = _outcome(("ok" if scan["is_over"] else "goes on") if scan["went_well"] else "failed")
    return "Last full scan", moment(scan["at"], view.now_ms), took(scan["duration_ms"]), outcome, soon


def _outcome(outcome: str) -> Html:
    return badge({"ok": "good", "failed": "bad"}.get(outcome, "warn"), outcome)


def took(milliseconds: int) -> str:
    """Return a duration as text, in milliseconds or seconds."""
    return f"{milliseconds} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"  # noqa: PLR2004


def sinks(view: View) -> Html | None:
    """Return the section about the sinks' states and backlogs; None without sinks."""
    columns = ("Sink", "Condition", "Delivers to", "Waiting", "Dead", "Delivered", "Last attempt")
    rows = [_sink(one, view.now_ms) for one in view.sinks]
    return section("sinks", "Sinks", table("Who gets what, and what waits", columns, rows)) if rows else None


_CONDITIONS = {"running": "good", "failing": "bad", "stopped": "bad"}


def _sink(sink: Facts, now_ms: int) -> Sequence[str | Html]:
    condition = badge(_CONDITIONS.get(sink["condition"], "warn"), sink["condition"])
    since = sink["condition_since"]
    kind = sink["type"] or "no such sink in the configuration"
    return (
        Html(sink["name"], element("span", kind, class_="beside")),
        Html(condition, " ", duration(since, now_ms)) if since else condition,
        foreign(sink["to"] or NOTHING),
        _backlog(sink),
        badge("bad", f"{sink['dead']:,}") if sink["dead"] else "0",
        f"{sink['delivered']:,}",
        _last_attempt(sink, now_ms),
    )


def _backlog(sink: Facts) -> str | Html:
    if not sink["pending"]:
        return "0"
    age = span((sink["oldest_age_seconds"] or 0) * 1000)
    left = sink["next_attempt_seconds"]
    soon = f", tried again in {span(left * 1000)}" if left else ""
    return Html(
        element("strong", f"{sink['pending']:,}"), element("span", f"oldest {age}{soon}", class_="beside")
    )


def _last_attempt(sink: Facts, now_ms: int) -> Html:
    outcome = sink["last_outcome"]
    if not outcome:
        return Html("none yet")
    word = badge("good", "delivered") if outcome == Reason.OK else badge("bad", outcome)
    return Html(word, element("span", moment(sink["last_attempt_at"], now_ms), class_="beside"))
