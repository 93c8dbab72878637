"""The ``init`` command: write a first configuration, and try the connection to the registry."""

import secrets
import shlex
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bridge.cli.command_help import new_command
from bridge.cli.common_options import complain, log_options
from bridge.cli.configuration_checks import check_connections
from bridge.cli.exit_codes import ExitCode
from bridge.cli.output_files import absolute, refuse_existing, write_new
from bridge.cli.progress_line import scan_progress
from bridge.cli.setup_questions import gather_answers
from bridge.cli.shell_completion import config_files
from bridge.cli.starter_configuration import KINDS, StarterAnswers, configuration
from bridge.config import SEARCHED, Settings
from bridge.errors import SecretUnavailable
from bridge.operations.verified_configuration import load_settings

_ALIGNED = 60
_SERVICE_FOLDER = "/etc/mlflow-bridge"
_OUTPUT = "config.toml"
_AS_INSTALLED = {
    "registry": {"tracking_uri": "http://127.0.0.1:5000"},
    "state": {"url": "tinydb:/var/lib/mlflow-bridge"},
    "server": {"listen": "127.0.0.1:9464"},
}
"""The settings of the file that ``make install`` writes: such a file can be replaced without a loss."""
_TAKEN = "name another with --output, or replace it with --force"
_SECRET_TAKEN = "leave --generate-secret out to use what it holds"  # noqa: S105 - a hint


@new_command("init")
@log_options
@click.option(
    "--tracking-uri",
    metavar="URL",
    help="The MLflow server.  [default: $MLFLOW_TRACKING_URI, or port 5000 here]",
)
@click.option("--sink", type=click.Choice(tuple(KINDS)), help="The type of the first sink.  [default: http]")
@click.option("--name", metavar="NAME", help="Its name.")
@click.option("--url", metavar="URL", help="Of the receiver, GitLab or Jenkins; or a GitHub Enterprise API.")
@click.option("--repository", metavar="OWNER/NAME", help="For GitHub.")
@click.option("--event-type", metavar="TYPE", help="For github_dispatch.  [default: model_promoted]")
@click.option("--workflow", metavar="FILE", help="For github_workflow.  [default: deploy.yml]")
@click.option("--ref", metavar="REF", help="For github_workflow and GitLab.  [default: main]")
@click.option("--project", metavar="PATH", help="For GitLab.")
@click.option("--job", metavar="JOB", help="For Jenkins, with its folders: ml/deploy.")
@click.option("--username", metavar="USER", help="For Jenkins.  [default: mlflow-bridge]")
@click.option("--secret-env", metavar="NAME", help="The environment variable with the secret or token.")
@click.option(
    "--secret-file", metavar="FILE", shell_complete=config_files, help="The file with the secret or token."
)
@click.option("--no-secret", is_flag=True, help="Use no secret: deliveries are not signed (http).")
@click.option(
    "--generate-secret",
    is_flag=True,
    help="Make a new secret: written to --secret-file, or shown once (http).",
)
@click.option(
    "--systemd",
    is_flag=True,
    help=f"For the service of make install: write to {_SERVICE_FOLDER}, use its state folder, and keep the secret as a "
    "credential.",
)
@click.option(
    "--output",
    metavar="FILE",
    shell_complete=config_files,
    help=f"Where to write the configuration.  [default: {_OUTPUT}]",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--yes", is_flag=True, help="Ask nothing: use the defaults for options that are not given.")
@click.pass_context
def command(ctx: click.Context, /, output: str | None, force: bool, yes: bool, **given: Any) -> int:
    """Write a configuration for a first sink, and try the connection.

    On a terminal, asks for what the options do not give. The file that it writes is valid and commented; it
    holds the place of the secret, never the secret itself. Then the registry is read, as check --connect
    does: if it does not answer, the file stays, and the exit code is 69. Nothing is sent.

    \b
    Examples:
      mlflow-bridge init
      mlflow-bridge init --sink http --url https://ci.example.com/hooks/mlflow --generate-secret
      mlflow-bridge init --systemd --sink github_dispatch --repository acme/deploy
      mlflow-bridge init --tracking-uri http://mlflow:5000 --sink jenkins_job \\
          --url https://jenkins.example.com --job ml/deploy --output jenkins.toml
    """
    if ctx.find_root().obj["config"]:
        msg = "init writes a configuration: name it with --output, not with --config"
        raise click.UsageError(msg)
    systemd = given["systemd"]
    path = Path(output or (f"{_SERVICE_FOLDER}/{_OUTPUT}" if systemd else _OUTPUT))
    force = force or (systemd and _is_as_installed(path))
    if not force:
        refuse_existing(path, _TAKEN)
    first = gather_answers(given, absolute(path).parent, asks=sys.stdin.isatty() and not yes)
    made = _new_secret(first) if given["generate_secret"] else ""
    write_new(path, configuration(first), 0o644, _TAKEN, replaces=force)
    if systemd:
        path.chmod(0o644)  # regardless of the umask: the service does not run as root
    click.echo(f"wrote {path}")
    settings = load_settings(path)
    code = _try_out(ctx, settings)
    click.echo("\nNext:" if code is ExitCode.DONE else "\nNext, once that is mended:")
    steps = _service_steps(path, first) if systemd else _command_steps(path, first.name)
    _print_steps([*_secret_steps(settings, first, made), *steps])
    return code


def _is_as_installed(path: Path) -> bool:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) == _AS_INSTALLED
    except (OSError, ValueError):
        return False


def _new_secret(first: StarterAnswers) -> str:
    """Return a new secret to show, or an empty text if it was written to its file."""
    secret = secrets.token_urlsafe(32)
    file = _file_of(first)
    if file is None:
        return secret
    write_new(Path(file), f"{secret}\n", 0o600, _SECRET_TAKEN)
    click.echo(f"wrote {file}: a new secret, for you and the receiver alone (mode 0600)")
    return ""


def _file_of(first: StarterAnswers) -> str | None:
    """Return the file that holds the secret; for a credential, the file that LoadCredential= will read."""
    credential = first.secret.get("credential")
    return f"{_SERVICE_FOLDER}/secrets/{credential}" if credential else first.secret.get("file")


def _try_out(ctx: click.Context, settings: Settings) -> ExitCode:
    with scan_progress(ctx) as scanned:
        found = check_connections(settings, scanned, with_secrets=False)
    if found.answer is not None:
        click.echo(f"{settings.registry.shown_uri}: {found.answer}")
    for warning in found.warnings:
        complain(f"warning: {warning}")
    for fault in found.faults:
        complain(str(fault))
    return found.code


def _print_steps(steps: Sequence[tuple[str, str]]) -> None:
    width = max((len(step) for step, _ in steps if len(step) <= _ALIGNED), default=0)
    for step, why in steps:
        click.echo(f"  {step.ljust(width)}   # {why}")


def _secret_steps(settings: Settings, first: StarterAnswers, made: str) -> list[tuple[str, str]]:
    kind = KINDS[first.kind]
    if made:
        return [(f"export {first.secret['env']}={made}", f"shown this once; {kind.remark}")]
    place = _file_of(first)
    if "credential" in first.secret and Path(str(place)).is_file():
        return []
    try:
        for secret in settings.sinks[0].secrets().values():
            secret.read()
    except SecretUnavailable:
        how = (
            f"install -m 600 /dev/stdin {shlex.quote(place)}"
            if place
            else f"export {first.secret['env']}=..."
        )
        return [(how, f"the {kind.secret_key}: {kind.remark}")]
    return []


def _command_steps(path: Path, name: str) -> list[tuple[str, str]]:
    named = "" if str(path) == SEARCHED[0] else f" -c {shlex.quote(str(path))}"
    return [
        (f"mlflow-bridge check --connect{named}", "is everything there?"),
        (f"mlflow-bridge sinks test {name}{named}", "send a synthetic event"),
        (f"mlflow-bridge once{named}", "the first poll records what is there, and announces nothing"),
        (f"mlflow-bridge run{named}", "poll every 30 s, and deliver"),
    ]


def _service_steps(path: Path, first: StarterAnswers) -> list[tuple[str, str]]:
    folder, credential = f"{_SERVICE_FOLDER}/secrets", first.secret.get("credential")
    usual = f"{_SERVICE_FOLDER}/{_OUTPUT}"
    named = "" if str(path) == usual else f" -c {shlex.quote(str(path))}"
    loads = f"add [Service] and, below it, LoadCredential={credential}:{folder}/{credential}"
    return [
        *([("systemctl edit mlflow-bridge", loads)] if credential else []),
        (f"CREDENTIALS_DIRECTORY={folder} mlflow-bridge check --connect{named}", "is everything there?"),
        ("systemctl enable --now mlflow-bridge", f"it reads {usual}"),
        ("systemctl status mlflow-bridge", "its Status: line says how it stands"),
    ]
