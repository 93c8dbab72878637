"""What a full scan keeps of what it reads."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import snapshots

from bridge.diff.full_scan_comparison import Collector
from bridge.diff.known_snapshot import PlainModels
from bridge.diff.snapshot import ModelVersion, RegisteredModel

VERSION = ModelVersion("1", 110, 170, run_id="r", source="s3://b")
MODEL = RegisteredModel("m", 100, 120, versions={"1": VERSION, "2": replace(VERSION, version="2")})


def collected(known, snapshot, order=None, *, with_facts=True):
    collector = Collector(PlainModels(known), with_facts=with_facts)
    collector.add_models([replace(model, versions={}) for model in snapshot.values()])
    versions = [(name, version) for name, model in snapshot.items() for version in model.versions.values()]
    for name, version in order(versions) if order else versions:
        collector.add_version(name, version)
    return collector.listing(atomic=True, pages_versions=False)


@given(snapshots(), snapshots(), st.randoms())
def test_same_and_differing_models_are_the_listing_whatever_the_order(known, snapshot, chance) -> None:
    def shuffled(versions):
        chance.shuffle(versions)
        return versions

    listing = collected(known, snapshot, shuffled)

    read = {**{name: known[name] for name in listing.same}, **dict(listing.models)}
    assert read == snapshot
    assert listing.counted == (len(snapshot), sum(len(model.versions) for model in snapshot.values()))


@given(snapshots())
def test_what_reads_as_known_in_the_usual_order_keeps_nothing(snapshot) -> None:
    listing = collected(snapshot, snapshot)

    assert (dict(listing.models), listing.same) == ({}, set(snapshot))


def test_a_version_listed_twice_is_one() -> None:
    listing = collected({"m": MODEL}, {"m": MODEL}, lambda versions: versions + versions[:1])

    assert {**dict(listing.models)}.get("m", MODEL) == MODEL


def test_a_version_whose_text_begins_like_another_is_another() -> None:
    longer = replace(MODEL, versions={"1": replace(VERSION, status="X", description="more")})
    known = {"m": replace(MODEL, versions={"1": replace(VERSION, status="X")})}

    assert dict(collected(known, {"m": longer}).models) == {"m": longer}


def test_facts_of_a_creation_are_kept_when_they_will_be_told() -> None:
    found = collected({}, {"m": MODEL}).models["m"].versions["1"]
    assert (found.run_id, found.source) == ("r", "s3://b")

    found = collected({}, {"m": MODEL}, with_facts=False).models["m"].versions["1"]
    assert (found.run_id, found.source) == ("", "")


def test_versions_of_a_model_that_was_not_listed_are_told_of() -> None:
    collector = Collector(PlainModels(), with_facts=False)
    collector.add_version("late", VERSION)

    assert collector.listing(atomic=True, pages_versions=False).orphans == {"late"}


def parts_of(collector) -> list[dict]:
    """Return what is stored of what a collector has collected itself."""
    return json.loads(json.dumps(list(map(collector.part, collector.new_parts()))))


def taken_up(collector, known, parts) -> Collector:
    """Return the collector with which a later poll goes on, from what is stored of this one."""
    document = json.loads(json.dumps(collector.to_document()))
    return Collector.from_documents(known, document, parts, with_facts=True)


def interrupted(before, after, snapshot, *cuts):
    """Return what a scan comes to that was cut off after so many steps, and taken up when ``after`` was known."""
    rows = [replace(model, versions={}) for model in snapshot.values()]
    steps = [lambda to, row=row: to.add_models([row]) for row in rows]
    steps += [
        lambda to, name=name, version=version: to.add_version(name, version)
        for name, model in snapshot.items()
        for version in model.versions.values()
    ]
    collector, parts = Collector(PlainModels(before), with_facts=True), []
    for number, step in enumerate(steps):
        if number in cuts:
            parts += parts_of(collector)
            collector = taken_up(collector, PlainModels(after), parts)
        step(collector)
    if max(cuts) >= len(steps):
        collector = taken_up(collector, PlainModels(after), parts + parts_of(collector))
    return collector.listing(atomic=False, pages_versions=True)


@settings(max_examples=50)
@given(snapshots(), snapshots(), st.sets(st.integers(0, 30), min_size=1, max_size=4))
def test_a_scan_that_was_cut_off_and_taken_up_comes_to_the_same(known, snapshot, cuts) -> None:
    whole, found = collected(known, snapshot), interrupted(known, known, snapshot, *cuts)

    assert (dict(found.models), found.same, found.orphans) == (dict(whole.models), whole.same, whole.orphans)
    assert (found.counted, found.latest) == (whole.counted, whole.latest)


@settings(max_examples=50)
@given(snapshots(), snapshots(), snapshots(), st.integers(0, 30))
def test_what_is_known_of_later_reads_is_not_overwritten_by_an_older_page(
    before, after, snapshot, at
) -> None:
    found = interrupted(before, after, snapshot, at)

    read = list(snapshot)[:at]
    for name in read:
        if before.get(name) != after.get(name):
            assert name not in found.models
            assert (name in found.same) == (name in after)
    for name in found.models:
        assert dict(found.models)[name] == snapshot[name]


def test_what_was_left_aside_stays_left_aside_when_a_scan_is_cut_off_twice() -> None:
    changed = {"m": replace(MODEL, updated=999)}
    first = Collector(PlainModels({"m": MODEL}), with_facts=True)
    first.add_models([replace(MODEL, versions={}, description="old page")])
    parts = parts_of(first)
    second = taken_up(first, PlainModels(changed), parts)
    third = taken_up(second, PlainModels(changed), parts)
    third.add_models([replace(MODEL, versions={}, description="a page that shows it again")])
    third.add_version("m", VERSION)

    listing = third.listing(atomic=False, pages_versions=True)
    assert (dict(listing.models), listing.same) == ({}, {"m"})


def test_what_was_stored_of_a_model_is_not_stored_again_when_more_of_it_comes() -> None:
    versions = [replace(VERSION, version=str(number)) for number in range(1, 21)]
    collector, parts = Collector(PlainModels({}), with_facts=True), []
    collector.add_models([replace(MODEL, versions={})])
    for start in range(0, 20, 5):
        for version in versions[start : start + 5]:
            collector.add_version("m", version)
        parts += parts_of(collector)
        collector = taken_up(collector, PlainModels({}), parts)

    assert [len(part["rows"]) for part in parts] == [1, 0, 0, 0]
    assert [part["differing"]["m"].count('["') for part in parts] == [5, 5, 5, 5]
    listing = collector.listing(atomic=False, pages_versions=True)
    assert list(listing.models["m"].versions.values()) == versions


def test_a_part_ends_where_versions_fill_a_megabyte() -> None:
    collector = Collector(PlainModels({}), with_facts=True)
    long = replace(VERSION, description="x" * 300_000)
    names = [f"m{number}" for number in range(10)]
    for name in names:
        collector.add_models([replace(MODEL, name=name, versions={})])
        collector.add_version(name, long)

    assert [len(part) for part in collector.new_parts()] == [4, 4, 2]
