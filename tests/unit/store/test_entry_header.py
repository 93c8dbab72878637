"""The header of an entry tells what the entry tells."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.outbox_entry import Entry, Status
from bridge.store.encoded_documents import encode_document
from bridge.store.entry_header import EntryHeader, decode_header

ANY_TEXT = st.text(st.characters(codec=None), max_size=5)  # lone surrogates as well
ENTRIES = st.builds(
    Entry,
    id=st.integers(1, 2**53),
    sink=ANY_TEXT,
    lane=ANY_TEXT,
    event_id=ANY_TEXT,
    event_name=ANY_TEXT,
    created_at=st.integers(0, 2**53),
    status=st.sampled_from(Status),
    attempts=st.integers(0, 9),
    last_attempt_at=st.none() | st.integers(0, 2**53),
    reason=ANY_TEXT,
    http_status=st.none() | st.integers(100, 599),
    detail=ANY_TEXT,
    waits_for=ANY_TEXT,
)


@given(ENTRIES)
def test_it_is_what_the_whole_entry_tells(entry) -> None:
    header = decode_header(encode_document(entry.to_document()))

    for name in EntryHeader.__struct_fields__:
        assert getattr(header, name) == getattr(entry, name)
