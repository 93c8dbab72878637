"""``init``: what it writes is always valid, and never over anything."""

import io
import os
import stat
import sys
import tomllib
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli import main
from bridge.cli import starter_configuration as first_module
from bridge.cli.setup_questions import faults_of, gather_answers
from bridge.cli.starter_configuration import KINDS, StarterAnswers, configuration, toml
from bridge.errors import BridgeError
from bridge.operations.verified_configuration import load_settings

ROOT = Path(__file__).parents[3]
ODD = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\"'\\\n\r\t\x00\x1b\x7f\u202e#{}="))
NO_OPTIONS = {
    **dict.fromkeys(("tracking_uri", "sink", "name", "secret_env", "secret_file")),
    **{
        question.option.replace("-", "_"): None
        for kind in KINDS.values()
        for question in (*kind.questions, *kind.optional)
    },
    "no_secret": False,
    "generate_secret": False,
    "systemd": False,
}


@given(ODD)
def test_any_text_survives_being_written_as_toml(text) -> None:
    written = f"x = {toml(text)}\ny = {toml({'file': text})}"

    assert written.replace("\n", "").isprintable()
    assert tomllib.loads(written) == {"x": text, "y": {"file": text}}


@st.composite
def answers(draw) -> StarterAnswers:
    """Draw answers, most of them valid, all of them free of what TOML could trip over."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    questions = (*KINDS[kind].questions, *draw(st.sampled_from([(), KINDS[kind].optional])))
    spoilt = draw(st.sampled_from(["", "", "name", "uri", *(question.key for question in questions)]))
    odd = {question.key: draw(ODD) if question.key == spoilt else question.example for question in questions}
    uris = ["http://u:p@h", "h:5000", "/mnt/ml'\"\\runs"] if spoilt == "uri" else ["http://h:5000"]
    name = draw(ODD) if spoilt == "name" else "ci"
    place = {draw(st.sampled_from(["env", "file"])): draw(ODD.filter(bool))}
    return StarterAnswers(draw(st.sampled_from(uris)), kind, name, odd, place, draw(st.booleans()))


@given(answers())
def test_what_is_written_passes_check_or_is_refused_before(tmp_path_factory, first) -> None:
    folder = tmp_path_factory.getbasetemp()
    faults = list(faults_of(first, folder))
    if faults:
        assert all(fault.isprintable() for fault in faults)
        return
    path = folder / "property.toml"
    path.write_text(configuration(first), encoding="utf-8")

    (sink,) = load_settings(path).sinks
    document = tomllib.loads(path.read_text(encoding="utf-8"))["sinks"][0]

    assert (sink.name, sink.type) == (first.name, first.kind)
    assert document | first.answers == document
    assert document[KINDS[first.kind].secret_key] == first.secret


@pytest.mark.parametrize("kind", KINDS)
def test_the_usual_answers_are_valid_for_every_type_of_sink(kind, tmp_path) -> None:
    needed = {one.option.replace("-", "_"): one.example for one in KINDS[kind].questions if not one.default}

    first = gather_answers({**NO_OPTIONS, "sink": kind, **needed}, tmp_path, asks=False)

    assert list(faults_of(first, tmp_path)) == []
    assert (first.name, first.secret) == (KINDS[kind].name, {"env": KINDS[kind].variable})


def test_the_tracking_uri_is_the_environment_s_where_none_is_given(tmp_path, monkeypatch) -> None:
    options = {**NO_OPTIONS, "url": "https://h/x"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5001")

    assert gather_answers(options, tmp_path, asks=False).tracking_uri == "http://mlflow:5001"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert gather_answers(options, tmp_path, asks=False).tracking_uri == "http://127.0.0.1:5000"


WRONG = {
    "nothing": ({}, "--sink http needs --url: there is nobody to ask"),
    "two missing": ({"sink": "jenkins_job"}, "needs --url and --job"),
    "no URL": ({"url": "ci.example.com"}, "--url: must be an http:// or https:// URL"),
    "empty URL": ({"url": ""}, "--url: must be an http:// or https:// URL"),
    "no name": ({"url": "https://h", "name": "a b"}, "--name: must be 1 to 64 letters"),
    "a password": (
        {"url": "https://h", "tracking_uri": "http://u:p@h"},
        "--tracking-uri: must hold no user name",
    ),
    "a database": ({"url": "https://h", "tracking_uri": "sqlite:///x"}, "--tracking-uri: is a database"),
    "no repository": (
        {"sink": "github_dispatch", "repository": "acme"},
        "--repository: must be an owner and",
    ),
    "of another type": (
        {"repository": "a/b"},
        "--repository goes with --sink github_dispatch or github_workflow",
    ),
    "no variable": (
        {"url": "https://h", "secret_env": "a b"},
        "'a b' cannot be the name of an environment variable",
    ),
    "two places": ({"url": "https://h", "secret_env": "A", "secret_file": "f"}, "give one of --secret-env"),
    "no token": ({"sink": "github_dispatch", "repository": "a/b", "no_secret": True}, "go with --sink http"),
    "a service": ({"url": "https://h", "systemd": True, "secret_env": "A"}, "has the secret as a credential"),
    "no Unicode": ({"url": "https://h", "secret_file": "\udcff"}, "is no Unicode text"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_answers_are_named_by_their_options(options, message, tmp_path) -> None:
    with pytest.raises(click.UsageError) as raised:
        gather_answers({**NO_OPTIONS, **options}, tmp_path, asks=False)

    assert message in str(raised.value)


def init(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(
        sys, "argv", ["mlflow-bridge", "init", "--tracking-uri", "http://127.0.0.1:1", *arguments]
    )
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return tmp_path


def test_a_registry_that_is_down_leaves_the_file_and_says_how_to_go_on(here, monkeypatch, capsys) -> None:
    assert init(monkeypatch, "--url", "https://h/x") == 69

    done = capsys.readouterr()
    assert done.err.count("\n") == 1
    assert "http://127.0.0.1:1 cannot be reached: connection refused" in done.err
    assert "once that is mended:\n  export CI_WEBHOOK_SECRET=..." in done.out
    assert stat.S_IMODE((here / "config.toml").stat().st_mode) == 0o644 & ~umask()
    assert load_settings(here / "config.toml").sinks[0].url == "https://h/x"


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_is_there_is_never_overwritten_unless_that_is_asked_for(here, monkeypatch, capsys) -> None:
    (here / "config.toml").write_text("mine")

    assert init(monkeypatch, "--url", "https://h/x") == 1
    assert ("is there already" in capsys.readouterr().err, (here / "config.toml").read_text()) == (
        True,
        "mine",
    )
    assert init(monkeypatch, "--url", "https://h/x", "--force") == 69
    assert (here / "config.toml").read_text() != "mine"
    assert [path.name for path in here.iterdir()] == ["config.toml"]


def test_a_link_to_nowhere_is_there_already(here, monkeypatch, capsys) -> None:
    (here / "config.toml").symlink_to("nowhere")

    assert init(monkeypatch, "--url", "https://h/x") == 1
    assert not (here / "nowhere").exists()


def test_one_of_two_that_write_at_once_fails(here, monkeypatch) -> None:
    from bridge.cli import output_files

    monkeypatch.setattr(output_files, "refuse_existing", lambda path, hint: path.write_text("the other's"))

    with pytest.raises(BridgeError, match="is there already: a hint"):
        output_files.write_new(here / "config.toml", "mine", 0o644, "a hint")
    assert (here / "config.toml").read_text() == "the other's"


@pytest.mark.parametrize(
    ("place", "why"), [("no/such/config.toml", "No such file"), (".", "is there already")]
)
def test_a_place_that_cannot_be_written_is_one_sentence(here, monkeypatch, capsys, place, why) -> None:
    assert init(monkeypatch, "--url", "https://h/x", "--output", place) == 1

    error = capsys.readouterr().err
    assert (why in error, error.count("\n")) == (True, 1)


def test_a_file_system_without_links_is_written_to_all_the_same(here, monkeypatch) -> None:
    from bridge.cli.output_files import write_new

    def refuse(self, target) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    write_new(here / "config.toml", "text", 0o600, "a hint")

    assert (here / "config.toml").read_text() == "text"
    assert stat.S_IMODE((here / "config.toml").stat().st_mode) == 0o600
    assert [path.name for path in here.iterdir()] == ["config.toml"]


def test_a_new_secret_is_shown_once_and_not_in_the_file(here, monkeypatch, capsys) -> None:
    init(monkeypatch, "--url", "https://h/x", "--generate-secret")

    (line,) = [line for line in capsys.readouterr().out.splitlines() if "export" in line]
    secret = line.split()[1].removeprefix("CI_WEBHOOK_SECRET=")
    assert len(secret) >= 32
    assert secret not in (here / "config.toml").read_text()


def test_a_new_secret_goes_to_its_file_for_its_owner_alone(here, monkeypatch, capsys) -> None:
    options = ("--url", "https://h/x", "--secret-file", "hook.secret", "--generate-secret")
    init(monkeypatch, *options)

    secret = (here / "hook.secret").read_text()
    assert stat.S_IMODE((here / "hook.secret").stat().st_mode) == 0o600
    assert secret.strip() not in capsys.readouterr().out
    assert load_settings(here / "config.toml").sinks[0].secret.read() == secret.strip()
    assert init(monkeypatch, *options, "--force") == 1
    assert (here / "hook.secret").read_text() == secret


def test_the_configuration_to_write_is_not_one_to_read(here, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["mlflow-bridge", "-c", "x.toml", "init", "--url", "https://h/x"])
    with pytest.raises(SystemExit, match="2"):
        main()

    assert "name it with --output, not with --config" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_the_commands_to_go_on_with_can_be_pasted(here, monkeypatch, capsys) -> None:
    init(monkeypatch, "--url", "https://h/x", "--output", "a b.toml", "--name", "eu")

    told = capsys.readouterr().out
    assert "mlflow-bridge check --connect -c 'a b.toml'" in told
    assert "mlflow-bridge sinks test eu -c 'a b.toml'" in told


def test_the_service_s_state_is_where_make_install_has_it(tmp_path) -> None:
    first = StarterAnswers(
        "http://h", "http", "ci", {"url": "https://h"}, {"credential": "x"}, is_service=True
    )
    (tmp_path / "config.toml").write_text(configuration(first))

    assert load_settings(tmp_path / "config.toml").state.folder == "/var/lib/mlflow-bridge"


@pytest.fixture
def service(here, monkeypatch) -> Path:
    """Return the folder of the service, as make install leaves it."""
    folder = here / "etc"
    (folder / "secrets").mkdir(parents=True)
    (folder / "config.toml").write_bytes((ROOT / "systemd/config.toml").read_bytes())
    monkeypatch.setattr("bridge.cli.commands.init._SERVICE_FOLDER", str(folder))
    places = first_module._SERVICE.replace(
        "/var/lib/mlflow-bridge", str(here / "state")
    )  # this machine may have one
    monkeypatch.setattr(first_module, "_SERVICE", places)
    return folder


def test_the_service_s_configuration_takes_the_place_of_the_installed_one_alone(
    service, monkeypatch, capsys
) -> None:
    assert init(monkeypatch, "--systemd", "--url", "https://h/x") == 69
    settings = load_settings(service / "config.toml")
    told = capsys.readouterr().out

    assert settings.state.folder == str(service.parent / "state")
    assert settings.server.listen == "127.0.0.1:9464"
    assert settings.sinks[0].secret.credential == "ci-webhook-secret"
    assert f"install -m 600 /dev/stdin {service}/secrets/ci-webhook-secret" in told
    assert f"LoadCredential=ci-webhook-secret:{service}/secrets/ci-webhook-secret" in told
    assert f"CREDENTIALS_DIRECTORY={service}/secrets mlflow-bridge check --connect" in told
    assert "mlflow-bridge run" not in told
    assert init(monkeypatch, "--systemd", "--url", "https://h/y") == 1
    assert load_settings(service / "config.toml") == settings


def test_the_service_can_read_its_configuration_whatever_the_umask_and_root_alone_the_new_secret(
    service, monkeypatch, capsys
) -> None:
    before = os.umask(0o077)
    try:
        init(monkeypatch, "--systemd", "--url", "https://h/x", "--generate-secret")
    finally:
        os.umask(before)
    secret = service / "secrets/ci-webhook-secret"

    assert stat.S_IMODE((service / "config.toml").stat().st_mode) == 0o644
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert "install -m 600" not in capsys.readouterr().out
