"""One request that the API takes: its path, what it needs, and its OpenAPI description."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.routing import Route

from bridge import __version__
from bridge.config import Permission
from bridge.operations.webhook_arguments import Arguments, parse_strictly
from bridge.server.api_endpoints import ApiDoor, Document
from bridge.server.api_schemas import SCHEMAS, Schema, named
from bridge.server.token_authority import Caller

Operation = Callable[[Any, Caller], Awaitable[Document]]
"""Carries a request out, in the daemon's event loop: its arguments and the caller in, the answer out."""

_STATUSES = {
    "400": "The request cannot be used, or not now",
    "401": "No token, or none of the bridge's",
    "403": "The token may not do this",
    "404": "What it is about does not exist",
    "405": "The path has no such method",
    "413": "The body is too long",
    "500": "A fault in the bridge",
    "503": "Not now: try again in a moment",
}


@dataclass(frozen=True, slots=True)
class Resource:
    """One request that the API takes.

    Attributes:
        method, path: where it goes; ``{…}`` in the path are arguments.
        permission: what the token has to have in its ``may``.
        summary: what it does, in a sentence.
        arguments: the class of its arguments.
        answer: the name of its answer's schema.
        operation: what carries it out.
        is_strict: whether its arguments are parsed here, and others are refused. Clients that nobody here wrote may send
            more, so that their requests are parsed by the operation.
        is_for_server: whether only MLflow's server may ask for it, whose token has ``acts_for_users``.
    """

    method: str
    path: str
    permission: Permission
    summary: str
    arguments: type[Arguments]
    answer: str
    operation: Operation
    is_strict: bool = True
    is_for_server: bool = False

    def route(self, door: ApiDoor) -> Route:
        """Return its route."""

        async def strictly(given: Document, caller: Caller) -> Document:
            return await self.operation(parse_strictly(self.arguments, given), caller)

        operation = strictly if self.is_strict else self.operation
        endpoint = door.endpoint(
            self.permission, operation, lists_of(self.arguments), is_for_server=self.is_for_server
        )
        path = self.path.replace("{number}", "{number:int}")  # so that no word is taken for one
        return Route(path, endpoint, methods=[self.method])

    def description(self) -> Document:
        """Return its OpenAPI description."""
        members, required = _members_of(self.arguments)
        in_path = {name for name in members if f"{{{name}}}" in self.path}
        rest = {name: member for name, member in members.items() if name not in in_path}
        parameters = [_parameter(name, members[name], "path", is_required=True) for name in sorted(in_path)]
        body: Document = {}
        if self.method in {"GET", "DELETE"}:
            parameters += [
                _parameter(name, one, "query", is_required=name in required) for name, one in rest.items()
            ]
        elif rest:
            needed = sorted(required - in_path)
            schema: Document = {"type": "object", "properties": rest, "required": needed}
            if self.is_strict:
                schema["additionalProperties"] = False
            body = {
                "requestBody": {
                    "content": {"application/json": {"schema": schema}},
                    "required": bool(needed),
                }
            }
        return {
            "operationId": f"{self.method.lower()}_{self.path.rpartition('/api/')[2]}",
            "summary": self.summary,
            "description": f"Needs a token {self._needed}.",
            **({"parameters": parameters} if parameters else {}),
            **body,
            "responses": {
                "200": _response("Done", named(self.answer)),
                **{status: _response(told, named("Error")) for status, told in _STATUSES.items()},
            },
        }

    @property
    def _needed(self) -> str:
        return "with `acts_for_users`" if self.is_for_server else f"that may `{self.permission}`"


def lists_of(model: type[BaseModel]) -> set[str]:
    """Return the names of arguments that are lists."""
    members = model.model_json_schema().get("properties", {})
    return {name for name, one in members.items() if one.get("type") == "array"}


def openapi(resources: Iterable[Resource]) -> Document:
    """Return the OpenAPI 3.1 description of ``resources`` (https://spec.openapis.org/oas/v3.1.0)."""
    paths: dict[str, Document] = {}
    for one in resources:
        paths.setdefault(one.path, {})[one.method.lower()] = one.description()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mlflow-bridge",
            "version": __version__,
            "description": "What the bridge observes, delivers and can be asked to do. Times are ms since the epoch.",
        },
        "security": [{"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "the token is the password"},
            },
            "schemas": SCHEMAS,
        },
    }


def _members_of(model: type[BaseModel]) -> tuple[Mapping[str, Any], set[str]]:
    """Return the schemas of a class's members, with what each means, and the names of those that are required."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    members = {
        name: {**_plain(one, definitions), **_meaning(model, name)}
        for name, one in schema.get("properties", {}).items()
    }
    return members, set(schema.get("required", ()))


def _plain(value: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema with its references to ``definitions`` resolved, and without pydantic's titles."""
    if isinstance(value, list | tuple):
        return [_plain(one, definitions) for one in value]
    if not isinstance(value, Mapping):
        return value
    if "$ref" in value:
        return _plain(definitions[str(value["$ref"]).rpartition("/")[2]], definitions)
    return {key: _plain(one, definitions) for key, one in value.items() if key != "title"}


def _parameter(name: str, schema: Schema, place: str, *, is_required: bool) -> Document:
    return {"name": name, "in": place, "required": is_required, "schema": schema}


def _meaning(model: type[BaseModel], name: str) -> Document:
    told = model.model_fields[name].description
    return {"description": told} if told else {}


def _response(told: str, schema: Schema) -> Document:
    return {"description": told, "content": {"application/json": {"schema": schema}}}
