"""docs/api.md, from the OpenAPI description of the API."""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.server.api_operation import openapi
from bridge.server.bridge_api import api_resources
from support.hooks import Hooks

_INTRODUCTION = """\
# API

What programs can ask the bridge for, and have it do: generated from its description by `{command}`, and held against it by a test.
`GET /api/v1/openapi.json` has the same for machines (OpenAPI 3.1).

It answers at `server.listen`, with a [token](webhooks.md#tokens), and at the Unix socket `control` in the state folder, for the user of the
daemon, without one:

```sh
curl -H "Authorization: Bearer $BRIDGE_TOKEN_CI" http://127.0.0.1:9464/api/v1/status
curl --unix-socket state/control -X POST http://bridge/api/v1/polls
```

Arguments of `GET` and `DELETE` come in the query, those of other methods in a JSON body. Times are ms since the epoch. Lists come in pages, newest
first; `next_cursor` leads to the next page, which may be empty where a filter selects few. Members may be added to answers.

Errors are `{{"error_code", "message"}}`, with a sentence that says what is wrong and how to mend it. 503 is to be tried again.

Without tokens in the configuration, the address is for looking only: what needs `read` is answered, unless `server.page = false`.

"""


def page(command: str) -> str:
    """Return the page."""
    description = openapi(api_resources(Hooks().present))
    chapters = [
        part
        for path, methods in description["paths"].items()
        for method, told in methods.items()
        for part in _chapter(method.upper(), path, told, description)
    ]
    return _INTRODUCTION.format(command=command) + "\n\n".join(chapters) + "\n"


def _chapter(
    method: str, path: str, told: Mapping[str, Any], description: Mapping[str, Any]
) -> Iterator[str]:
    yield f"## {method} {path}"
    yield f"{told['summary']}. {told['description']}"
    rows = list(_arguments(told))
    if rows:
        yield "\n".join(["| argument | type | meaning |", "|---|---|---|", *rows])
    answer = told["responses"]["200"]["content"]["application/json"]["schema"]
    members = ", ".join(f"`{name}`" for name in _named(answer, description).get("properties", {}))
    yield f"Answer: {members or 'an empty object'}."


def _arguments(told: Mapping[str, Any]) -> Iterator[str]:
    for one in told.get("parameters", ()):
        yield _row(one["name"], one["schema"], is_needed=one["required"])
    if "requestBody" in told:
        schema = told["requestBody"]["content"]["application/json"]["schema"]
        for name, member in schema["properties"].items():
            yield _row(name, member, is_needed=name in schema["required"])


def _row(name: str, schema: Mapping[str, Any], *, is_needed: bool) -> str:
    meaning = " ".join(schema.get("description", "").split())
    needed = " (needed)" if is_needed else ""
    return f"| `{name}`{needed} | {_type(schema)} | {meaning} |"


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return _type(next(one for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    kinds = {"string": "text", "integer": "number", "boolean": "true or false", "object": "object"}
    if "properties" in schema:
        return "object with " + ", ".join(f"`{name}`" for name in schema["properties"])
    return kinds[schema["type"]]


def _named(schema: Mapping[str, Any], description: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found
