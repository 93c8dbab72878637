"""Documents as text: what is read is what was written, whatever a registry's names and values hold."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.store.encoded_documents import decode_document, encode_document
from bridge.store.journal_records import Record, decode, encode

ANY_TEXT = st.text(st.characters(codec=None), max_size=8)  # lone surrogates as well
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**63, 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(ANY_TEXT, one, max_size=3),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(ANY_TEXT, VALUES, max_size=4)


def kinds(value: object) -> object:
    """Return the types in a document: 1, 1.0 and True are equal."""
    if isinstance(value, dict):
        return {key: kinds(one) for key, one in value.items()}
    return [kinds(one) for one in value] if isinstance(value, list) else type(value)


@given(DOCUMENTS)
def test_a_document_is_read_as_it_was_written(document) -> None:
    found = decode_document(encode_document(document))

    assert document == found
    assert kinds(document) == kinds(found)
    assert list(document) == list(found)


@given(DOCUMENTS)
def test_its_text_is_ascii_in_one_line(document) -> None:
    text = encode_document(document)

    assert text.isascii()
    assert "\n" not in text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_does_not_have_is_refused(value) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_document({"metric": [value]})


@given(st.dictionaries(ANY_TEXT, st.dictionaries(ANY_TEXT, DOCUMENTS | st.none(), max_size=3), max_size=3))
def test_a_record_is_read_as_it_was_written_and_any_reader_of_json_reads_it(tables) -> None:
    writes = {
        name: {key: None if one is None else encode_document(one) for key, one in rows.items()}
        for name, rows in tables.items()
    }
    line = encode(Record(7, writes))

    assert decode(line) == Record(7, writes)
    assert json.loads(line[9:]) == {"n": 7, **({"w": tables} if tables else {})}
