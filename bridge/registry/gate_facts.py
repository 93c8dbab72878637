"""Reads what the checks of gates see of a version: its record, its run, and the same of the incumbent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.diff.absence_verification import Absence
from bridge.registry.base import Deadline, Facts


@dataclass(slots=True)
class VersionFacts:
    """What was read about a version, and why parts are missing."""

    version: Mapping[str, Any] | None = None
    run: Mapping[str, Any] | None = None
    incumbent: Mapping[str, Any] | None = None
    gaps: list[str] = field(default_factory=list)


def read_facts(
    facts: Facts, model: str, version: str, incumbent: str | None, deadline: Deadline
) -> VersionFacts:
    """Read what checks see of a version, and of the ``incumbent``, if there is one. It blocks.

    Raises:
        RegistryError: there was no usable answer.
    """
    found = VersionFacts()
    found.version, found.run, gaps = _version(facts, model, version, deadline)
    found.gaps += gaps
    if incumbent is not None:
        theirs, run, gaps = _version(facts, model, incumbent, deadline)
        found.incumbent = {**(theirs or {"version": incumbent}), "run": run}
        found.gaps += [f"incumbent: {gap}" for gap in gaps]
    return found


def _version(
    facts: Facts, model: str, version: str, deadline: Deadline
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None, list[str]]:
    """Return the record of a version and of its run, and why they are missing."""
    record = facts.version(model, version, deadline)
    if isinstance(record, Absence):
        return None, None, [f"version {version} {_why(record)}"]
    if not record["run_id"]:
        return record, None, [f"version {version} has no run"]
    run = facts.run(record["run_id"], deadline)
    if isinstance(run, Absence):
        return record, None, [f"run {record['run_id']} {_why(run)}"]
    if run.get("lifecycle_stage") == "deleted":
        return record, None, [f"run {record['run_id']} is deleted"]
    return record, run, []


def _why(absence: Absence) -> str:
    return "may not be read by the bridge" if absence is Absence.UNKNOWN else "does not exist"
