"""Read a list around the rows on which the server itself fails.

A row that MLflow cannot make an answer of (a creation time that is NULL, bytes that are no UTF-8, a version
under another spelling of its model's name) costs the whole page, with HTTP 500 or 503. Then the page is
halved until that row stands alone, and is left out.

An MLflow server's page token is the offset of the page's first row (``SearchUtils.create_page_token``).
Where tokens are something else, a page cannot be begun anywhere, and the failure stands.
"""

import base64
import binascii
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from operator import methodcaller
from typing import Any

from bridge.errors import RegistryError, RegistryLacks, RegistryUnreachable
from bridge.registry.base import Deadline
from bridge.registry.error_messages import is_server_fault
from bridge.registry.mlflow_client import Connection, Cursor
from bridge.registry.page_sizes import PageSize

_MOST = 100
"""With more odd rows than this in one list, it is the server that is at fault."""

_MOST_AT_FIRST = 10
"""… and so it is where so many fail, and none gets through."""


class Narrowing:
    """One search, page by page; ``left_out`` is told the last row before each one that is left out."""

    def __init__(
        self, connection: Connection, deadline: Deadline, search: str, left_out: Callable[[Any], None]
    ) -> None:
        """Search over ``connection``."""
        self._connection = connection
        self._deadline = deadline
        self._search = search
        self._left_out = left_out
        self._last: Any = None
        self._failed = 0

    def pages(self, arguments: Mapping[str, Any], size: PageSize, cursor: Cursor) -> Iterator[Any]:
        """Yield the pages of a search from ``cursor`` on, which moves on before each.

        Raises:
            RegistryError: a page did not come, and not for one of its rows.
        """
        has_more = True
        while has_more:
            try:
                for page in self._connection.pages(self._deadline, self._search, arguments, size, cursor):
                    self._last = page[-1] if page else self._last
                    yield page
            except RegistryUnreachable as failure:
                offset = offset_of(cursor.token)
                if offset is None or not fails_on_a_row(self._connection, failure, self._deadline):
                    raise
                rows = min(size.rows, arguments["max_results"])
                has_more = yield from self._around(arguments, offset, rows, cursor, failure)
            else:
                return

    def _around(
        self,
        arguments: Mapping[str, Any],
        offset: int,
        rows: int,
        cursor: Cursor,
        failure: RegistryUnreachable,
    ) -> Generator[Any, None, bool]:
        """Yield the ``rows`` from ``offset`` on around the one that fails; return whether there is more after them."""
        try:
            has_more = yield from self._between(arguments, offset, rows, cursor)
        except RegistryLacks:  # its tokens are no offsets after all
            raise failure from failure.__cause__
        cursor.token = token_of(offset + rows) if has_more else None
        return has_more

    def _between(
        self, arguments: Mapping[str, Any], offset: int, rows: int, cursor: Cursor
    ) -> Generator[Any, None, bool]:
        """Yield pages of the ``rows`` from ``offset`` on; return whether there is more after them."""
        request = {**arguments, "max_results": rows, "page_token": token_of(offset)}
        try:
            page = self._connection.call(self._deadline, methodcaller(self._search, **request))
        except RegistryUnreachable as error:
            if not _is_fault(error):
                raise
            if rows == 1:
                self._leave_out(error)
                return True
        else:
            self._last = page[-1] if page else self._last
            cursor.token = page.token or None
            yield page
            return bool(page.token)
        half = (rows + 1) // 2
        if not (yield from self._between(arguments, offset, half, cursor)):
            return False
        return (yield from self._between(arguments, offset + half, rows - half, cursor))

    def _leave_out(self, error: RegistryUnreachable) -> None:
        self._failed += 1
        if self._failed > (_MOST_AT_FIRST if self._last is None else _MOST):
            raise error
        self._left_out(self._last)


def fails_on_a_row(connection: Connection, error: RegistryError, deadline: Deadline) -> bool:
    """Whether the server fails on what it was asked for, and answers another question that its database has to answer."""
    if not _is_fault(error):
        return False
    try:
        connection.point_read(deadline, methodcaller("get_experiment", "0"))
    except RegistryError:
        return False
    return True


def _is_fault(error: RegistryError) -> bool:
    """Whether the server failed, and said no more: where it asks to be left alone, say, its rows are not at fault."""
    return type(error) is RegistryUnreachable and is_server_fault(error.__cause__)


def token_of(offset: int) -> str | None:
    """Return the page token with which a page begins at ``offset``: the first page has none."""
    if offset == 0:
        return None
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def offset_of(token: str | None) -> int | None:
    """Return where the page of this ``token`` begins, or None where the token does not tell."""
    if not token:
        return 0
    try:
        found = json.loads(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError):
        return None
    offset = found.get("offset") if isinstance(found, dict) else None
    return offset if isinstance(offset, int) else None
