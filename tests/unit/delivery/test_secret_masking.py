"""Secrets are masked however a receiver spells them."""

import html
import json
import re
import time
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.delivery.secret_masking import MASK, mask, secrets_in

SPELLINGS = {
    "as it is": lambda text: text,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1].replace("/", "\\/"),
    "URL": lambda text: quote(text, safe=""),
    "URL, small letters": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text)),
    "form": quote_plus,
    "HTML": html.escape,
    "repr": lambda text: repr(text)[1:-1],
    "bytes": lambda text: repr(text.encode())[2:-1],
}
spellings = st.sampled_from(sorted(SPELLINGS))
secrets = st.one_of(
    st.text(st.sampled_from("abC1%&+/\\\"'<>=;:#n \n\t\N{LATIN SMALL LETTER O WITH DIAERESIS}"), min_size=3),
    st.text(st.characters(blacklist_categories=("Cs",)), min_size=3, max_size=40),
)
ODD = [
    'q7"',
    "a\\b",
    "it's&<so>",
    "p\N{LATIN SMALL LETTER O WITH DIAERESIS}\N{KEY}\N{HANGUL SYLLABLE GAG}",
    "two\nlines",
]


@given(secrets, st.lists(spellings, min_size=1, max_size=2))
def test_a_secret_is_masked_in_any_spelling_once_or_twice_over(secret, twice) -> None:
    assume(secret not in MASK)
    spelled = secret
    for one in twice:
        spelled = SPELLINGS[one](spelled)

    assert spelled not in mask(f"[{spelled}]", [secret])[1:-1]


@pytest.mark.parametrize("secret", ["s3cret-Token/+=", *ODD])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_nothing_but_the_secret_is_masked(secret, spelling) -> None:
    spelled = SPELLINGS[spelling](secret)

    assert mask(f"you sent ({spelled}), twice: ({spelled})", [secret]) == "you sent (***), twice: (***)"


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "u:", "me:", "Bearer "])
@pytest.mark.parametrize("secret", ["s3cret-Token/+=", "??>>~~", *ODD])
def test_a_secret_in_base64_is_masked_with_all_that_it_is_encoded_with(secret, before, encode) -> None:
    encoded = encode(f"{before}{secret}!".encode()).decode()

    assert mask(f"Basic {encoded} no", [secret]) == "Basic *** no"
    assert mask(f"Basic {quote(encoded, safe='')} no", [secret]).replace("%3D", "") == "Basic *** no"


def test_a_secret_in_hexadecimal_digits_is_masked() -> None:
    assert mask(f"<{b's3cret'.hex().upper()}>", ["s3cret"]) == "<***>"


def test_a_secret_is_masked_where_another_alphabet_was_read_wrongly() -> None:
    secret = "p\N{LATIN SMALL LETTER O WITH DIAERESIS}t"

    for shown in (secret.encode().decode("latin-1"), secret.encode("latin-1").decode("utf-8", "replace")):
        assert mask(f"({shown})", [secret]) == "(***)"


def test_the_beginning_of_a_secret_is_masked_where_the_text_is_cut() -> None:
    assert mask("token: s3cr", ["s3cret"], is_cut=True) == "token: ***"
    assert mask("token: s3cr", ["s3cret"]) == "token: s3cr"
    for half in ("a%2", "a\\u00", "a&qu", "a&", "a\\"):
        assert mask(f"token: {half}", ['a"b'], is_cut=True) == "token: ***"
    assert mask("token: a&", ["a&b"], is_cut=True) == "token: ***"
    assert mask("s3cret s3cret s3", ["s3cret"], is_cut=True) == "*** *** ***"


def test_secrets_that_overlap_are_masked_as_one() -> None:
    assert mask("abcdef", ["abcd", "cdef", ""]) == "***"
    assert mask("abcabc", ["abc"]) == "******"
    assert mask("\\\\\\", ["\\\\\\"]) == "***"
    assert mask("", ["x"]) == ""


def test_what_may_be_secret_in_a_url_is_known() -> None:
    url = "https://h.example.com/hooks/T0123456789ABCDEF/x?token=a%2Fbcdef&job=7&none="

    assert secrets_in(url) == ("a/bcdef", "T0123456789ABCDEF")


def test_masking_takes_no_time_worth_mentioning_even_for_a_long_secret_in_hostile_text() -> None:
    began = time.process_time()
    for text in ("%25" * 700, "\\" * 2_000, "&amp;" * 400, "a" * 2_000, "%2525" * 400 + "zz"):
        mask(text, ["a" * 60_000, "%25\\"], is_cut=True)

    assert time.process_time() - began < 5
