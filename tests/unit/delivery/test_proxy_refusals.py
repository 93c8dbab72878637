"""What a proxy says for itself, in a sentence with no secret in it."""

import pytest

from bridge.delivery.proxy_refusals import tunnel_refused
from bridge.delivery.proxy_routes import Proxy

PROXY = Proxy("HTTPS_PROXY", "http", "proxy", 3128, "user", "s3cret/Pa:ss")
MEND = "have the proxy let it through, or name ci.example in NO_PROXY"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("403 Forbidden by policy", "403 Forbidden by policy"),
        ("403 ", "403 Forbidden"),
        ("403", "403 Forbidden"),
        ("499", "499"),
        ("403 No, s3cret/Pa:ss", "403 No, ***"),
        ("403 No, s3cret%2FPa%3Ass", "403 No, ***"),
        (f"403 {'x' * 200}", f"403 {'x' * 96}"),
    ],
)
def test_its_words_are_told_short_and_with_its_password_masked(answer, told) -> None:
    outcome = tunnel_refused(PROXY, "https://ci.example:8443/hook", answer)

    assert (
        outcome.detail
        == f"HTTPS_PROXY=http://***@proxy:3128 refused CONNECT to ci.example:8443: {told}: {MEND}"
    )
