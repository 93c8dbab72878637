"""What operators are told to mend: in the settings that the sink has, and for the reason that there is."""

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.receiver import Answer, Receiver
from support.sinks import NOW, attempt

from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict

TOKEN = {"token": {"env": "SINK_SECRET"}}
DISPATCH = {"repository": "acme/deploy", "event_type": "x", **TOKEN}
BUILD = {"job": "ml/deploy", "username": "u", **TOKEN}
PIPELINE = {"project": "acme/deploy", "ref": "main", **TOKEN}
PERMISSION = "the token lacks a permission: a fine-grained token needs Contents: write"


@pytest.fixture(autouse=True)
def secret(monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", "s3cret-Token/+=")


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


async def dispatched(receiver, answer: Answer) -> Outcome:
    receiver.answer = answer
    return await attempt("github_dispatch", **DISPATCH, api_url=receiver.url)


def says(message: str) -> Answer:
    return Answer(403, body=json.dumps({"message": message, "status": "403"}).encode())


FORBIDDEN = {
    "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization.": "SAML single sign-on",
    "Although you appear to have the correct authorization credentials, the `acme` organization has an IP allow list enabled, and your IP address is not permitted to access this resource.": "IP allow list",
    "Repository was archived so is read-only.": "archived",
    "The account is locked due to a billing issue.": "billing",
    "Recent account payments have failed or your spending limit needs to be increased.": "billing",
    "Cannot trigger a 'workflow_dispatch' on a disabled workflow": "the workflow is disabled",
    "Actions has been disabled for this repository.": "GitHub Actions are disabled",
    "Sorry. Your account was suspended.": "suspended",
    "This installation has been suspended": "suspended",
    "The 'acme' organization forbids access via a fine-grained personal access tokens if the token's lifetime is greater than 366 days.": "a policy of the organization",
    "`acme` forbids access via a personal access token (classic).": "a policy of the organization",
    "Although you appear to have the correct authorization credentials, the `acme` organization has enabled OAuth App access restrictions": "OAuth Apps",
    "Repository access blocked": "GitHub has blocked the repository",
    "Request forbidden by administrative rules. Please make sure your request has a User-Agent header": "User-Agent",
    "Must have admin rights to Repository.": "may not write to the repository",
}


@pytest.mark.parametrize(("message", "why"), FORBIDDEN.items())
async def test_a_403_of_github_names_its_reason_and_no_other(message, why, receiver) -> None:
    outcome = await dispatched(receiver, says(message))

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert why in outcome.detail.partition('{"message"')[0]
    assert "lacks a permission" not in outcome.detail


async def test_single_sign_on_is_known_by_its_header_too(receiver) -> None:
    answer = Answer(403, {"X-GitHub-SSO": "required; url=https://github.com/orgs/acme/sso?x=1"})

    assert "SAML single sign-on" in (await dispatched(receiver, answer)).detail


@pytest.mark.parametrize(
    "message", ["Resource not accessible by integration", "Resource not accessible by personal access token"]
)
async def test_a_permission_is_named_where_it_is_one(message, receiver) -> None:
    outcome = await dispatched(receiver, says(message))

    assert outcome.detail.startswith(f"HTTP 403: {PERMISSION}")


async def test_words_that_nobody_knows_come_with_a_guess_that_is_called_one(receiver) -> None:
    outcome = await dispatched(receiver, says("No, for a new reason."))

    assert outcome.detail.startswith(f"HTTP 403: access is refused; perhaps {PERMISSION}")
    assert "No, for a new reason." in outcome.detail


async def test_a_limit_of_an_older_github_is_waited_for(receiver) -> None:
    outcome = await dispatched(receiver, says("You have triggered an abuse detection mechanism."))

    assert (outcome.reason, outcome.retry_after_ms) == (Reason.RATE_LIMITED, 60_000)


GITHUB_MOVED = {
    "renamed": ("https://api.github.com/repositories/1234/dispatches", "set repository to its new name"),
    "renamed, on a server": ("https://g.example.com/api/v3/repositories/12/dispatches", "set repository to"),
    "elsewhere": (
        "https://new.example.com/api/v3/repos/acme/deploy/dispatches",
        "set api_url to where it moved",
    ),
    "a page": ("https://g.example.com/login?return_to=x", "check api_url"),
}
JENKINS_MOVED = {
    "sign-in": ("/securityRealm/commenceLogin?from=%2Fjob", "check username and token"),
    "login": ("/login?from=%2Fjob%2Fml", "check username and token"),
    "not queued": ("/job/ml/job/deploy/", "put nothing into its queue"),
    "not queued, relative": (".", "put nothing into its queue"),
    "elsewhere": ("https://ci.example.com/jenkins/job/ml/job/deploy/build", "set url to where it moved"),
    "elsewhere, with a word for it": (
        "https://ci.example.com/job/ml/job/sso/build",
        "set url to where it moved",
    ),
}
GITLAB_MOVED = {
    "a page": ("/users/sign_in", "check url, and whether a gateway"),
    "elsewhere": ("https://gitlab.example.com/api/v4/x", "set url to where it moved"),
}
MOVED = [
    *(("github_dispatch", DISPATCH, "api_url", *one) for one in GITHUB_MOVED.values()),
    *(("jenkins_job", BUILD, "url", *one) for one in JENKINS_MOVED.values()),
    *(("gitlab_pipeline", PIPELINE, "url", *one) for one in GITLAB_MOVED.values()),
]


@pytest.mark.parametrize(("kind", "own", "key", "location", "mend"), MOVED)
async def test_a_redirect_names_a_setting_that_the_sink_has(kind, own, key, location, mend, receiver) -> None:
    receiver.answer = Answer(302, {"Location": location})
    named = {"job": "ml/sso"} if "sso" in location and kind == "jenkins_job" else {}

    outcome = await attempt(kind, **{**own, **named, key: receiver.url})

    assert outcome.reason is Reason.MISCONFIGURED
    assert mend in outcome.detail
    assert "the sink's url" not in outcome.detail


@pytest.mark.parametrize(
    ("kind", "own", "key"),
    [
        ("github_dispatch", DISPATCH, "api_url"),
        ("jenkins_job", BUILD, "url"),
        ("gitlab_pipeline", PIPELINE, "url"),
    ],
)
@pytest.mark.parametrize("status", [405, 410, 421, 497])
async def test_an_address_is_called_what_it_is_called_in_the_configuration(
    kind, own, key, status, receiver
) -> None:
    receiver.answer = Answer(status)

    outcome = await attempt(kind, **own, **{key: receiver.url})

    assert key in outcome.detail
    assert "the sink's url" not in outcome.detail


KEY = rsa.generate_private_key(65_537, 2_048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
APP = {"id": 1, "installation": 2, "private_key": {"env": "APP_KEY"}}
HOURS_LATER = "Wed, 15 Nov 2023 00:13:20 GMT"  # NOW, and two hours
CLOCKS = {
    "ahead": (
        "'Expiration time' claim ('exp') is too far in the future",
        {},
        "clock is more than a minute off",
    ),
    "behind": (
        "'Expiration time' claim ('exp') must be a numeric value representing the future time",
        {},
        "clock is",
    ),
    "issued": ("'Issued at' claim ('iat') must be an Integer representing the time", {}, "clock is"),
    "with a date": ("A JSON web token could not be decoded", {"Date": HOURS_LATER}, "clock is 2h behind"),
}


@pytest.mark.parametrize(("message", "headers", "named"), CLOCKS.values(), ids=list(CLOCKS))
async def test_an_app_whose_tokens_are_of_another_time_is_told_of_the_clock(
    message, headers, named, receiver, monkeypatch
) -> None:
    monkeypatch.setenv("APP_KEY", KEY.decode())
    receiver.answer = Answer(401, headers, json.dumps({"message": message}).encode())
    own = {"repository": "acme/deploy", "event_type": "x", "app": APP}

    outcome = await attempt("github_dispatch", **own, api_url=receiver.url)

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert named in outcome.detail
    assert "private_key" not in outcome.detail


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_signature_of_another_time_costs_no_event_and_names_the_clock(status, receiver) -> None:
    receiver.answer = Answer(status, {"Date": HOURS_LATER}, b"timestamp outside of tolerance")

    outcome = await attempt("http", url=receiver.url, secret={"env": "SINK_SECRET"})

    assert NOW == 1_700_000_000_500
    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert "this machine's clock is 2h behind the receiver's" in outcome.detail


async def test_a_token_has_no_time_so_that_the_clock_is_not_blamed(receiver) -> None:
    outcome = await dispatched(receiver, Answer(401, {"Date": HOURS_LATER}))

    assert "the token is refused" in outcome.detail
    assert "clock" not in outcome.detail


@pytest.mark.parametrize(
    ("token", "what"),
    [
        ("tok\nen", "a line break"),
        ("tok en", "a blank"),
        ("tok\u200ben", "one that does not show"),
        ("t\u00f6ken", "one beyond ASCII"),
    ],
)
async def test_a_token_that_no_header_takes_is_told_by_what_is_in_it(
    token, what, receiver, monkeypatch
) -> None:
    monkeypatch.setenv("SINK_SECRET", token)

    for kind, own in (
        ("github_dispatch", {**DISPATCH, "api_url": receiver.url}),
        ("http", {"url": receiver.url, "bearer": {"env": "SINK_SECRET"}}),
    ):
        outcome = await attempt(kind, **own)
        assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.SECRET)
        assert f"holds a character that no header takes: {what}" in outcome.detail
        assert token not in outcome.detail


async def test_a_header_that_is_no_header_names_its_key(receiver, monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", "two\nlines")

    outcome = await attempt("http", url=receiver.url, headers={"X-Key": {"env": "SINK_SECRET"}})

    assert outcome.detail.startswith("sinks.ci.headers.X-Key: holds a character that no header takes")


async def test_gitlab_may_be_given_by_the_url_of_its_api(receiver) -> None:
    receiver.answer = Answer(201)

    outcome = await attempt("gitlab_pipeline", **PIPELINE, url=f"{receiver.url}/api/v4/")

    assert (outcome.verdict, receiver.got[0].path) == (
        Verdict.DELIVERED,
        "/api/v4/projects/acme%2Fdeploy/trigger/pipeline",
    )
