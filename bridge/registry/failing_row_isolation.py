"""Reads a list around the rows on which the server itself fails.

If MLflow cannot convert a row (its creation time is NULL, its bytes are not UTF-8, or a version spells its
model's name differently), the whole page fails with HTTP 500 or 503. The page is then halved repeatedly until
that row stands alone, and the row is left out.

The page token of an MLflow server is the offset of the page's first row (``SearchUtils.create_page_token``).
With other tokens, a page cannot begin at any row, and the failure stands.
"""

import base64
import binascii
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from operator import methodcaller
from typing import Any

from bridge.errors import RegistryError, RegistryLacks, RegistryUnreachable
from bridge.registry.base import Deadline
from bridge.registry.error_translation import is_server_fault
from bridge.registry.mlflow_client import Connection, Cursor
from bridge.registry.page_sizes import PageSize

_MOST = 100
"""With more failing rows than this in one list, the server itself is at fault."""

_MOST_AT_FIRST = 10
"""The same limit for failures before any page has succeeded."""


class FailingRowIsolation:
    """One search, page by page; ``left_out`` is called for each failing row, with the row before it."""

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
        """Yield the pages of a search from ``cursor`` on; the cursor moves on before each page.

        Raises:
            RegistryError: a page could not be read, and not because of one of its rows.
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
        """Yield ``rows`` rows from ``offset`` without those that fail; return whether more rows follow."""
        try:
            has_more = yield from self._between(arguments, offset, rows, cursor)
        except RegistryLacks:  # its tokens are not offsets
            raise failure from failure.__cause__
        cursor.token = token_of(offset + rows) if has_more else None
        return has_more

    def _between(
        self, arguments: Mapping[str, Any], offset: int, rows: int, cursor: Cursor
    ) -> Generator[Any, None, bool]:
        """Yield pages of ``rows`` rows from ``offset``; return whether more rows follow."""
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
    """Whether the server fails on this request's rows: it can still answer another request from its database."""
    if not _is_fault(error):
        return False
    try:
        connection.point_read(deadline, methodcaller("get_experiment", "0"))
    except RegistryError:
        return False
    return True


def _is_fault(error: RegistryError) -> bool:
    """Whether the server failed with no other reason; if it asks to wait, for example, its rows are not at fault."""
    return type(error) is RegistryUnreachable and is_server_fault(error.__cause__)


def token_of(offset: int) -> str | None:
    """Return the page token for a page that begins at ``offset``; the first page has none."""
    if offset == 0:
        return None
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def offset_of(token: str | None) -> int | None:
    """Return the offset at which the page with this ``token`` begins, or None where the token is no offset."""
    if not token:
        return 0
    try:
        found = json.loads(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError):
        return None
    offset = found.get("offset") if isinstance(found, dict) else None
    return offset if isinstance(offset, int) else None
