"""The questions for each type of sink in a first configuration, and the text of the file. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""The names that a shell can export."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a sink's settings.

    Attributes:
        option: the command's option for the answer, without its dashes.
        key: its key in the sink's table.
        text: the text of the question.
        default: the answer if none is given; empty if an answer is required.
        example: a valid answer.
    """

    option: str
    key: str
    text: str
    default: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class StarterSink:
    """What a first configuration holds for one type of sink: its default name, questions, secret and further lines."""

    name: str
    questions: tuple[Question, ...]
    secret_key: str
    variable: str
    remark: str
    more: tuple[str, ...] = ()
    optional: tuple[Question, ...] = ()


_REPOSITORY = Question("repository", "repository", "Repository (owner/name)", example="acme/deploy")
_API = Question(
    "url", "api_url", "API of a GitHub Enterprise Server", example="https://github.example.com/api/v3"
)
_FILLED = '{{ {} = "${{model_name}}", {} = "${{model_version}}" }}'

KINDS: Mapping[str, StarterSink] = {
    "http": StarterSink(
        "ci",
        (Question("url", "url", "URL of the receiver", example="https://ci.example.com/hooks/mlflow"),),
        "secret",
        "CI_WEBHOOK_SECRET",
        "the receiver checks the signature with it",
        ('# format = "mlflow"             # the body: or "databricks", "standard", "cloudevents" ...',),
    ),
    "github_dispatch": StarterSink(
        "deploy",
        (
            _REPOSITORY,
            Question("event-type", "event_type", "Event type", "model_promoted", "model_promoted"),
        ),
        "token",
        "GITHUB_TOKEN",
        "fine-grained, Contents: write",
        optional=(_API,),
    ),
    "github_workflow": StarterSink(
        "deploy",
        (
            _REPOSITORY,
            Question("workflow", "workflow", "File of the workflow", "deploy.yml", "deploy.yml"),
            Question("ref", "ref", "Branch or tag", "main", "main"),
        ),
        "token",
        "GITHUB_TOKEN",
        "fine-grained, Actions: write",
        (f"inputs = {_FILLED.format('model', 'version')}   # those that the workflow declares",),
        (_API,),
    ),
    "gitlab_pipeline": StarterSink(
        "pipeline",
        (
            Question("url", "url", "URL of GitLab", "https://gitlab.com", "https://gitlab.com"),
            Question("project", "project", "Project (its path or id)", example="acme/deploy"),
            Question("ref", "ref", "Branch or tag", "main", "main"),
        ),
        "token",
        "GITLAB_TRIGGER_TOKEN",
        "a pipeline trigger token",
        (f"variables = {_FILLED.format('MODEL_NAME', 'MODEL_VERSION')}",),
    ),
    "jenkins_job": StarterSink(
        "build",
        (
            Question("url", "url", "URL of Jenkins", example="https://jenkins.example.com"),
            Question("job", "job", "Job, with its folders", example="ml/deploy"),
            Question("username", "username", "User", "mlflow-bridge", "mlflow-bridge"),
        ),
        "token",
        "JENKINS_TOKEN",
        "an API token of that user",
        (f"parameters = {_FILLED.format('MODEL_NAME', 'MODEL_VERSION')}   # without any: a plain build",),
    ),
}


@dataclass(frozen=True, slots=True)
class StarterAnswers:
    """The answers. ``secret`` is the place of the secret, such as ``{"env": "CI_WEBHOOK_SECRET"}``, or empty for none.

    ``is_service``: the file is for the systemd service of ``make install``, which can write to its state folder only.
    """

    tracking_uri: str
    kind: str
    name: str
    answers: Mapping[str, str]
    secret: Mapping[str, str] = field(default_factory=dict)
    is_service: bool = False


def configuration(first: StarterAnswers) -> str:
    """Return the text of the configuration file, with comments."""
    kind = KINDS[first.kind]
    lines = [f"{key} = {toml(value)}" for key, value in first.answers.items()]
    if first.secret:
        lines.append(f"{kind.secret_key} = {toml(first.secret)}   # {kind.remark}")
    return _FILE.format(
        uri=toml(first.tracking_uri),
        name=toml(first.name),
        type=toml(first.kind),
        keys="\n".join([*lines, *kind.more]),
        places=_SERVICE if first.is_service else _HERE,
    )


def toml(value: str | Mapping[str, str]) -> str:
    """Return a text, or a table of texts with bare keys, in TOML syntax (TOML 1.0, *String*, *Inline Table*)."""
    if not isinstance(value, str):
        return "{ " + ", ".join(f"{key} = {toml(text)}" for key, text in value.items()) + " }"
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(char: str) -> str:
    if char in {'"', "\\"}:
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"


_HERE = """\
[state]
url = "tinydb:./state"          # a folder, beside this file: what was last seen, and what is still to be delivered

# [server]
# listen = "127.0.0.1:9464"     # /livez, /readyz and /metrics of mlflow-bridge run"""

_SERVICE = """\
[state]
url = "tinydb:/var/lib/mlflow-bridge"   # the one place that the service can write to

[server]
listen = "127.0.0.1:9464"       # the status page, /livez, /readyz and /metrics"""

_FILE = """\
# A first configuration of mlflow-bridge; its config.example.toml has every setting. Check it with
#     mlflow-bridge check --connect
# Secrets are never written here, only where they are: {{ env = "NAME" }}, {{ file = "/path" }} (a Kubernetes
# mount, say) or {{ credential = "name" }} (systemd). They are read again whenever they are used.

[registry]
tracking_uri = {uri}
# username = "bridge"           # basic auth: READ permission is enough
# password = {{ env = "MLFLOW_PASSWORD" }}
# token = {{ env = "MLFLOW_TOKEN" }}                # or a bearer token

[poll]
interval = "30s"                # how soon a change is seen

{places}

[[sinks]]
name = {name}
type = {type}
{keys}
events = ["MODEL_VERSION_TRANSITIONED_STAGE"]     # the default; or "MODEL_VERSION_ALIAS_SET", ...
# to_stages = ["Production"]    # these alone; default: all
# models = ["fraud-*"]          # globs; default: all
"""
