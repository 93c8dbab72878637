"""Rows of a read that are not recorded as read: malformed rows, replaced models, and held rows. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from bridge.delivery.storm_guard import Hold, hold_replacement
from bridge.diff.absence_verification import Absence, Answer, Answers, Listing
from bridge.diff.malformed_rows import OddRow
from bridge.diff.model_identity_comparison import find_replaced_models
from bridge.diff.recently_replaced_values import OVERLAP_MS
from bridge.diff.snapshot import RegisteredModel
from bridge.pipeline.commit_plan import Known, Plan
from bridge.pipeline.hold_decisions import HoldDecisions
from bridge.pipeline.registry_clock import CLOCKS_APART_MS, Reading
from bridge.store.state_metadata import Head


def judged_head(before: Head, after: Head, decisions: HoldDecisions) -> Head:
    """Store the accepted holds in ``after``; while something is held, keep the clock of ``before``.

    Otherwise what is new now would later count as hidden before the scan, and would not be announced.
    """
    after = replace(after, accepted=decisions.let_through)
    if not decisions.held:
        return after
    return replace(
        after,
        registry_clock=before.registry_clock,
        vouched=before.vouched,
        scanned_clock=before.scanned_clock,
        scanned=before.scanned,
    )


def replacement_hold(known: Known, lost: Sequence[str], listing: Listing) -> Hold | None:
    """Hold a poll in which no known model is left, and a model exists that the last scan should have shown.

    This is what a registry looks like whose own database was replaced, however few models it has.
    """
    head = known.head
    clock = max(head.registry_clock, head.vouched.wall_ms - CLOCKS_APART_MS if head.vouched else 0)
    if not clock or not lost or len(lost) < len(known.models):
        return None
    older = [name for name, row in new_rows(known, listing).items() if row.created < clock - OVERLAP_MS]
    return hold_replacement(lost, older) if older else None


def ownerless_versions(listing: Listing, answers: Answers) -> list[OddRow]:
    """Return malformed rows for names that have versions but no model."""
    gone = [name for name in sorted(listing.orphans) if answers.get(name) is Absence.GONE]
    return [OddRow(name, why="it has versions, and there is no model of this name") for name in gone]


def possibly_malformed_models(
    known: Known, answers: Answers, odd_rows: Sequence[OddRow]
) -> dict[str, Answer]:
    """Return, as unknown, the missing models that may be the ones in malformed rows."""
    created = {row.created for row in odd_rows if row.created}
    gone = [name for name, answer in answers.items() if answer is Absence.GONE]
    rows = {name: known.models.row(name) for name in gone if created}
    return {name: Absence.UNKNOWN for name, row in rows.items() if row is not None and row.created in created}


def new_rows(known: Known, listing: Listing) -> dict[str, RegisteredModel]:
    """Return the rows of models that are not known, by name."""
    names = find_replaced_models(known.models, listing).names
    return {name: replace(listing.models[name], versions={}) for name in names}


def differing_rows(reading: Reading, found: Plan) -> dict[str, RegisteredModel]:
    """Return the rows, as read, of the models that are not recorded as read."""
    models = reading.listing.models
    recorded = {name: model for name, (model, _) in found.models.items()}
    return {name: replace(models[name], versions={}) for name in models if recorded.get(name) != models[name]}
