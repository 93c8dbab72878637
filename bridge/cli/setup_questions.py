"""Collect the answers for a first configuration from options, defaults and questions on the terminal."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from bridge.cli.output_files import absolute
from bridge.cli.starter_configuration import (
    ENVIRONMENT,
    KINDS,
    Question,
    StarterAnswers,
    StarterSink,
    configuration,
)
from bridge.config.file_loading import build, resolve_paths
from bridge.errors import ConfigurationError
from bridge.sinks.sink_type_table import SETTINGS

_REGISTRY = Question("tracking-uri", "tracking_uri", "URL of the MLflow server")
_USUAL_URI = "http://127.0.0.1:5000"


def gather_answers(given: Mapping[str, Any], folder: Path, *, asks: bool) -> StarterAnswers:
    """Return the answers; ``given`` are the options, ``folder`` is the folder of the file to write.

    Raises:
        click.UsageError: an answer is missing and questions are off, or an answer is not valid.
    """
    uri = given["tracking_uri"] or os.environ.get("MLFLOW_TRACKING_URI") or _USUAL_URI
    if asks and not given["tracking_uri"]:
        uri = _ask_until_valid(_REGISTRY, uri, StarterAnswers("", "http", "ci", _examples("http")))
    type_ = given["sink"] or "http"
    if asks and not given["sink"]:
        type_ = click.prompt("Type of the first sink", "http", type=click.Choice(tuple(KINDS)), err=True)
    kind = KINDS[type_]
    _refuse_strange(given, type_, kind)
    answers = dict(_answers(given, type_, kind, asks=asks))
    place, name = _place(given, kind, asks=asks), given["name"] or kind.name
    first = StarterAnswers(uri, type_, name, answers, place, given["systemd"])
    faults = list(faults_of(first, folder))
    if faults:
        raise click.UsageError("\n  ".join(["the configuration would not be valid:", *faults]))
    return first


def faults_of(first: StarterAnswers, folder: Path) -> Iterator[str]:
    """Yield the faults that the configuration would have, each with the option that sets the value."""
    texts = [first.tracking_uri, first.name, *first.answers.values(), *first.secret.values()]
    if any(not _is_unicode(text) for text in texts):
        yield "an answer is no Unicode text: a file in UTF-8 cannot hold it"
        return
    try:
        build(resolve_paths(_parsed(first), folder), SETTINGS)
    except ConfigurationError as error:
        kind = KINDS[first.kind]
        keys = {f"sinks[0].{one.key}": one.option for one in (*kind.questions, *kind.optional)}
        keys |= {"sinks[0].name": "name", "registry.tracking_uri": "tracking-uri"}
        for problem in error.problems:
            key, colon, what = problem.partition(": ")
            yield f"--{keys[key]}{colon}{what}" if key in keys else problem


def _parsed(first: StarterAnswers) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - only this function needs it

    return tomllib.loads(configuration(first))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_strange(given: Mapping[str, Any], type_: str, kind: StarterSink) -> None:
    """Refuse options that belong to other types of sink.

    Raises:
        click.UsageError: such an option is given.
    """
    known = {question.option for question in (*kind.questions, *kind.optional)}
    every = {question.option for one in KINDS.values() for question in (*one.questions, *one.optional)}
    for option in sorted(every - known):
        if given[option.replace("-", "_")] is not None:
            types = [name for name, one in KINDS.items() if option in {each.option for each in one.questions}]
            raise click.UsageError(f"--{option} goes with --sink {' or '.join(types)}, not with {type_}")
    if type_ != "http" and (given["generate_secret"] or given["no_secret"]):
        raise click.UsageError(f"--generate-secret and --no-secret go with --sink http, not with {type_}")


def _answers(
    given: Mapping[str, Any], type_: str, kind: StarterSink, *, asks: bool
) -> Iterator[tuple[str, str]]:
    missing = []
    for question in kind.questions:
        answer = given[question.option.replace("-", "_")]
        if answer is None and asks:
            answer = _ask_until_valid(
                question, question.default, StarterAnswers(_USUAL_URI, type_, kind.name, _examples(type_))
            )
        elif answer is None and not question.default:
            missing.append(f"--{question.option}")
        yield question.key, question.default if answer is None else answer
    if missing:
        raise click.UsageError(f"--sink {type_} needs {' and '.join(missing)}: there is nobody to ask")
    for question in kind.optional:
        if given[question.option] is not None:
            yield question.key, given[question.option]


def _examples(type_: str) -> dict[str, str]:
    return {question.key: question.example for question in KINDS[type_].questions}


def _ask_until_valid(question: Question, default: str, example: StarterAnswers) -> str:
    """Ask until the answer, put into ``example``, makes a valid configuration."""

    def judged(text: str) -> str:
        is_uri = question.option == "tracking-uri"
        answers = {**example.answers, **({} if is_uri else {question.key: text})}
        uri = text if is_uri else example.tracking_uri
        tried = StarterAnswers(uri, example.kind, example.name, answers, {"env": "NAME"})
        for fault in faults_of(tried, Path("/")):
            raise click.UsageError(fault)
        return text

    answer: str = click.prompt(question.text, default or None, value_proc=judged, err=True)
    return answer


def _place(given: Mapping[str, Any], kind: StarterSink, *, asks: bool) -> dict[str, str]:
    """Return the place of the secret.

    Raises:
        click.UsageError: several places are given, or the name cannot be an environment variable.
    """
    chosen = [key for key in ("secret_env", "secret_file", "no_secret") if given[key]]
    if len(chosen) > 1 or (given["no_secret"] and given["generate_secret"]):
        msg = "give one of --secret-env, --secret-file and --no-secret; --generate-secret needs a place"
        raise click.UsageError(msg)
    if given["systemd"] and (given["secret_env"] or given["secret_file"]):
        msg = "--systemd has the secret as a credential: leave --secret-env and --secret-file out"
        raise click.UsageError(msg)
    if given["no_secret"]:
        return {}
    if given["secret_file"] is not None:
        return {"file": str(absolute(Path(given["secret_file"])))}
    if given["secret_env"] is not None:
        return {"env": _variable(given["secret_env"])}
    if given["systemd"]:
        return {"credential": kind.variable.lower().replace("_", "-")}
    if not asks:
        return {"env": kind.variable}
    text = f"Environment variable with the {kind.secret_key} ({kind.remark})"
    return {"env": click.prompt(text, kind.variable, value_proc=_variable, err=True)}


def _variable(name: str) -> str:
    if not ENVIRONMENT.fullmatch(name):
        raise click.UsageError(f"--secret-env: {name!r} cannot be the name of an environment variable")
    return name
