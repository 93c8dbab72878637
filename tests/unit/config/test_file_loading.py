"""Reading configurations: the right ones, and all that can be wrong."""

import sys
from pathlib import Path

import pytest

from bridge.config import Secret, find, parse_duration, reveal
from bridge.config.file_loading import build, resolve_paths
from bridge.config.mlflow_process_environment import impose
from bridge.errors import ConfigurationError, SecretUnavailable
from bridge.operations.verified_configuration import load_settings
from bridge.sinks.sink_type_table import SETTINGS

ROOT = Path(__file__).parents[3]
REGISTRY = {"registry": {"tracking_uri": "http://127.0.0.1:5000"}}
A_CATALOG = "registry.tracking_uri: is a Unity Catalog, which has no tracking server"
HTTP = {"name": "ci", "type": "http", "url": "https://ci.example.com/hook"}


def problems(document=None, *sinks, **sections) -> list[str]:
    merged = {**REGISTRY, **(document or {}), **sections}
    if sinks:
        merged["sinks"] = list(sinks)
    with pytest.raises(ConfigurationError) as caught:
        build(merged, SETTINGS)
    return caught.value.problems


def test_the_example_loads_and_shows_every_key() -> None:
    settings = load_settings(ROOT / "config.example.toml")
    text = (ROOT / "config.example.toml").read_text()

    assert set(SETTINGS) == {sink.type for sink in settings.sinks}
    for part in (settings.registry, settings.poll, settings.state, settings.delivery, *settings.sinks):
        for key in type(part).model_fields:
            assert key in text, key


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = build({**REGISTRY, "sinks": [HTTP]}, SETTINGS)

    assert (
        settings.poll.interval,
        settings.poll.reconcile_interval,
        settings.poll.deadline,
        settings.poll.first_run,
        settings.poll.max_events,
        settings.poll.max_vanished,
    ) == (30_000, 600_000, 120_000, "baseline", 1000, 0.5)
    assert (
        settings.delivery.timeout,
        settings.delivery.max_age,
        settings.delivery.concurrency,
    ) == (15_000, 259_200_000, 16)
    assert settings.sinks[0].events == ("MODEL_VERSION_TRANSITIONED_STAGE",)
    assert settings.server is None


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        build(REGISTRY, SETTINGS).poll.interval = 1


def test_all_errors_come_at_once_each_with_its_key() -> None:
    found = problems(
        {"poll": {"interval": "soon", "intervall": "30s"}, "registry": {}},
        {"name": "ci", "type": "http", "url": "ftp://x"},
        {"name": "gh", "type": "github_dispatch", "repository": "acme", "event_type": "x" * 101},
    )

    assert [line.partition(":")[0] for line in found] == [
        "registry.tracking_uri",
        "poll.interval",
        "poll.intervall",
        "sinks[0].url",
        "sinks[1].repository",
        "sinks[1].token",
        "sinks[1].event_type",
    ]


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"poll": {"intervall": "30s"}}, "poll.intervall: unknown key (did you mean 'interval'?)"),
        ({"polling": {}}, "polling: unknown key (did you mean 'poll'?)"),
        ({"poll": {"interval": 30}}, 'poll.interval: must be a duration such as "30s"'),
        ({"poll": {"interval": "0s"}}, "poll.interval: must be longer than nothing"),
        ({"poll": {"interval": "30s", "cron": "* * * * *"}}, "poll: give interval or cron, not both"),
        ({"poll": {"cron": "hourly"}}, "poll.cron: must have five fields"),
        ({"poll": {"first_run": "all"}}, "poll.first_run: should be 'baseline' or 'emit'"),
        ({"poll": {"max_events": 0}}, "poll.max_events: should be greater than or equal to 1"),
        ({"poll": "fast"}, "poll: must be a table"),
        ({"state": {"url": "sqlite:x"}}, 'state.url: must be "tinydb:" followed by a folder'),
        ({"str": 1}, "str: unknown key"),
        ({"poll": {"max_events": "5"}}, "poll.max_events: must be a whole number"),
        (
            {"registry": {"tracking_uri": "http://h", "include_prompts": "yes"}},
            "registry.include_prompts: must be true",
        ),
        (
            {"registry": {"tracking_uri": "http://h", "username": 5, "password": {"env": "X"}}},
            "registry.username: must be a text",
        ),
        (
            {"registry": {"tracking_uri": "localhost:5000"}},
            'registry.tracking_uri: must begin with http:// or https:// (did you mean "http://localhost:5000"?)',
        ),
        (
            {"registry": {"tracking_uri": "./mlruns"}},
            "registry.tracking_uri: must be the whole path of the folder, from / on",
        ),
        (
            {"registry": {"tracking_uri": "databricks-uc"}},
            f'{A_CATALOG}: write registry_uri = "databricks-uc" and tracking_uri = "databricks"',
        ),
        (
            {"registry": {"tracking_uri": "uc:http://h:8080"}},
            f'{A_CATALOG}: write registry_uri = "uc:http://h:8080" and tracking_uri = "http://your-mlflow-server:5000"',
        ),
        (
            {"registry": {"tracking_uri": "HTTP://u:secret@host"}},
            "registry.tracking_uri: must hold no user name",
        ),
        ({"registry": {"tracking_uri": "http://h/?x=1"}}, "registry.tracking_uri: must end with its path"),
        (
            {
                "registry": {
                    "tracking_uri": "http://h",
                    "token": {"env": "A"},
                    "username": "u",
                    "password": {"env": "B"},
                }
            },
            "registry: give token, or username and password",
        ),
        ({"server": {"listen": "9464"}}, "server.listen: must be an address and a port"),
        (
            {"registry": {"tracking_uri": "sqlite:///x.db"}},
            "registry.tracking_uri: is a database: opening one migrates its schema",
        ),
        (
            {"registry": {"tracking_uri": "http://u:p@host"}},
            "registry.tracking_uri: must hold no user name or password",
        ),
        (
            {"registry": {"tracking_uri": "http://h", "username": "u"}},
            "registry: username and password go together",
        ),
        (
            {"registry": {"tracking_uri": "http://h", "token": "abc"}},
            'registry.token: must say where the secret is: { env = "NAME" }',
        ),
        (
            {"registry": {"tracking_uri": "http://h", "token": {"env": "A", "file": "b"}}},
            "registry.token: must have exactly one of env, file and credential",
        ),
    ],
)
def test_a_wrong_section_names_its_key_and_the_mend(sections, expected) -> None:
    (found,) = problems(sections)

    assert found.startswith(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type": "htpp"}, "sinks[0].type: 'htpp' is not a type of sink (did you mean 'http'?)"),
        (
            {"type": None},
            "sinks[0].type: is missing: one of github_dispatch, github_workflow, gitlab_pipeline, http, jenkins_job",
        ),
        ({"url": "not a url"}, "sinks[0].url: holds a blank"),
        ({"url": "//host/x"}, "sinks[0].url: must be an http:// or https:// URL"),
        ({"url": "http://h/\nx"}, "sinks[0].url: holds a blank, a line break"),
        ({"secret": {"evn": "X"}}, "sinks[0].secret.evn: unknown key (did you mean 'env'?)"),
        ({"secret": {"env": ""}}, "sinks[0].secret: must name a place"),
        ({"secret": 5}, "sinks[0].secret: must be a table"),
        ({"events": "X"}, "sinks[0].events: must be a list"),
        (
            {"to_stages": ["production"]},
            "sinks[0].to_stages[0]: 'production' is not the name of a stage (did you mean 'Production'?)",
        ),
        ({"concurrency": "5"}, "sinks[0].concurrency: must be a whole number"),
        ({"concurrency": True}, "sinks[0].concurrency: must be a whole number"),
        ({"a\nb": 1}, 'sinks[0]."a\\nb": unknown key'),
        ({"url": "http://h:99999/"}, "sinks[0].url: has a port that is no number"),
        ({"urll": "x"}, "sinks[0].urll: unknown key (did you mean 'url'?)"),
        (
            {"events": ["MODEL_VERSION_TRANSITIONED_STAG"]},
            "sinks[0].events[0]: 'MODEL_VERSION_TRANSITIONED_STAG' is not the name of an event (did you mean 'MODEL_VERSION_TRANSITIONED_STAGE'?)",
        ),
        ({"events": []}, "sinks[0].events: "),
        ({"name": "bad name"}, "sinks[0].name: "),
        ({"signature": "mlflow"}, 'sinks[0].secret: is missing: signature = "mlflow" needs it'),
        ({"signature": "none", "secret": {"env": "X"}}, 'sinks[0].secret: is not used by signature = "none"'),
        ({"secret": "s3cret"}, "sinks[0].secret: must say where the secret is"),
        ({"concurrency": 0}, "sinks[0].concurrency: should be greater than or equal to 1"),
        ({"format": "xml"}, "sinks[0].format: should be 'mlflow'"),
    ],
)
def test_a_wrong_sink_names_its_key_and_the_mend(changes, expected) -> None:
    sink = {key: value for key, value in {**HTTP, **changes}.items() if value is not None}

    (found,) = problems(None, sink)

    assert found.startswith(expected)
    assert "s3cret" not in found


def test_a_wrong_type_hides_no_misspelt_key() -> None:
    found = problems(None, {"name": "ci", "type": "htpp", "ulr": "http://h", "token": {}})

    assert found == [
        "sinks[0].type: 'htpp' is not a type of sink (did you mean 'http'?): one of "
        + ", ".join(sorted(SETTINGS))
        + ", or one of a package: install it where the bridge is (pip install PACKAGE)",
        "sinks[0].ulr: unknown key (did you mean 'url'?)",
    ]


def test_names_tell_sinks_apart() -> None:
    assert problems(None, HTTP, HTTP) == ["sinks: the name 'ci' is given twice: names tell sinks apart"]


def test_sinks_that_are_no_tables_are_errors() -> None:
    assert problems(sinks={"name": "x"}) == ["sinks: must be a list of tables: write each as [[sinks]]"]
    assert problems(sinks=["x"]) == ["sinks[0]: must be a table"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[registry\n", "is not valid TOML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (None, "there is no such file"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_clear_error(tmp_path, content, expected) -> None:
    path = tmp_path / "config.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=expected) as caught:
        load_settings(path)
    assert str(caught.value).startswith(str(path))


def test_a_folder_is_no_file(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings(tmp_path)


def test_a_crontab_is_judged_with_the_rest_of_the_file(tmp_path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[registry]\ntracking_uri = "http://h"\n[poll]\ncron = "0 0 30 2 *"\n')

    with pytest.raises(ConfigurationError, match=r"config\.toml: poll\.cron: .* never comes true"):
        load_settings(path)


def test_a_byte_order_mark_is_no_fault_and_nesting_without_end_is_one(tmp_path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'\xef\xbb\xbf[registry]\ntracking_uri = "http://h"\n')
    assert load_settings(path).registry.uri == "http://h"
    path.write_text("a = " + "[" * 5_000)
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        load_settings(path)


def test_relative_files_begin_at_the_configuration_too(tmp_path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[registry]\ntracking_uri = "http://h"\nca_file = "ca.pem"\ntoken = { file = "token" }\n'
        '[[sinks]]\nname = "ci"\ntype = "http"\nurl = "http://h"\nsecret = { file = "/abs" }\n'
    )
    settings = load_settings(path)

    assert (settings.registry.ca_file, settings.registry.token.file) == (
        str(tmp_path / "ca.pem"),
        str(tmp_path / "token"),
    )
    assert settings.sinks[0].secret.file == "/abs"
    assert Path(settings.state.folder) == tmp_path / "state"


def test_a_relative_state_begins_at_the_configuration(tmp_path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[registry]\ntracking_uri = "http://h"\n[state]\nurl = "tinydb:./s"\n')

    assert Path(load_settings(path).state.folder) == tmp_path / "s"


def test_the_tracking_uri_may_come_from_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://from.env/")

    assert build({}, SETTINGS).registry.uri == "http://from.env"


@pytest.mark.parametrize("registry", [{}, {"tracking_uri": "http://ours"}, {"tracking_uri": "databricks"}])
def test_so_may_that_of_a_registry_beside_it_which_mlflow_would_take(monkeypatch, registry) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://from.env")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://registry.env/")

    settings = build({"registry": registry}, SETTINGS)

    assert settings.registry.uri == "http://registry.env"
    assert settings.registry.tracking_uri == registry.get("tracking_uri", "http://from.env")
    assert settings.from_environment == {"registry_uri"} | ({"tracking_uri"} - registry.keys())


def test_what_the_configuration_names_stands_before_it(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://from.env")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://registry.env")
    ours = {"tracking_uri": "http://ours", "registry_uri": "http://registry.ours"}

    settings = build({"registry": ours}, SETTINGS)

    assert (settings.registry.uri, settings.from_environment) == ("http://registry.ours", frozenset())


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_variable_says_nothing(monkeypatch, value) -> None:
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    if value is not None:
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", value)

    assert build(REGISTRY, SETTINGS).registry.uri == REGISTRY["registry"]["tracking_uri"]


def test_what_the_bridge_wrote_for_mlflow_is_not_taken_for_the_operators_word(monkeypatch) -> None:
    """A daemon reads its configuration again in the environment that it changed."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://operators")
    impose({"MLFLOW_TRACKING_URI": "http://ours"})
    impose({"MLFLOW_TRACKING_URI": "http://ours.too"})

    assert build({}, SETTINGS).registry.uri == "http://operators"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://operators.anew")
    assert build({}, SETTINGS).registry.uri == "http://operators.anew"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ('"http://mlflow:5000"', "stands in quotes"),
        ("'http://mlflow:5000'", "stands in quotes"),
        ('"http://mlflow:5000', "stands in quotes"),
        ("\u201chttp://mlflow:5000\u201d", "stands in quotes"),
        ("`http://mlflow:5000`", "stands in quotes"),
        ("'/srv/mlruns'", "stands in quotes"),
        (" http://mlflow:5000", "blank or a line break"),
        ("http://mlflow:5000\r", "blank or a line break"),
        ("http://mlflow:5000\n", "blank or a line break"),
        ("\u00a0http://mlflow:5000", "blank or a line break"),
        ("\ufeffhttp://mlflow:5000", "blank or a line break"),
        ("http://mlflow :5000", "holds a blank"),
        ("mlflow:5000", 'did you mean "http://mlflow:5000"?'),
        ("localhost:5000", 'did you mean "http://localhost:5000"?'),
        ("localhost", 'did you mean "http://localhost"?'),
        ("mlflow.example.com/prefix", 'did you mean "http://mlflow.example.com/prefix"?'),
        ("[::1]:5000", 'did you mean "http://[::1]:5000"?'),
        ("//mlflow:5000", "must begin with http:// or https://"),
        ("http:/mlflow:5000", "must be an http:// or https:// URL"),
        ("http:mlflow:5000", "must be an http:// or https:// URL"),
        ("http//mlflow:5000", "must begin with http:// or https://"),
        ("http://mlflow:port", "has a port that is no number"),
        ("http://ann:pw@mlflow", "must hold no user name or password"),
    ],
)
@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", None])
def test_a_uri_that_mlflow_would_misread_names_what_is_wrong_and_where(
    monkeypatch, uri, expected, variable
) -> None:
    key = "registry_uri" if variable == "MLFLOW_REGISTRY_URI" else "tracking_uri"
    registry = {"tracking_uri": "http://ours"} if key == "registry_uri" else {}
    if variable:
        monkeypatch.setenv(variable, uri)
    else:
        registry = {"tracking_uri": uri}

    (problem,) = problems(registry=registry)

    assert problem.startswith(f"registry.{key}: ")
    assert expected in problem
    assert problem.endswith(f"(it comes from ${variable})") == bool(variable)


def test_a_database_is_allowed_on_demand() -> None:
    registry = {"tracking_uri": "postgresql+psycopg2://h/db", "allow_database_uri": True}

    assert build({"registry": registry}, SETTINGS).registry.uri == registry["tracking_uri"]


def test_a_configuration_is_looked_for_where_it_usually_is(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_BRIDGE_CONFIG", raising=False)
    # The last place is /etc: where the bridge is installed, there is something.
    monkeypatch.setattr(
        sys.modules["bridge.config.file_loading"],
        "SEARCHED",
        ("config.toml", str(tmp_path / "etc" / "config.toml")),
    )
    with pytest.raises(ConfigurationError, match="no configuration file: looked for"):
        find(None)
    Path("config.toml").touch()
    assert find(None) == Path("config.toml")
    monkeypatch.setenv("MLFLOW_BRIDGE_CONFIG", "/env.toml")
    assert (find(None), find("/named.toml")) == (Path("/env.toml"), Path("/named.toml"))


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("250ms", 250), ("30s", 30_000), ("10m", 600_000), ("1h30m", 5_400_000), ("30d", 2_592_000_000)],
)
def test_durations(text, milliseconds) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "1.5h", "5 s", "11000d", 5, None])
def test_what_is_no_duration(text) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_duration(text)


def test_a_secret_is_read_when_it_is_used(tmp_path, monkeypatch) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    secret = Secret(file=str(path))
    assert secret.read() == "first"
    path.write_text("second\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert (secret.read(), Secret(credential="token").read()) == ("second", "second")


def test_a_missing_secret_names_its_place_and_its_key(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "empty").touch()
    (tmp_path / "bytes").write_bytes(b"\xff")
    for secret, expected in (
        (Secret(env="NOT_SET"), "environment variable NOT_SET is not set"),
        (Secret(file="/none"), "file /none cannot be read: No such file"),
        (Secret(file=str(tmp_path / "empty")), "the secret is empty"),
        (Secret(file=str(tmp_path / "bytes")), "not UTF-8 text"),
        (Secret(credential="x"), r"no \$CREDENTIALS_DIRECTORY"),
    ):
        with pytest.raises(SecretUnavailable, match=rf"sinks\.ci\.secret: .*{expected}"):
            reveal("sinks.ci.secret", secret)


def test_a_text_may_stand_in_for_a_secret() -> None:
    assert (reveal("k", "plain"), reveal("k", None)) == ("plain", "")


@pytest.mark.parametrize(
    "registry",
    [
        {"tracking_uri": "/srv/mlruns"},
        {"tracking_uri": "file:///srv/mlruns"},
        {"tracking_uri": "databricks"},
        {"tracking_uri": "databricks://profile"},
        {"tracking_uri": "databricks", "registry_uri": "databricks-uc"},
        {"tracking_uri": "databricks", "registry_uri": "databricks-uc://profile"},
        {"tracking_uri": "databricks", "registry_uri": "uc:databricks-uc"},
        {"tracking_uri": "http://h", "registry_uri": "uc:http://h:8080"},
        {"tracking_uri": "corp://h:5000"},
    ],
    ids=lambda registry: "-".join(registry.values()),
)
def test_every_kind_of_registry_may_be_named(registry) -> None:
    assert build({"registry": registry}, SETTINGS).registry.uri == list(registry.values())[-1]


def test_headers_and_queries_may_be_called_file_and_their_secrets_are_found_beside_the_configuration(
    tmp_path,
) -> None:
    own = {"query": {"file": "a.json", "key": {"file": "key"}}, "headers": {"file": "b"}}

    placed = resolve_paths({"sinks": [own]}, tmp_path)["sinks"][0]

    assert placed["query"] == {"file": "a.json", "key": {"file": str(tmp_path / "key")}}
    assert placed["headers"] == {"file": "b"}


def test_what_is_too_short_or_too_long_is_told_in_plain_words() -> None:
    sink = {"name": "gh", "type": "github_dispatch", "repository": "a/b", "token": {"env": "T"}}

    assert problems(None, {**sink, "event_type": "x" * 101}, {**HTTP, "events": []}) == [
        "sinks[0].event_type: must have at most 100 characters",
        "sinks[1].events: must not be empty",
    ]
