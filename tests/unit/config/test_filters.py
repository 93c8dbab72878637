"""Filters in the configuration: what they become, and what can be wrong with them."""

import re

import pytest

from bridge.config import routes_of
from bridge.config.file_loading import build
from bridge.delivery.event_routing import Route
from bridge.errors import ConfigurationError
from bridge.events.jmespath_expressions import compile_expression
from bridge.sinks.sink_type_table import SETTINGS

HTTP = {"name": "ci", "type": "http", "url": "https://ci.example.com/hook"}


def built(**filters):
    return build({"registry": {"tracking_uri": "http://r"}, "sinks": [{**HTTP, **filters}]}, SETTINGS)


def test_filters_are_compiled_when_the_configuration_is_read() -> None:
    settings = built(
        models=["fraud-*", "!*-old"],
        from_stages=["Staging"],
        aliases=["champion|canary"],
        tags={"team": "fraud", "release": "*"},
        when="user_id != 'robot'",
    )

    assert routes_of(settings) == [
        Route(
            "ci",
            ("MODEL_VERSION_TRANSITIONED_STAGE",),
            ("fraud-*", "!*-old"),
            (),
            ("Staging",),
            (re.compile("champion|canary"),),
            (("team", "fraud"), ("release", "*")),
            compile_expression("user_id != 'robot'"),
        )
    ]


def test_the_same_filters_are_equal_and_others_are_not() -> None:
    filters = {"aliases": ["a"], "tags": {"k": "*"}, "when": "sink == 'ci'"}

    assert built(**filters) == built(**filters)
    assert built(**filters) != built(**{**filters, "when": "sink == 'cd'"})


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"models": ["a", "!"]}, "models[1]: must be the name of a model, or a glob"),
        ({"models": "fraud-*"}, "models: must be a list"),
        (
            {"from_stages": ["Stagging"]},
            "from_stages[0]: 'Stagging' is not the name of a stage (did you mean 'Staging'?)",
        ),
        ({"from_stage": ["Staging"]}, "from_stage: unknown key (did you mean 'from_stages'?)"),
        (
            {"aliases": ["ok", "a(b"]},
            "aliases[1]: at character 2: is no regular expression: missing ), unterminated subpattern",
        ),
        ({"aliases": [5]}, "aliases[0]: must be a text in quotes"),
        ({"tags": ["team"]}, "tags: must be a table"),
        ({"tags": {"team": 5}}, "tags.team: must be a text in quotes"),
        ({"when": "to_stage = 'Production'"}, "when: at character 10: unknown token '=' (== compares)"),
        (
            {"when": "lenght(model_name) > `3`"},
            "when: at character 1: there is no function lenght() (did you mean length()?)",
        ),
        ({"when": "to_stage =="}, "when: at character 12: the expression ends too early"),
        ({"when": ""}, "when: at character 1: the expression is empty"),
        ({"when": True}, "when: must be a JMESPath expression in quotes"),
    ],
)
def test_a_filter_that_is_wrong_is_refused_with_key_and_position(filters, expected) -> None:
    with pytest.raises(ConfigurationError) as caught:
        built(**filters)

    (problem,) = caught.value.problems
    assert problem.startswith(f"sinks[0].{expected}")


def test_paths_are_looked_for_in_no_table_whose_keys_are_the_registry_s(tmp_path) -> None:
    from bridge.operations.verified_configuration import load_settings

    path = tmp_path / "config.toml"
    path.write_text(
        '[registry]\ntracking_uri = "http://r"\n[[sinks]]\nname = "ci"\ntype = "http"\n'
        'url = "http://h"\ntags = { file = "*.csv" }\n'
    )

    assert load_settings(path).sinks[0].tags == {"file": "*.csv"}
