"""URLs as people write them: as they are meant, or refused with what to mend."""

import pytest

from bridge.config.receiver_urls import base_url, http_url

TAKEN = {
    "https://ci.example.com/hooks?a=1&b=%20": None,
    " https://ci.example.com/x\n": "https://ci.example.com/x",
    "\ufeffhttps://ci.example.com/": "https://ci.example.com/",
    "\u200bhttps://ci.example.com/": "https://ci.example.com/",
    "HTTPS://CI.Example.com/X": "https://CI.Example.com/X",
    "http://ci.example.com.:8080/x": None,
    "https://ci.example.com:443/x": None,
    "https://ci.example.com:/x": None,
    "https://b\u00fccher.example:8443/x": "https://xn--bcher-kva.example:8443/x",
    "https://xn--bcher-kva.example/x": None,
    "https://\u4f8b\u3048.example": "https://xn--r8jz45g.example",
    "https://ci.example.com/\u00fc?q=\u00e4": "https://ci.example.com/%C3%BC?q=%C3%A4",
    "https://ci.example.com/100%25/%7Ba%7D": None,
    "https://ci.example.com/{id}|x?a={b}": None,
    "https://ci.example.com/x?sig=a+b/c==&e=%2F": None,
    "https://ci.example.com/x#part": None,
    "http://[::1]:8080/x": None,
    "http://[fe80::1%25eth0]:8080/x": "http://[fe80::1%eth0]:8080/x",
    "http://[fe80::1%eth0]/x": None,
    "http://127.0.0.1:5000": None,
    "http://a_b.example/x": None,
    "http://localhost/x": None,
}
MUST = "must be an http:// or https:// URL"
REFUSED = {
    "": (MUST, ""),
    "https://": (MUST, ""),
    "https:///x": (MUST, ""),
    "htttp://ci.example.com/x": (MUST, 'did you mean "http://ci.example.com/\u2026"?'),
    "httpss://ci.example.com": (MUST, 'did you mean "https://ci.example.com"?'),
    "http:/ci.example.com/x": (MUST, 'did you mean "http://ci.example.com/\u2026"?'),
    "https:ci.example.com": (MUST, 'did you mean "https://ci.example.com"?'),
    "https//ci.example.com": (MUST, 'did you mean "https://ci.example.com"?'),
    "://ci.example.com": (MUST, 'did you mean "https://ci.example.com"?'),
    "//ci.example.com/x": (MUST, 'did you mean "https://ci.example.com/\u2026"?'),
    "ci.example.com/x": (MUST, 'did you mean "https://ci.example.com/\u2026"?'),
    "ci.example.com:8080/x": (MUST, 'did you mean "https://ci.example.com:8080/\u2026"?'),
    "localhost:8080": (MUST, 'did you mean "https://localhost:8080"?'),
    "ftp://ci.example.com": (MUST, ""),
    "unix:///run/x": (MUST, ""),
    "red": (MUST, ""),
    '"https://ci.example.com"': ("quotation marks", 'did you mean "https://ci.example.com"?'),
    "'https://ci.example.com/x'": ("quotation marks", 'did you mean "https://ci.example.com/\u2026"?'),
    "<https://ci.example.com>": ("quotation marks or brackets", ""),
    "\u201chttps://ci.example.com\u201d": ("quotation marks", ""),
    '"': (MUST, ""),
    "https://ci.example.com/a b": ("holds a blank", ""),
    "https://ci.example.com/a\tb": ("holds a blank", ""),
    "https://ci.exam\u200bple.com/": ("another character that no URL has", ""),
    "https://ci.example.com\\hooks": ("holds a backslash", ""),
    "https://ci.example.com/${TOKEN}": ("holds ${\u2026}", ""),
    "https://user:pass@ci.example.com/": ("must hold no user name or password", ""),
    "https://@ci.example.com/": ("must hold no user name or password", ""),
    "https://ci.example.com:0/": ("has a port that is no number between 1 and 65535", ""),
    "https://ci.example.com:65536/": ("has a port that is no number between 1 and 65535", ""),
    "https://ci.example.com:http/": ("has a port that is no number between 1 and 65535", ""),
    "https://ci.example.com:\uff18\uff10/": ("has a port that is no number between 1 and 65535", ""),
    "http://::1/x": ("has a host that is none", "in brackets"),
    "http://fe80::1:8080/x": ("has a host that is none", "in brackets"),
    "http://[::1/x": ("has a host that is none", "in brackets"),
    "http://[ci.example.com]/x": ("has a host that is none", "in brackets"),
    "https://ci..example.com/": ("has a host that is none", ""),
    "https://.example.com/": ("has a host that is none", ""),
    "https://{host}/x": ("has a host that is none", ""),
    "https://*.example.com/x": ("has a host that is none", ""),
    f"https://{'a' * 64}.example.com/": ("has a host that is none", "63"),
    "https://stra\u00dfe.example/x": ("cannot be written in ASCII by itself", "xn--"),
    "https://\u0627a.example/": ("cannot be written in ASCII by itself", "xn--"),
}


@pytest.mark.parametrize(("url", "meant"), TAKEN.items())
def test_what_people_have_is_taken_as_it_is_meant(url, meant) -> None:
    assert http_url(url) == (meant or url)
    assert http_url(http_url(url)) == http_url(url)


@pytest.mark.parametrize(("url", "said"), REFUSED.items())
def test_what_cannot_be_meant_is_refused_with_what_to_mend(url, said) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        http_url(url)

    for part in said:
        assert part in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3cret://x/s3cret",
        "ci.example.com/s3cret",
        "s3cret@x.example",
        "ci.example.com?s3cret",
    ],
)
def test_nothing_of_a_url_that_may_be_secret_is_repeated(url) -> None:
    with pytest.raises(ValueError, match=MUST) as refused:
        http_url(url)

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "meant"), [("https://j.example.com/", "https://j.example.com"), ("https://j/a//", "https://j/a")]
)
def test_a_url_that_paths_are_appended_to_ends_with_its_path(url, meant) -> None:
    assert base_url(url) == meant
    for more in ("?x=1", "#part"):
        with pytest.raises(ValueError, match="must end with its path"):
            base_url(url + more)
