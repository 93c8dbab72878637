"""What counts as delivered: what the API of a kind answers to it, or what an ``http`` sink's condition says."""

import json

import pytest
from pydantic import ValidationError
from support.receiver import Answer, RawReceiver, Receiver
from support.sinks import attempt, settings_of

from bridge.config import build
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.errors import ConfigurationError
from bridge.sinks.sink_type_table import SETTINGS

SECRET = "s3cret-Token/+="
HTML = {"Content-Type": "text/html; charset=utf-8"}
SIGN_IN = Answer(200, HTML, b"<!doctype html><html><title>Sign in</title></html>")
BARE_PAGE = Answer(200, {}, b"\n<html><title>Down for maintenance</title></html>")
RUN = b'{"workflow_run_id": 7, "run_url": "https://api.example.com/x", "html_url": "https://example.com/7"}'
PIPELINE = b'{"id": 257, "web_url": "https://gitlab.example.com/p/257"}'
TOKEN = {"token": {"env": "SINK_SECRET"}}
KINDS = {
    "github_dispatch": (
        "api_url",
        {"repository": "acme/deploy", "event_type": "x", **TOKEN},
        [Answer(204)],
        [Answer(200), Answer(202), Answer(200, {}, b"{}"), Answer(201, {}, RUN)],
    ),
    "github_workflow": (
        "api_url",
        {"repository": "acme/deploy", "workflow": "deploy.yml", "ref": "main", **TOKEN},
        [
            Answer(204),
            Answer(200, {"Content-Type": "application/json"}, RUN),
            Answer(200, {}, RUN),
            Answer(201, {}, b'{"id": 7, "run_number": 2, "jobs": ["build"]}'),  # Forgejo
            Answer(200, {"Content-Type": "application/json; charset=utf-8"}, RUN[:40]),  # broke off
        ],
        [
            Answer(200),
            Answer(202),
            Answer(200, {}, b"ok"),
            Answer(200, {}, b'{"error": "sign in first"}'),
            Answer(200, {"Content-Type": "application/json"}, b'{"status": "maintenance"}'),
        ],
    ),
    "gitlab_pipeline": (
        "url",
        {"project": "acme/deploy", "ref": "main", **TOKEN},
        [Answer(201, {}, PIPELINE), Answer(201)],
        [Answer(200, {}, PIPELINE), Answer(202), Answer(204), Answer(201, HTML, b"<html>")],
    ),
    "jenkins_job": (
        "url",
        {"job": "ml/deploy", "username": "u", **TOKEN},
        [Answer(201, {"Location": "/queue/item/7/"}), Answer(201)],
        [Answer(200), Answer(202), Answer(204)],
    ),
}
GOOD = [(kind, n) for kind, (_, _, good, _) in KINDS.items() for n in range(len(good))]
BAD = [(kind, n) for kind, (_, _, _, bad) in KINDS.items() for n in range(len(bad) + 2)]


@pytest.fixture(autouse=True)
def secret(monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", SECRET)


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


async def delivered_to(receiver, kind: str, answer: Answer) -> Outcome:
    key, own, _, _ = KINDS[kind]
    receiver.answer = answer
    return await attempt(kind, **own, **{key: receiver.url})


@pytest.mark.parametrize(("kind", "which"), GOOD)
async def test_what_an_api_answers_on_success_is_delivered(kind, which, receiver) -> None:
    outcome = await delivered_to(receiver, kind, KINDS[kind][2][which])

    assert (outcome.verdict, outcome.reason) == (Verdict.DELIVERED, Reason.OK)


@pytest.mark.parametrize(("kind", "which"), BAD)
async def test_any_other_2xx_is_not_the_api_s_and_is_tried_again(kind, which, receiver) -> None:
    answer = [SIGN_IN, BARE_PAGE, *KINDS[kind][3]][which]

    outcome = await delivered_to(receiver, kind, answer)

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert f"check {KINDS[kind][0]}, and what is before" in outcome.detail
    assert ("page" in outcome.detail) == (b"<html>" in answer.body)
    assert answer.body.strip().decode()[:20] in outcome.detail


async def test_a_maintenance_page_is_waited_for_as_long_as_it_asks(receiver) -> None:
    outcome = await delivered_to(receiver, "gitlab_pipeline", Answer(200, {"Retry-After": "600"}, b"<html>"))

    assert outcome.retry_after_ms == 600_000


@pytest.mark.parametrize("kind", ["github_dispatch", "github_workflow", "gitlab_pipeline"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 415, 422])
async def test_a_page_in_place_of_json_is_no_word_of_the_api_about_the_event(kind, status, receiver) -> None:
    outcome = await delivered_to(receiver, kind, Answer(status, HTML, b"<html>no</html>"))

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert "in JSON, and this is a page of something else" in outcome.detail


# A condition of one's own

SLACK = "text == 'ok'"
TEAMS = "status == `202` || text == '1'"
JSON = {"Content-Type": "application/json"}
HELD = [
    (SLACK, Answer(200, {}, b"ok")),
    (SLACK, Answer(200, {}, b"ok\r\n")),
    (SLACK, Answer(200, {}, b"\xef\xbb\xbfok")),
    ("body.ok", Answer(200, JSON, b'{"ok": true, "ts": "1.2"}')),
    ("body.ok", Answer(200, {"Content-Type": "text/html"}, b'{"ok": true}')),
    ("body.ok", Answer(200, JSON, json.dumps({"ok": True, "x": "y" * 900_000}).encode())),
    (TEAMS, Answer(202)),
    (TEAMS, Answer(200, {}, b"1")),
    ("status == `204`", Answer(204)),
    ("headers.\"x-taken\" == 'yes'", Answer(200, {"X-Taken": "yes"})),
    ("headers.\"X-TAKEN\" == 'yes'", Answer(200, {"x-taken": "yes"})),
    ("starts_with(headers.\"content-type\", 'application/json')", Answer(200, JSON, b"{}")),
    ("length(body) == `0`", Answer(200, JSON, b"[]")),
    ("body.errors == null", Answer(200, JSON, b'{"data": 1}')),
    ("!contains(text, 'error')", Answer(200, {}, b"fine")),
]
FAILED = [
    (SLACK, Answer(200, {}, b"no_service")),
    (SLACK, Answer(200)),
    (SLACK, SIGN_IN),
    ("body.ok", Answer(200, JSON, b'{"ok": false, "error": "channel_not_found"}')),
    ("body.ok", Answer(200, JSON, b'{"ok": null}')),
    ("body.ok", Answer(200, JSON, b"not json")),
    ("body.ok", Answer(200, JSON, b"[" * 100_000)),
    ("body.ok", Answer(200)),
    ("body.ok", SIGN_IN),
    (
        TEAMS,
        Answer(
            200,
            {},
            b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429",
        ),
    ),
    ("status == `204`", Answer(200)),
    ("headers.\"x-taken\" == 'yes'", Answer(200)),
    ("contains(body.error, 'x')", Answer(200, JSON, b"{}")),
]


@pytest.mark.parametrize(("condition", "answer"), HELD)
async def test_a_2xx_for_which_the_condition_holds_is_delivered(condition, answer, receiver) -> None:
    receiver.answer = answer

    outcome = await attempt("http", url=receiver.url, success=condition)

    assert (outcome.verdict, outcome.status) == (Verdict.DELIVERED, answer.status)


@pytest.mark.parametrize(("condition", "answer"), FAILED)
async def test_one_for_which_it_does_not_is_tried_again_in_the_receiver_s_words(
    condition, answer, receiver
) -> None:
    receiver.answer = answer

    outcome = await attempt("http", url=receiver.url, success=condition)

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.UNSUCCESSFUL)
    assert f"HTTP {answer.status}, but no success" in outcome.detail
    assert answer.body[:200].decode() in outcome.detail


async def test_a_condition_judges_2xx_alone(receiver) -> None:
    for status, reason in ((302, Reason.MISCONFIGURED), (400, Reason.REFUSED), (503, Reason.SERVER_ERROR)):
        receiver.answer = Answer(status, {}, b"ok")
        assert (await attempt("http", url=receiver.url, success=SLACK)).reason is reason


async def test_an_answer_that_is_too_long_or_breaks_off_is_said_to_be_that(receiver) -> None:
    receiver.answer = Answer(200, JSON, json.dumps({"ok": True, "x": "y" * 2_000_000}).encode())
    broken = RawReceiver(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"ok": true')

    long = await attempt("http", url=receiver.url, success="body.ok")
    short = await attempt("http", url=broken.url, success="body.ok")
    by_its_head = await attempt("http", url=broken.url, success="status == `200`")

    broken.stop()
    assert (long.reason, short.reason) == (Reason.UNSUCCESSFUL, Reason.UNSUCCESSFUL)
    assert "no more than 1048576 bytes came or were read" in long.detail
    assert "no more than 11 bytes came or were read" in short.detail
    assert by_its_head.verdict is Verdict.DELIVERED


async def test_how_long_to_wait_is_heard_in_a_2xx_too(receiver) -> None:
    receiver.answer = Answer(200, {"Retry-After": "30"}, b"later")

    assert (await attempt("http", url=receiver.url, success=SLACK)).retry_after_ms == 30_000


async def test_without_a_condition_every_2xx_is_delivered(receiver) -> None:
    receiver.answer = SIGN_IN

    assert (await attempt("http", url=receiver.url)).verdict is Verdict.DELIVERED


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("ok", "at character 1: an answer has no ok, it has status, headers, body, text"),
        ("status = `200`", "== compares"),
        ("status == 200", "`200`"),
        ('text == "ok"', "an answer has no ok"),
        ("contans(text, 'ok')", "did you mean contains()?"),
        ("", "the expression is empty"),
        (True, "must be a JMESPath expression in quotes"),
        ("body.ok == true", "at character 12: true is written `true`"),
        ("status_code == `0` || code == `0`", "at character 23: an answer has no code"),
        ('"odd-ö!" == `1`', "an answer has no odd-ö!"),
        ("body.ok && code == `0`", "at character 12: an answer has no code"),
    ],
)
def test_a_condition_that_cannot_work_is_found_when_it_is_configured(condition, said) -> None:
    sink = {"name": "chat", "type": "http", "url": "https://chat.example.com", "success": condition}

    with pytest.raises(ConfigurationError) as found:
        build({"registry": {"tracking_uri": "http://r"}, "sinks": [sink]}, SETTINGS)

    (problem,) = found.value.problems
    assert problem.startswith("sinks[0].success: ")
    assert said in problem


def test_a_condition_is_of_http_sinks() -> None:
    with pytest.raises(ValidationError, match="extra"):
        settings_of("jenkins_job", url="https://j", success="body.ok", **KINDS["jenkins_job"][1])


# What a 2xx said


async def test_what_a_receiver_says_on_success_is_kept_and_shows_no_secret(receiver) -> None:
    receiver.answer = Answer(200, {}, f"queued as 7 for {SECRET}".encode())

    outcome = await attempt("http", url=receiver.url, secret={"env": "SINK_SECRET"})

    assert (outcome.verdict, outcome.detail) == (Verdict.DELIVERED, "queued as 7 for ***")


async def test_a_success_without_words_has_none(receiver) -> None:
    assert (await attempt("http", url=receiver.url)).detail == ""
