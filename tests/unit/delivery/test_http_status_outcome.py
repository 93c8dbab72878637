"""What HTTP answers mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.attempt_outcome import Reason, Verdict
from bridge.delivery.http_status_outcome import Advice, interpret, retry_after_ms

NOW = 1_700_000_000_000
TABLE = {
    **dict.fromkeys([200, 201, 202, 204, 299], (Verdict.DELIVERED, Reason.OK)),
    **dict.fromkeys([408, 425, 429], (Verdict.RETRYABLE, Reason.RATE_LIMITED)),
    **dict.fromkeys([500, 502, 503, 504, 599, 100, 999], (Verdict.RETRYABLE, Reason.SERVER_ERROR)),
    **dict.fromkeys([300, 301, 302, 303, 304, 307, 308], (Verdict.RETRYABLE, Reason.MISCONFIGURED)),
    **dict.fromkeys([401, 403, 404, 407, 409, 423], (Verdict.RETRYABLE, Reason.MISCONFIGURED)),
    410: (Verdict.RETRYABLE, Reason.GONE),
    **dict.fromkeys([400, 412, 413, 415, 416, 417, 418, 422, 428, 490], (Verdict.REJECTED, Reason.REFUSED)),
}
OF_THE_PLACE = [
    402,
    405,
    406,
    411,
    414,
    419,
    421,
    424,
    426,
    431,
    440,
    444,
    451,
    460,
    463,
    464,
    *range(494, 500),
]
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"  # NOW


@pytest.mark.parametrize(("status", "expected"), TABLE.items())
def test_the_table_of_the_contract(status, expected) -> None:
    outcome = interpret(status, {}, NOW)

    assert (outcome.verdict, outcome.reason) == expected
    assert outcome.status == status


@pytest.mark.parametrize("status", OF_THE_PLACE)
def test_what_a_server_before_the_application_says_costs_no_event_and_names_what_to_mend(status) -> None:
    outcome = interpret(status, {"retry-after": "7"}, NOW, "", Advice("api_url"))

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert (outcome.status, outcome.retry_after_ms) == (status, 7_000)
    assert len(outcome.detail) > len(f"HTTP {status}: ")
    assert "{" not in outcome.detail


NGINX = "<html>\r\n<head><title>400 {0}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n<center>{0}</center>\r\n<hr><center>nginx/1.25.3</center>\r\n"
APACHE = '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>400 Bad Request</title>\n</head><body>\n<h1>Bad Request</h1>\n<p>Your browser sent a request that this server could not understand.<br />\n'
SAID_BY_GATEWAYS = {
    "nginx, TLS": (NGINX.format("The plain HTTP request was sent to HTTPS port"), "https://"),
    "nginx, no certificate": (NGINX.format("No required SSL certificate was sent"), "tls.client_cert"),
    "nginx, wrong certificate": (NGINX.format("The SSL certificate error"), "tls.client_cert"),
    "nginx, headers": (NGINX.format("Request Header Or Cookie Too Large"), "headers"),
    "nginx, anything": (
        "<html><center><h1>400 Bad Request</h1></center><hr><center>nginx</center>",
        "server before",
    ),
    "AWS load balancer": (
        "<html>\r\n<head><title>400 Bad Request</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n</body>\r\n</html>\r\n",
        "server before",
    ),
    "Go, TLS": ("Client sent an HTTP request to an HTTPS server.\n", "https://"),
    "Apache, TLS": (
        APACHE
        + "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />\n Instead use the HTTPS scheme to access this URL, please.<br />\n</p>\n</body></html>",
        "https://",
    ),
    "Apache, headers": (APACHE + "Size of a request header field exceeds server limit.<br />", "headers"),
    "Apache, anything": (APACHE, "server before"),
    "Tomcat, TLS": ("Bad Request\nThis combination of host and port requires TLS.\r\n", "https://"),
    "HAProxy": (
        "<html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n</body></html>\n",
        "server before",
    ),
    "IIS, host": (
        "<HTML><HEAD><TITLE>Bad Request</TITLE></HEAD><BODY><h2>Bad Request - Invalid Hostname</h2><hr><p>HTTP Error 400. The request hostname is invalid.</p>",
        "host",
    ),
    "IIS, anything": ("<BODY><h2>Bad Request - Invalid URL</h2>", "server before"),
    "Django, host": (
        '\n<!doctype html>\n<html lang="en">\n<head>\n  <title>Bad Request (400)</title>\n</head>\n<body>\n  <h1>Bad Request (400)</h1><p></p>\n</body>\n</html>\n',
        "host",
    ),
    "Starlette, host": ("Invalid host header", "host"),
    "Google": (
        "<p><b>400.</b> <ins>An error.</ins><p>Your client has issued a malformed or illegal request.",
        "server before",
    ),
    "CloudFront": ("<H1>400 ERROR</H1>\n<H2>The request could not be satisfied.</H2>", "server before"),
    "Akamai": ("<HTML><HEAD>\n<TITLE>Invalid URL</TITLE>\n</HEAD><BODY>", "server before"),
    "Squid": ("<h1>ERROR</h1>\n<h2>The requested URL could not be retrieved</h2>", "server before"),
}


@pytest.mark.parametrize(("said", "named"), SAID_BY_GATEWAYS.values(), ids=list(SAID_BY_GATEWAYS))
def test_a_400_in_the_words_of_a_server_before_the_application_costs_no_event(said, named) -> None:
    outcome = interpret(400, {}, NOW, said)

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert named in outcome.detail


@pytest.mark.parametrize(
    "said",
    [
        "",
        "invalid_payload",
        '{"error": "model_name is missing"}',
        "<!doctype html>\n<html lang=en>\n<title>400 Bad Request</title>\n<h1>Bad Request</h1>\n<p>The browser (or proxy) sent a request that this server could not understand.</p>\n",
        '{"detail": "requests over plain HTTP are logged"}',
        "<html><h1>HTTP ERROR 400 Nothing is submitted</h1></html>",
    ],
    ids=["nothing", "Slack", "JSON", "Werkzeug", "about HTTP", "Jetty"],
)
def test_a_400_of_the_application_is_about_the_event(said) -> None:
    assert interpret(400, {}, NOW, said).verdict is Verdict.REJECTED


@pytest.mark.parametrize("status", [413, 415, 422])
def test_other_refusals_stay_the_application_s_whatever_they_look_like(status) -> None:
    said = NGINX.format("The plain HTTP request was sent to HTTPS port")

    assert interpret(status, {}, NOW, said).verdict is Verdict.REJECTED


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    ("ours", "said"),
    [(NOW - 7_200_000, "2h behind"), (NOW + 7_200_000, "2h ahead of"), (NOW - 400_000, "7m behind")],
)
def test_a_clock_that_is_off_is_named_and_kills_no_event(status, ours, said) -> None:
    outcome = interpret(status, {"date": DATE}, ours)

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert f"clock is {said}" in outcome.detail


@pytest.mark.parametrize(
    ("headers", "advice"),
    [
        ({"date": DATE}, Advice()),
        ({"date": "Tue, 14 Nov 2023 22:16:20 GMT"}, Advice()),
        ({"date": "yesterday"}, Advice()),
        ({"date": ""}, Advice()),
        ({}, Advice()),
        ({"date": "Tue, 14 Nov 2023 10:13:20 GMT"}, Advice(is_timed=False)),
    ],
    ids=["right", "three minutes", "no date", "empty", "none", "a request without a time"],
)
def test_a_clock_that_does_not_matter_is_not_named(headers, advice) -> None:
    outcome = interpret(400, headers, NOW, "", advice)

    assert (outcome.verdict, outcome.detail) == (Verdict.REJECTED, "HTTP 400")


def test_what_a_receiver_asks_for_by_its_own_clock_is_reckoned_by_that() -> None:
    headers = {"date": DATE, "retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}
    reset = {"date": DATE, "x-ratelimit-reset": str(NOW // 1000 + 90)}

    for ours in (NOW, NOW - 86_400_000, NOW + 86_400_000):
        assert interpret(503, headers, ours).retry_after_ms == 60_000
        assert interpret(429, reset, ours).retry_after_ms == 90_000


URL = "http://ci.example.com/hooks/T0KEN"
REDIRECTS = {
    "to https": ("https://ci.example.com/hooks/T0KEN", "write https:// in url"),
    "to https at a port": ("https://ci.example.com:8443/hooks/T0KEN", "write https:// in url"),
    "a slash": ("http://ci.example.com/hooks/T0KEN/", "write a slash at the end of url"),
    "a slash, relative": ("/hooks/T0KEN/", "write a slash at the end of url"),
    "moved": ("https://new.example.com/hooks/T0KEN", "set url to where it moved"),
    "moved, relative": ("/v2/hooks", "set url to where it moved"),
    "Jenkins": ("https://x.example.com/securityRealm/commenceLogin?from=x", "signing in"),
    "a login": ("/login?next=/hooks", "signing in"),
    "Entra": ("https://login.microsoftonline.com/common/oauth2/authorize", "signing in"),
    "Cloudflare": ("https://acme.cloudflareaccess.com/cdn-cgi/access/login/x", "signing in"),
    "oauth2-proxy": ("/oauth2/sign_in?rd=/hooks", "signing in"),
    "Google": ("https://accounts.google.com/ServiceLogin?x", "signing in"),
    "Keycloak": ("https://id.example.com/realms/a/protocol/openid-connect/auth?x", "signing in"),
    "GitLab": ("/users/sign_in", "signing in"),
    "SAML": ("https://idp.example.com/saml/sso", "signing in"),
    "nowhere": ("", "check url"),
    "no URL": ("http://[", "check url"),
    "no place": ("mailto:x", "check url"),
}


@pytest.mark.parametrize(("location", "mend"), REDIRECTS.values(), ids=list(REDIRECTS))
def test_a_redirect_says_what_to_mend_and_never_where_exactly_it_leads(location, mend) -> None:
    outcome = interpret(307, {"location": location}, NOW, "", Advice("url", URL))

    assert outcome.reason is Reason.MISCONFIGURED
    assert outcome.detail.endswith(mend) or mend in outcome.detail
    assert "T0KEN" not in outcome.detail


@pytest.mark.parametrize("word", ["blogs", "catalogin", "ssot", "logs", "essonne", "oauthless", "authors"])
def test_a_word_that_holds_one_for_signing_in_is_none(word) -> None:
    outcome = interpret(302, {"location": f"https://x.example.com/{word}"}, NOW)

    assert "set the sink's url to where it moved" in outcome.detail


@given(st.integers(100, 999), st.dictionaries(st.sampled_from(["retry-after", "location"]), st.text()))
def test_every_answer_means_something(status, headers) -> None:
    outcome = interpret(status, headers, NOW)

    assert outcome.retry_after_ms is None or 0 <= outcome.retry_after_ms <= 86_400_000


def test_a_redirect_names_where_to_and_keeps_what_may_be_secret() -> None:
    outcome = interpret(302, {"location": "https://user:pw@new.example.com:8443/T0KEN?k=v"}, NOW)

    assert "https://new.example.com:8443)" in outcome.detail
    assert not any(secret in outcome.detail for secret in ("T0KEN", "pw", "k=v"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120_000),
        ("0", 0),
        (" 5 ", 5_000),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60_000),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0),
        ("Tue, 14 Nov 2999 22:13:00 GMT", 86_400_000),
        ("99999999999999", 86_400_000),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1.5", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(value, expected) -> None:
    assert retry_after_ms({"retry-after": value}, NOW) == expected


def test_without_the_header_nothing_was_asked() -> None:
    assert retry_after_ms({}, NOW) is None


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"ratelimit-reset": "30"}, 30_000),
        ({"x-ratelimit-reset": "0"}, 1_000),
        ({"x-ratelimit-reset": str(NOW // 1000 + 90)}, 90_000 - NOW % 1000),
        ({"x-ratelimit-reset": str(NOW // 1000 - 90)}, 1_000),
        ({"x-ratelimit-reset": "9" * 40}, 3_600_000),
        ({"retry-after": "5", "x-ratelimit-reset": "60"}, 5_000),
        ({"x-ratelimit-reset": "soon"}, None),
    ],
)
def test_other_ways_to_name_the_end_of_a_rate_limit_are_understood(headers, wait) -> None:
    assert interpret(429, headers, NOW).retry_after_ms == wait
