"""GitHub's own description of the operations that the sinks use: an excerpt of facts, and who holds requests to it.

`tests/support/github_openapi.json` is made from GitHub's OpenAPI description (github/rest-api-description, MIT), as
npm publishes it. To make it anew, with the newest version or another::

    npm pack @octokit/openapi
    python tests/support/github_openapi.py octokit-openapi-*.tgz

Kept are paths, parameters and schemas, with references resolved; titles, descriptions and examples are left out.
"""

import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from jsonschema import Draft202012Validator, ValidationError

from support.receiver import Answer, Got

EXCERPT = Path(__file__).with_suffix(".json")
CLOUD, OLD_SERVER = "api.github.com", "ghes-3.19"
"""github.com, and the last GitHub Enterprise Server that knows no ``return_run_details``."""

OPERATIONS = (
    "repos/create-dispatch-event",
    "actions/create-workflow-dispatch",
    "apps/create-installation-access-token",
)
_PROSE = {"title", "summary", "description", "example", "examples", "externalDocs", "tags", "default"}
_UNREAD = {"repositories"}
"""Members of answers that the bridge does not read, and that would be most of the file."""

Json = dict
Described = Mapping[str, Json]


def excerpt(archive: Path) -> Json:
    """Return what `EXCERPT` holds, from a package of npm."""
    with tarfile.open(archive) as package:
        about = json.load(package.extractfile("package/package.json"))
        described = {
            name: json.load(package.extractfile(f"package/generated/{name}.json"))
            for name in (CLOUD, OLD_SERVER)
        }
    source = {"package": about["name"], "version": about["version"], "license": about["license"]}
    servers = {name: dict(_operations(document)) for name, document in described.items()}
    return {"source": {**source, "of": "github/rest-api-description"}, "servers": servers}


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation.get("operationId") in OPERATIONS:
                yield operation["operationId"], _operation(document, path, method, operation)


def _operation(document: Json, path: str, method: str, operation: Json) -> Json:
    whole = _resolved(document, operation)
    answers = {status: _schemas(one, is_answer=True) for status, one in whole["responses"].items()}
    return {
        "method": method.upper(),
        "path": path,
        "parameters": [
            {"name": one["name"], "in": one["in"], "schema": _plain(one["schema"])}
            for one in whole["parameters"]
        ],
        "request": _schemas(whole["requestBody"], is_answer=False),
        "responses": answers,
    }


def _resolved(document: Json, node: object) -> object:
    """Return ``node`` without references."""
    if isinstance(node, list):
        return [_resolved(document, one) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        found = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return _resolved(document, found)
    return {name: _resolved(document, one) for name, one in node.items()}


def _schemas(described: Json, *, is_answer: bool) -> Json:
    """Return the schema of each media type."""
    found = {kind: _plain(one["schema"]) for kind, one in described.get("content", {}).items()}
    for schema in found.values() if is_answer else ():
        for name in _UNREAD & schema.get("properties", {}).keys():
            schema["properties"][name] = {"type": schema["properties"][name]["type"]}
    return found


def _plain(schema: object) -> object:
    """Return a schema without prose, in the words of JSON Schema where OpenAPI 3.0 has its own."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        name: {member: _plain(one) for member, one in value.items()}
        if name == "properties"
        else _plain(value)
        for name, value in schema.items()
        if (name not in _PROSE and not name.startswith("x-") and name != "nullable")
    }
    return {**plain, "type": [plain["type"], "null"]} if schema.get("nullable") else plain


class Description:
    """The operations of one server, as `EXCERPT` has them."""

    def __init__(self, server: str = CLOUD) -> None:
        self.operations: Described = json.loads(EXCERPT.read_bytes())["servers"][server]

    def operation(self, got: Got) -> str:
        """Return the operation that a request asks for, or nothing where there is none."""
        return next((name for name, one in self.operations.items() if _parameters(one, got) is not None), "")

    def faults(self, got: Got) -> list[str]:
        """Return what is wrong with a request: its method, path, media type and body."""
        name = self.operation(got)
        if not name:
            return [f"no operation {got.method} {got.path}"]
        operation, given = self.operations[name], _parameters(self.operations[name], got)
        found = [
            fault
            for one in operation["parameters"]
            for fault in _faults(_typed(given[one["name"]], one["schema"]), one["schema"], one["name"])
        ]
        kind = got.headers.get("content-type", "")
        if kind not in operation["request"]:
            return [*found, f"{kind!r} is none of {list(operation['request'])}"]
        return [*found, *_faults(got.body, _closed(operation["request"][kind]), "body")]

    def answer_faults(self, name: str, answer: Answer) -> list[str]:
        """Return what is wrong with an answer to the operation ``name``; of refusals, few are described."""
        responses = self.operations[name]["responses"]
        if str(answer.status) not in responses:
            return [] if answer.status >= 400 else [f"{name} answers no {answer.status}"]
        described = responses[str(answer.status)]
        if not described:
            return ["it has a body"] if answer.body else []
        return _faults(json.loads(answer.body), described["application/json"], "answer")


def _parameters(operation: Json, got: Got) -> dict[str, str] | None:
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(operation["path"]))
    found = re.fullmatch(pattern, urlsplit(got.path).path)
    if found is None or got.method != operation["method"]:
        return None
    return {name: unquote(value) for name, value in found.groupdict().items()}


def _typed(value: str, schema: Json) -> str | int:
    """Return what stands in a path as the type that is described."""
    return int(value) if schema.get("type") == "integer" and value.isdigit() else value


def _closed(schema: Json) -> Json:
    """Return a schema that takes no other members than those described: GitHub refuses them."""
    members = {name: _closed(one) for name, one in schema.get("properties", {}).items()}
    return {"additionalProperties": False, **schema, "properties": members} if members else schema


def _faults(value: object, schema: Json, where: str) -> list[str]:
    errors = Draft202012Validator(schema).iter_errors(value)
    return [f"{'.'.join([where, *map(str, error.absolute_path)])}: {_said(error)}" for error in errors]


def _said(error: ValidationError) -> str:
    if error.validator == "additionalProperties":
        unknown = sorted(error.instance.keys() - error.schema["properties"].keys())
        return " ".join(f'"{name}" is not a permitted key.' for name in unknown)
    return error.message


if __name__ == "__main__":
    EXCERPT.write_text(json.dumps(excerpt(Path(sys.argv[1])), separators=(",", ":"), sort_keys=True) + "\n")
