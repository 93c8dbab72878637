"""A PostgreSQL of its own for the registries of a benchmark."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from registries import COLUMNS, SCHEMA, Rows
from support.postgresql import PostgreSql, postgresql


class Cluster:
    """A `Backend` of databases in one cluster."""

    def __init__(self, server: PostgreSql) -> None:
        self._server = server
        self.pids = server.pids
        self.uri = server.uri

    def fill(self, name: str, rows: Rows) -> None:
        self._server.create(name, SCHEMA)
        copies = (
            f"COPY {table} ({', '.join(columns)}) FROM stdin;\n{_lines(rows.tables[table])}\\.\n"
            for table, columns in COLUMNS.items()
        )
        self._server.tell(name, f"BEGIN;\n{''.join(copies)}COMMIT;\nANALYZE;")


def _lines(rows: Sequence[tuple[str | int | None, ...]]) -> str:
    """Return COPY's text format; nothing in our rows needs escaping."""
    return "".join("\t".join("\\N" if cell is None else str(cell) for cell in row) + "\n" for row in rows)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a fresh cluster, for as long as the context lasts."""
    with postgresql() as server:
        server.create(SCHEMA)
        yield Cluster(server)
