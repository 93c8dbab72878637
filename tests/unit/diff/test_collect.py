"""What a full scan keeps of what it reads."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.strategies import snapshots

from bridge.diff.collect import Collector
from bridge.diff.known import PlainModels
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
