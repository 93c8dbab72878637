"""What one poll keeps of a scan, and when the next one goes on with it."""

from dataclasses import replace
from functools import partial

import pytest
from support.values import model

from bridge.diff.known_snapshot import PlainModels
from bridge.errors import RegistryUnreachable
from bridge.pipeline.resumable_scan import ScanSlice
from bridge.registry.page_sizes import PageSizes
from bridge.store.state_metadata import Head, Stamp

HEAD = Head("1", 0, "http://h", None, "5")
HOUR = 3_600_000
NOW = 100 * HOUR


def at(now_ms: int) -> Stamp:
    return Stamp(now_ms, now_ms // 2, "boot")


def begun(scan: ScanSlice, now_ms: int, head: Head = HEAD, server: str = "3.17"):
    progress, sizes = scan.begin(head, at(now_ms)), PageSizes(1_000, 5_000)
    collector = progress.begin(PlainModels(), sizes, with_facts=True, server=server)
    return progress, collector, sizes


def kept(duration_ms: int = 1_000):
    """Return what is left of a scan after one page of models, which has to be followed by another."""
    scan = ScanSlice(at(NOW))
    progress, collector, _ = begun(scan, NOW)
    progress.take_in(partial(collector.add_models, [model("a")]), "1", of_versions=False)
    document = scan.keep(duration_ms)
    PARTS.update(scan.new_parts())
    return document


PARTS: dict[str, dict] = {}
"""The parts that were kept, by name."""


def resumed(now_ms: int, document) -> ScanSlice:
    return ScanSlice(at(now_ms), document, PARTS.__getitem__)


def test_the_next_goes_on_where_the_one_before_was_cut_off() -> None:
    scan = resumed(NOW + HOUR, kept())
    progress, collector, _ = begun(scan, NOW + HOUR)

    assert (progress.goes_on, progress.step, progress.token, collector.names) == (True, 0, "1", ["a"])
    assert (scan.began, scan.spent_ms) == (at(NOW), 1_000)
    progress.take_in(partial(collector.add_models, [model("b")]), None, of_versions=False)
    assert (progress.step, progress.token) == (1, None)
    again = scan.keep(2_000)
    assert (again["began"], again["spent_ms"]) == (list(at(NOW)), 3_000)
    first, second = again["progress"]["parts"]
    assert (list(PARTS[first]["rows"]), [(name, list(one["rows"])) for name, one in scan.new_parts()]) == (
        ["a"],
        [(second, ["b"])],
    )
    listing = progress.listing()
    assert (listing.atomic, listing.pages_versions) == (False, True)


@pytest.mark.parametrize(
    "now_ms", [NOW + 12 * HOUR, NOW - 1], ids=["too long ago", "in the future: the clock was set back"]
)
def test_what_is_too_old_is_read_again(now_ms) -> None:
    scan = resumed(now_ms, kept())
    progress, collector, _ = begun(scan, now_ms)
    assert (progress.goes_on, collector.names, scan.began, scan.spent_ms) == (False, [], at(now_ms), 0)


@pytest.mark.parametrize(
    ("head", "server"),
    [
        (replace(HEAD, uri="http://other"), "3.17"),
        (replace(HEAD, workspace="w"), "3.17"),
        (replace(HEAD, fingerprint="6"), "3.17"),
        (HEAD, "3.18"),
    ],
)
def test_what_was_read_of_another_registry_or_server_counts_for_nothing(head, server) -> None:
    scan = resumed(NOW + HOUR, kept())
    progress, collector, _ = begun(scan, NOW + HOUR, head, server)
    assert (progress.goes_on, collector.names, progress.token) == (False, [], None)
    assert (scan.began, scan.spent_ms) == (at(NOW + HOUR), 0)


def test_a_scan_that_did_not_begin_or_came_no_further_keeps_nothing_new() -> None:
    assert ScanSlice(at(NOW)).keep(1_000) is None
    scan = resumed(NOW + HOUR, kept())
    begun(scan, NOW + HOUR)
    assert scan.keep(1_000) is None


def test_what_was_found_out_of_pages_is_kept_whatever_becomes_of_the_scan() -> None:
    scan = ScanSlice(at(NOW))
    _, _, sizes = begun(scan, NOW)
    assert scan.leave() is None
    assert sizes.models.shrink(1_000)
    told = scan.keep(1_000)
    assert told["progress"] == {"sizes": {"models": 250, "versions": 5_000}}
    assert scan.leave()["progress"] == told["progress"]

    _, collector, sizes = begun(ScanSlice(at(NOW + HOUR), told), NOW + HOUR)
    assert (sizes.models.rows, sizes.versions.rows, collector.names) == (250, 5_000, [])


def test_what_comes_after_the_scan_was_given_up_is_not_taken_in() -> None:
    scan = ScanSlice(at(NOW))
    progress, collector, _ = begun(scan, NOW)
    scan.keep(0)
    with pytest.raises(RegistryUnreachable, match="given up"):
        progress.take_in(partial(collector.add_models, [model("a")]), None, of_versions=False)
    assert collector.names == []


def test_a_list_that_was_asked_for_in_the_wrong_way_is_asked_for_again() -> None:
    progress, collector, _ = begun(ScanSlice(at(NOW)), NOW)
    progress.take_in(partial(collector.add_models, []), None, of_versions=False)
    progress.begin_again()
    assert (progress.step, progress.token) == (0, None)


def test_what_an_earlier_version_kept_in_one_document_is_read_again() -> None:
    document = kept()
    progress = {**document["progress"], "collected": {"rows": {"a": None}, "versions": 0}}
    del progress["totals"], progress["parts"]
    progress, collector, _ = begun(resumed(NOW + HOUR, {**document, "progress": progress}), NOW + HOUR)

    assert (progress.goes_on, collector.names) == (False, [])


def test_an_earlier_version_does_not_take_what_is_kept_for_its_own() -> None:
    """It looked for ``collected``, and would fail at each full scan until that is twelve hours old."""
    assert "collected" not in kept()["progress"]


def test_a_scan_of_which_a_part_is_missing_begins_anew() -> None:
    document = kept()
    progress, collector, _ = begun(ScanSlice(at(NOW + HOUR), document), NOW + HOUR)

    assert (progress.goes_on, progress.token, collector.names) == (False, None, [])


def test_many_models_are_kept_in_several_parts() -> None:
    scan = ScanSlice(at(NOW))
    progress, collector, _ = begun(scan, NOW)
    models = [model(f"m{n}", versions=0) for n in range(1_200)]
    progress.take_in(partial(collector.add_models, models), "1", of_versions=False)
    document, parts = scan.keep(0), dict(scan.new_parts())

    assert document["progress"]["parts"] == list(parts)
    assert [len(part["rows"]) for part in parts.values()] == [500, 500, 200]
    _, collector, _ = begun(ScanSlice(at(NOW + HOUR), document, parts.__getitem__), NOW + HOUR)
    assert collector.names == [one.name for one in models]
