"""What is older than what was left aside may have been there all the time; what is younger is news."""

from dataclasses import replace

import pytest
from support.values import model

from bridge.diff.previously_hidden_models import Horizon
from bridge.diff.rename_detection import Pair
from bridge.diff.snapshot import ModelVersion

ASIDE = Horizon(models=1_000, aside={"m": 500})


@pytest.mark.parametrize(("created", "is_hidden"), [(499, True), (500, False), (900, False)])
def test_a_model_that_was_left_aside_is_news_if_it_is_younger(created, is_hidden) -> None:
    pair = Pair(None, replace(model("m"), created=created))

    assert ASIDE.hides(pair) is is_hidden
    assert ASIDE.hides(Pair(None, replace(model("other"), created=created)))


@pytest.mark.parametrize(("created", "hidden"), [(499, ["2"]), (500, [])])
def test_so_is_a_version_of_it(created, hidden) -> None:
    old = model("m")
    new = replace(old, versions={**old.versions, "2": ModelVersion("2", created, created)})

    assert [one.version for one in ASIDE.hidden(old, new)] == hidden
    assert Horizon(models=1_000).hidden(old, new) == []
    assert [one.version for one in Horizon(versions=10_000, aside={"m": 1}).hidden(old, new)] == ["2"]
