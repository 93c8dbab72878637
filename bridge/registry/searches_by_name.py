"""Searches for models by name, with as many names in one request as its length allows.

MLflow's searches are GET requests, with the names in the query. Servers and proxies limit the length: IIS to
2,048 characters, gunicorn to 4,094, nginx and many others to 8,192.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from urllib.parse import quote_plus, urlsplit

from bridge.errors import RegistryRefused
from bridge.registry.entity_conversion import is_plain, name_filter, names_filter
from bridge.registry.error_translation import is_too_long

T = TypeVar("T")

_LONGEST_REQUEST = 2_000
_BESIDE_NAMES = 300
"""The length of a search request without the names: path and query."""

_MOST_NAMES = 100


class NameBatches:
    """Splits names into batches by the length available, which is reduced if a server accepts less."""

    def __init__(self, uri: str) -> None:
        """Start with the length that every server and proxy known to us accepts for requests to ``uri``."""
        self._room = _LONGEST_REQUEST - _BESIDE_NAMES - len(urlsplit(uri).path)

    def read(
        self, names: Sequence[str], search: Callable[[str], Sequence[T]], *, together: bool
    ) -> Iterator[T]:
        """Yield the results of ``search``, which is called with a ``filter_string``.

        ``together`` says whether the registry can be asked for several names at once.

        Raises:
            RegistryError: the registry gave no answer, or a server in front of it refuses even one name.
        """
        rest, room = sorted(names, key=is_plain, reverse=True), self._room
        while rest:
            batch = _first(rest, room) if together else rest[:1]
            try:
                found = search(_condition(batch))
            except RegistryRefused as error:
                if len(batch) == 1 or not is_too_long(error.__cause__):
                    raise
                room = _length(batch) // 2
                continue
            self._room = room  # the shorter request succeeded, so length was the fault
            yield from found
            rest = rest[len(batch) :]


def _first(names: Sequence[str], room: int) -> Sequence[str]:
    """Return the first names that fit into the length: at least one, and a name that is not plain only by itself."""
    count = 0
    for name in names[:_MOST_NAMES]:
        if count and (not is_plain(name) or _length(names[: count + 1]) > room):
            break
        count += 1
        if not is_plain(name):
            break
    return names[:count]


def _condition(names: Sequence[str]) -> str:
    return name_filter(names[0]) if len(names) == 1 else names_filter(names)


def _length(names: Sequence[str]) -> int:
    """Return how many characters of a request line the names take, percent-encoded."""
    return len(quote_plus(_condition(names), errors="surrogatepass"))
