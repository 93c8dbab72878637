"""What is asked again, because models move between two requests."""

from dataclasses import replace

from support.registry import FakeRegistry
from support.values import model

from bridge.diff.absence_verification import Absence, Listing
from bridge.diff.known_snapshot import PlainModels
from bridge.diff.registry_abilities import Abilities
from bridge.diff.stale_read_filtering import FilteredRead
from bridge.pipeline.listing_verification import ListingVerification
from bridge.pipeline.registry_clock import Reading
from bridge.registry.base import Deadline
from bridge.store.state_metadata import Stamp

OLD = model("old")
OTHER = replace(model("other"), created=50)
KNOWN = PlainModels({"old": OLD, "other": OTHER})
NEWCOMER = replace(model("old"), created=900, updated=900, versions={})


def moved(name: str, updated: int = 950):
    return replace(OLD, name=name, updated=updated)


def verification(registry: FakeRegistry) -> ListingVerification:
    return ListingVerification(registry, KNOWN, 880, 1_000, Deadline.after(10_000))


def inquired(registry: FakeRegistry, listing: Listing):
    return verification(registry).verify(listing, {})


def test_a_model_renamed_after_it_was_listed_is_not_taken_for_two() -> None:
    # The scan showed `old` as known; then `other` went, and `old` was given its name.
    registry = FakeRegistry({"other": moved("other")})
    answers = inquired(registry, Listing({}, same={"old"}))

    assert (answers["other"].created, answers["old"]) == (OLD.created, Absence.GONE)


def test_a_model_renamed_between_two_questions_is_not_taken_for_two() -> None:
    class Renaming(FakeRegistry):
        def _answer(self, name):
            answer = super()._answer(name)
            if name == "old":  # asked for first; renamed right after the answer
                self.models = {"other": moved("other")}
            return answer

    answers = inquired(Renaming({"old": OLD}), Listing({}))

    assert (answers["other"].created, answers["old"]) == (OLD.created, Absence.GONE)


def test_a_model_that_got_its_name_back_after_it_was_listed_is_not_taken_for_two() -> None:
    registry = FakeRegistry({"old": OLD, "other": OTHER})
    answers = inquired(registry, Listing({"new": moved("new")}, same={"other"}))

    assert answers == {"old": OLD, "new": Absence.GONE}


def test_new_versions_of_a_model_whose_name_was_given_away_are_not_its_own() -> None:
    mixed = replace(OTHER, versions={**OTHER.versions, "2": replace(OLD.versions["1"], version="2")})
    registry = FakeRegistry({"other": moved("other")})
    answers = inquired(registry, Listing({"other": mixed, "old": OLD}))

    assert (answers["other"], answers["old"]) == (moved("other"), Absence.GONE)


def test_a_renamed_model_that_is_deleted_while_it_is_read_has_lost_no_versions() -> None:
    bare = replace(moved("new"), versions={})
    answers = inquired(FakeRegistry({"other": OTHER}), Listing({"new": bare}, is_complete=False))

    assert answers["new"] is Absence.GONE


def test_new_versions_of_a_model_that_is_still_there_are_its_own() -> None:
    grown = replace(OTHER, versions={**OTHER.versions, "2": replace(OLD.versions["1"], version="2")})
    registry = FakeRegistry({"other": grown, "old": OLD})

    assert inquired(registry, Listing({"other": grown}, same={"old"})) == {}


def test_two_models_of_one_millisecond_that_are_both_there_are_two() -> None:
    registry = FakeRegistry({"old": OLD, "new": moved("new"), "other": OTHER})
    answers = inquired(registry, Listing({"new": moved("new")}, is_complete=False))

    assert {name: one.created for name, one in answers.items()} == {"old": 100, "new": 100}


def test_a_model_whose_name_was_given_away_is_looked_for_under_another() -> None:
    registry = FakeRegistry({"old": NEWCOMER, "new": moved("new")})
    answers = inquired(registry, Listing({"old": NEWCOMER}, is_complete=False))

    assert answers == {"new": moved("new")}


def test_a_model_that_is_gone_from_its_name_is_looked_for_under_another() -> None:
    registry = FakeRegistry({"new": moved("new"), "other": OTHER})
    answers = inquired(registry, Listing({}, same={"other"}))

    assert answers == {"old": Absence.GONE, "new": moved("new")}


def test_a_model_that_shows_under_no_name_is_gone() -> None:
    registry = FakeRegistry({"old": NEWCOMER, "other": OTHER})

    assert inquired(registry, Listing({"old": NEWCOMER}, is_complete=False)) == {}


def test_a_registry_without_that_order_is_believed() -> None:
    registry = FakeRegistry({"other": OTHER}, abilities=Abilities(has_order=False))

    assert inquired(registry, Listing({}, same={"other"})) == {"old": Absence.GONE}


def test_a_model_that_moves_all_the_time_stays_as_known() -> None:
    class Restless(FakeRegistry):
        """Shows the model under a name that it has no more when it is asked for by it."""

        def latest(self, deadline):
            return iter([iter([[moved(f"new-{len(self.asked)}")]])])

    assert inquired(Restless({"other": OTHER}), Listing({}, same={"other"}))["old"] is Absence.UNKNOWN


def test_what_cannot_be_asked_for_is_not_looked_for() -> None:
    registry = FakeRegistry({"other": OTHER}, refused={"old"})

    assert inquired(registry, Listing({}, same={"other"})) == {"old": Absence.UNKNOWN}
    assert registry.pages == 0


def test_a_model_that_was_renamed_before_it_is_read_again_is_not_taken_for_deleted() -> None:
    """Its name stands for another model by then: where it is now has to be searched."""
    registry = FakeRegistry({"old": NEWCOMER, "new": moved("new")})
    at = Stamp(1_000, 1_000, "")
    first = Reading(Listing({"old": OLD}), {}, at, at)

    again = verification(registry).read_again(first, FilteredRead({}, doubtful=frozenset({"old"})))

    assert (again.answers["old"].created, again.answers["new"].created) == (NEWCOMER.created, OLD.created)
