"""Secrets as files and environments hold them, with what editors and shells put around."""

import codecs

import pytest

from bridge.config import Secret, build
from bridge.config.secret_trimming import LONGEST, is_quoted
from bridge.errors import ConfigurationError, SecretUnavailable
from bridge.sinks.sink_type_table import SETTINGS

FILES = {
    "plain": b"s3cret",
    "a line": b"s3cret\n",
    "of Windows": b"s3cret\r\n",
    "several line breaks": b"s3cret\r\n\n\n",
    "UTF-8 with a byte order mark": codecs.BOM_UTF8 + b"s3cret\r\n",
    "UTF-16 of PowerShell": codecs.BOM_UTF16_LE + "s3cret\r\n".encode("utf-16-le"),
    "UTF-16, the other way round": codecs.BOM_UTF16_BE + "s3cret\n".encode("utf-16-be"),
    "a NUL at its end": b"s3cret\0",
    "a line and NULs": b"s3cret\n\0\0",
}
KEPT = {
    "blanks": b"  s3cret ",
    "quotation marks": b'"s3cret"',
    "lines": b"-----BEGIN KEY-----\nabc\n-----END KEY-----",
    "beyond ASCII": "s\u00fc\u00df".encode(),
}
REFUSED = {
    "UTF-16 without a mark": (
        "s3cret".encode("utf-16-le"),
        "UTF-16 without a byte order mark: save it as UTF-8",
    ),
    "binary": (b"\xfe\xed\xfa\xce", "not UTF-8 text"),
    "half a character of UTF-16": (codecs.BOM_UTF16_LE + b"s", "not UTF-8 text"),
    "a mark alone": (codecs.BOM_UTF8, "the secret is empty"),
    "line breaks alone": (b"\r\n\0", "the secret is empty"),
    "another file": (b"x" * (LONGEST + 1), "holds more than 64 KiB"),
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "secret"


@pytest.mark.parametrize("data", FILES.values(), ids=list(FILES))
def test_what_is_around_a_secret_is_no_part_of_it(data, file) -> None:
    file.write_bytes(data)

    assert Secret(file=str(file)).read() == "s3cret"


@pytest.mark.parametrize("data", KEPT.values(), ids=list(KEPT))
def test_what_may_be_part_of_it_is_kept(data, file) -> None:
    file.write_bytes(data)

    assert Secret(file=str(file)).read() == data.decode()


@pytest.mark.parametrize(("data", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_text_is_refused_with_its_place_and_the_mend(data, said, file) -> None:
    file.write_bytes(data)

    with pytest.raises(SecretUnavailable, match=said) as refused:
        Secret(file=str(file)).read()

    assert str(file) in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_the_longest_is_taken_whole(file) -> None:
    file.write_bytes(b"x" * LONGEST)

    assert len(Secret(file=str(file)).read()) == LONGEST


def test_a_variable_is_read_as_a_file_is(monkeypatch) -> None:
    monkeypatch.setenv("S", "\ufeffs3cret\r\n")

    assert Secret(env="S").read() == "s3cret"


@pytest.mark.parametrize(
    ("secret", "expected"), [('"abc"', True), ("'abc'", True), ('"abc', False), ('"', False), ("a'b'", False)]
)
def test_quotation_marks_around_a_secret_are_seen(secret, expected) -> None:
    assert is_quoted(secret) is expected


def test_a_github_url_for_people_is_told_from_the_api() -> None:
    sink = {
        "name": "g",
        "type": "github_dispatch",
        "repository": "a/b",
        "event_type": "x",
        "token": {"env": "T"},
    }

    for url in ("https://github.com", "https://www.github.com/acme/deploy", "HTTPS://GitHub.com/"):
        with pytest.raises(ConfigurationError, match=r"sinks\[0\]\.api_url: is for people"):
            build({"registry": {"tracking_uri": "http://r"}, "sinks": [{**sink, "api_url": url}]}, SETTINGS)
    built = build(
        {
            "registry": {"tracking_uri": "http://r"},
            "sinks": [{**sink, "api_url": "https://github.example.com/api/v3/"}],
        },
        SETTINGS,
    )
    assert built.sinks[0].api_url == "https://github.example.com/api/v3"
