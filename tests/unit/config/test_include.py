"""What a sink includes: found to be wrong when the configuration is read."""

import pytest

from bridge.config import routes_of
from bridge.config.file_loading import build
from bridge.errors import ConfigurationError
from bridge.events.event_details import Include
from bridge.sinks.sink_type_table import SETTINGS

HTTP = {"name": "ci", "type": "http", "url": "https://ci.example.com/hook"}
DISPATCH = {
    "name": "ci",
    "type": "github_dispatch",
    "repository": "acme/deploy",
    "event_type": "promoted",
    "token": {"env": "GITHUB_TOKEN"},
}


def built(sink):
    return build({"registry": {"tracking_uri": "http://r"}, "sinks": [sink]}, SETTINGS)


def test_nothing_is_included_unless_it_is_asked_for() -> None:
    (sink,) = built(HTTP).sinks

    assert sink.wanted == Include()


def test_what_is_included_goes_into_the_route_and_what_is_wanted() -> None:
    settings = built({**HTTP, "include": ["run", "model"], "include_policy": "required"})

    assert settings.sinks[0].wanted == Include(("run", "model"), is_required=True)
    assert routes_of(settings)[0].include == ("run", "model")


@pytest.mark.parametrize(
    ("sink", "expected"),
    [
        ({**HTTP, "include": ["runs"]}, "include[0]: should be 'run', 'model' or 'version'"),
        ({**HTTP, "include": "run"}, "include: must be a list"),
        ({**HTTP, "include_policy": "always"}, "include_policy: should be 'best_effort' or 'required'"),
        (
            {**HTTP, "include": ["run"], "format": "databricks", "signature": "none"},
            "format: 'databricks' has no place for what include asks for: mlflow, registry, standard, cloudevents,",
        ),
        (
            {**HTTP, "when": "model_name == 'm' && details.run.metrics.auc > `0.9`"},
            "when: at character 22: details are fetched for events that go to the sink",
        ),
        (
            {**DISPATCH, "include": ["run"], "events": ["MODEL_VERSION_CREATED"]},
            "include: the payload of MODEL_VERSION_CREATED has 10 top-level keys already",
        ),
    ],
)
def test_what_cannot_be_included_is_said_with_its_key(sink, expected) -> None:
    with pytest.raises(ConfigurationError) as refused:
        built(sink)

    assert any(problem.startswith(f"sinks[0].{expected}") for problem in refused.value.problems), (
        refused.value
    )


def test_github_takes_details_where_there_is_a_key_left_or_the_payload_is_one_s_own() -> None:
    built({**DISPATCH, "include": ["run"]})
    built(
        {
            **DISPATCH,
            "include": ["run"],
            "events": ["MODEL_VERSION_CREATED"],
            "client_payload": {"name": "${model_name}", "auc": "${details.run.metrics.auc}"},
        }
    )


def remarks(**more) -> list[str]:
    template = {**HTTP, "format": "template", **more}
    return list(built(template).sinks[0].remarks())


def test_templates_see_details_and_only_what_can_never_be_there_is_remarked() -> None:
    body = {"auc": "${details.run.metrics.auc}", "typo": "${details.run.metricz.auc}"}

    assert remarks(body=body, include=["run"]) == [
        "body.typo: ${details.run.metricz.auc} is null for MODEL_VERSION_TRANSITIONED_STAGE"
    ]
    assert remarks(body={"auc": "${details.run.metrics.auc}"})[0].startswith("body.auc: ")
    assert remarks(body={"all": "${details}"}, include=["model"]) == []
