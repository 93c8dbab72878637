"""The arguments of a request to the API: from its query and its body alike."""

import json
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from bridge.errors import BridgeError

LONGEST_BODY = 1024 * 1024
"""The longest body in bytes."""

LONGEST_OF_SERVER = 16 * 1024 * 1024
"""The longest body from MLflow's server: a run can have many metrics and long params."""

_DEEPEST = 20
_TOO_DEEP = "the body is nested too deeply"


class MalformedRequest(BridgeError):
    """A request's body is not a JSON object."""


class BodyTooLong(BridgeError):
    """A request's body is longer than `LONGEST_BODY`."""


async def arguments_of(
    request: Request, lists: Collection[str] = (), longest: int = LONGEST_BODY
) -> dict[str, Any]:
    """Return the arguments of ``request``; those in its body count more than those in its query.

    Of an argument in ``lists``, the query may have several; of others, the last one counts.

    Raises:
        MalformedRequest: the body is not a JSON object, or the query is no text.
        BodyTooLong: it is longer than ``longest`` bytes.
    """
    found: dict[str, Any] = {}
    for name, value in _query(request):
        found[name] = [*found.get(name, []), value] if name in lists else value
    return {**found, **parse_body(await body_of(request, longest))}


def _query(request: Request) -> list[tuple[str, str]]:
    query = request.scope["query_string"].decode("latin-1")
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=1_000)
    except ValueError:
        raise MalformedRequest("the query is not UTF-8 text, or has too many members") from None


async def body_of(request: Request, longest: int) -> bytes:
    """Return the body of ``request``.

    Raises:
        BodyTooLong: it is longer than ``longest`` bytes.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > longest:
            raise BodyTooLong(f"the body is longer than {longest} bytes")
    return body


def _check_depth(value: Any) -> None:
    """Refuse what is nested deeper than any request is.

    Raises:
        RecursionError: it is.
    """
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise RecursionError


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``; an empty body is an empty object.

    Raises:
        MalformedRequest: it is something else; the message says what.
    """
    if not body.strip():
        return {}
    try:
        said = json.loads(body)
        json.dumps(said, ensure_ascii=False).encode()
        _check_depth(said)
    except UnicodeError:
        raise MalformedRequest("the body is not UTF-8 text, or holds half of a surrogate pair") from None
    except RecursionError:
        raise MalformedRequest(_TOO_DEEP) from None
    except ValueError as error:
        where = f" (at character {error.pos + 1})" if isinstance(error, json.JSONDecodeError) else ""
        raise MalformedRequest(f"the body is not JSON{where}") from None
    if isinstance(said, str):
        raise MalformedRequest("the body is one JSON text: encode the object once, not twice")
    if not isinstance(said, dict):
        raise MalformedRequest('the body must be a JSON object, such as {"id": "…"}')
    return said
