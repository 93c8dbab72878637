"""The records of a poll: its result, and its notes for the audit trail. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge.diff.malformed_rows import skipped_row_changes, skipped_rows
from bridge.diff.timestamp_regressions import TimestampRegression
from bridge.errors import PollHeld
from bridge.events.display_text import instant
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.reading_result import Observation
from bridge.store.state_metadata import Note, PollRecord, ReconcileRecord

MOST_DOUBTED = 20
"""How many doubtful models are named at most."""


@dataclass(frozen=True, slots=True)
class Span:
    """When a poll began and ended, ms since the epoch, and its duration, ms, by the monotonic clock."""

    began_ms: int
    ended_ms: int
    duration_ms: int


def standing_hold(record: PollRecord | None) -> PollHeld | None:
    """Return the hold that stands, by the last poll's record."""
    return PollHeld(record.held, record.held_digest) if record and record.held_digest else None


def poll_record(seen: Observation, before: PollRecord | None, span: Span) -> PollRecord:
    """Return the record of a poll. A hold stands until a full scan finds nothing to hold."""
    models, versions = seen.plan.counted
    record = PollRecord(
        attempted_at=span.ended_ms,
        outcome="ok",
        succeeded_at=span.ended_ms,
        duration_ms=span.duration_ms,
        models=models,
        versions=versions,
        events=len(seen.plan.events),
        kind=seen.read.value,
        read_from=seen.read_from,
        doubted=tuple(sorted(seen.plan.review.withheld)[:MOST_DOUBTED]),
    )
    is_complete = seen.read is Read.FULL
    rows = skipped_rows(
        before.odd_rows if before else (), seen.odd_rows, span.ended_ms, is_complete=is_complete
    )
    record = _with_model_scan(replace(record, odd_rows=rows), seen, before)
    record = _with_hold_before(record, before) if seen.read is Read.FAST else _with_holds(record, seen)
    return replace(record, outcome="held" if record.held_digest else "ok")


def _with_model_scan(record: PollRecord, seen: Observation, before: PollRecord | None) -> PollRecord:
    if seen.model_scan is not None and seen.model_scan.is_over:
        scan = seen.model_scan
        return replace(record, models_listed_at=scan.began_at, models_listed_in_ms=scan.spent_ms)
    if before is None:
        return record
    return replace(
        record, models_listed_at=before.models_listed_at, models_listed_in_ms=before.models_listed_in_ms
    )


def _with_hold_before(record: PollRecord, before: PollRecord | None) -> PollRecord:
    if before is None:
        return record
    return replace(
        record,
        held=before.held,
        held_digest=before.held_digest,
        held_kinds=before.held_kinds,
        held_vanished=before.held_vanished,
    )


def _with_holds(record: PollRecord, seen: Observation) -> PollRecord:
    return replace(
        record,
        held="; ".join(hold.message for hold in seen.held),
        held_digest="+".join(hold.digest for hold in seen.held),
        held_kinds=tuple(sorted(kind.value for hold in seen.held for kind in hold.kinds)),
        held_vanished=any(not hold.kinds and not hold.is_older for hold in seen.held),
    )


def failed_record(error: str, before: PollRecord | None, now_ms: int) -> PollRecord:
    """Return the record of a failed poll; the results of earlier polls are kept."""
    known = before or PollRecord(now_ms, "failed")
    return replace(known, attempted_at=now_ms, outcome="failed", error=error)


def scan_record(
    read: Read, span: Span, *, went_well: bool, spent_ms: int = 0, unfinished: bool = False
) -> ReconcileRecord | None:
    """Return the record of a full scan, including ``spent_ms`` of earlier polls; a fast read has none."""
    if read is not Read.FULL:
        return None
    return ReconcileRecord(span.began_ms, span.duration_ms + spent_ms, went_well, unfinished)


def odd_row_notes(record: PollRecord, before: PollRecord | None, now_ms: int) -> Iterator[Note]:
    """Yield notes on rows that are newly skipped, and on rows that are readable again."""
    odd, readable = skipped_row_changes(before.odd_rows if before else (), record.odd_rows)
    yield from (Note(now_ms, "left_aside", row.model, row.version, row.why) for row in odd)
    yield from (Note(now_ms, "readable", row.model, row.version) for row in readable)


def doubt_notes(seen: Observation, before: PollRecord | None, now_ms: int) -> Iterator[Note]:
    """Yield notes on parts that read as older than known, and were not in doubt at the previous poll."""
    found = seen.plan
    passed = {sign.model: sign for sign in reversed(found.contradicted)}
    signs = {**passed, **{sign.model: sign for sign in reversed(found.review.signs)}}
    names = found.review.withheld.union(passed).difference(before.doubted if before else ())
    for name in sorted(names)[:MOST_DOUBTED]:
        sign = signs.get(name)
        then = (
            "it waits for another look" if name in found.review.withheld else "asked again, it read as known"
        )
        yield Note(now_ms, "doubted", name, sign.version if sign else "", f"{_doubt(sign)}: {then}")


def _doubt(sign: TimestampRegression | None) -> str:
    if sign is None or sign.read == sign.known:
        return "what was read of it may be from before what is known"
    return f"it reads as of {instant(sign.read)}, and is known as of {instant(sign.known)}"


def hold_notes(seen: Observation, before: PollHeld | None, now_ms: int) -> Iterator[Note]:
    """Yield notes on changes of holds; only a full scan can show that a hold is no longer needed."""
    known = before.digest.split("+") if before else []
    yield from (Note(now_ms, "accepted", detail=hold.message) for hold in seen.accepted)
    yield from (Note(now_ms, "held", detail=hold.message) for hold in seen.held if hold.digest not in known)
    if before and seen.read is Read.FULL and not seen.held and not seen.accepted:
        yield Note(now_ms, "lifted", detail=str(before))
