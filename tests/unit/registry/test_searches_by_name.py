"""Names asked for together: never more than a request line has room for."""

from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RegistryRefused, RegistryUnreachable
from bridge.registry.searches_by_name import NameBatches


class Limited:
    """A registry behind something that has room for so many characters of a query."""

    json = ""

    def __init__(self, room: int = 1_000_000, status: int = 414) -> None:
        self.room, self.status = room, status
        self.asked: list[str] = []
        self.refused = 0

    def __call__(self, names: str) -> list[str]:
        if len(quote_plus(names)) > self.room:
            self.refused += 1
            page = (
                f"API request to endpoint /x failed with error code {self.status} != 200. Response body: ''"
            )
            raise RegistryRefused("no") from ValueError(page)
        self.asked.append(names)
        return [names]


def read(names: list[str], limited: Limited, batches: NameBatches | None = None, **how) -> list[str]:
    batches = batches or NameBatches("http://h")
    return list(batches.read(names, limited, **{"together": True, **how}))


def told(conditions: list[str]) -> str:
    return "\n".join(conditions)


LONG = {
    "99 of 40 characters": [f"fraud-detector-country-{number:02d}-gradient-boost" for number in range(99)],
    "one of 256 characters": ["m" * 256],
    "100 of 256 characters": [f"{number:03d}" + "m" * 253 for number in range(100)],
    "Japanese": [f"不正検知モデル-{number}" for number in range(99)],
    "four bytes each": [f"{number}" + "\N{ROCKET}" * 200 for number in range(10)],
    "blanks, per cent, ampersands": [f"{number} % & + # ? =" * 5 for number in range(50)],
    "quotes": [f"it's {number}" for number in range(5)] + [f'say "{number}"' for number in range(40)],
    "1,000 short ones": [f"m{number}" for number in range(1_000)],
}


@pytest.mark.parametrize("names", LONG.values(), ids=LONG)
@pytest.mark.parametrize("uri", ["http://h", "http://h/" + "prefix/" * 40], ids=["plain", "prefix"])
def test_every_name_is_asked_for_once_in_requests_that_everybody_takes(names, uri) -> None:
    limited = Limited()
    read(names, limited, NameBatches(uri))

    assert all(told(limited.asked).count(name) == 1 for name in names if name.isascii() and len(name) > 8)
    assert sum(one.count("'") // 2 if " IN " in one else 1 for one in limited.asked) == len(names)
    several = [one for one in limited.asked if " IN " in one]
    assert all(len(quote_plus(one)) + len(uri) <= 1_750 for one in several)
    assert len(limited.asked) <= len(names)


@pytest.mark.parametrize("status", [400, 403, 404, 413, 414, 431])
@pytest.mark.parametrize("room", [1_200, 300, 60])
def test_what_takes_less_is_found_out_and_remembered(status, room) -> None:
    names, batches = LONG["99 of 40 characters"], NameBatches("http://h")
    limited = Limited(room, status)
    read(names, limited, batches)
    assert all(told(limited.asked).count(name) == 1 for name in names)
    assert 0 < limited.refused < 20

    before = limited.refused
    read(names, limited, batches)
    assert limited.refused == before


def test_one_name_that_there_is_no_room_for_is_a_failure() -> None:
    with pytest.raises(RegistryRefused):
        read(["a" * 100, "b" * 100], Limited(50))


@pytest.mark.parametrize("failure", [RegistryUnreachable("down"), RegistryRefused("no token")])
def test_any_other_failure_is_none_of_length(failure) -> None:
    asked = []

    def search(names: str) -> list[str]:
        asked.append(names)
        raise failure

    with pytest.raises(type(failure)):
        list(NameBatches("http://h").read(["a", "b"], search, together=True))
    assert len(asked) == 1


def test_a_registry_that_takes_one_name_at_a_time_gets_one() -> None:
    limited = Limited()
    read(["a", "it's", "b"], limited, together=False)
    assert limited.asked == ["name = 'a'", "name = 'b'", 'name = "it\'s"']


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="'"), min_size=1, max_size=256), unique=True
    )
)
def test_whatever_the_names_each_is_asked_for_and_none_together_with_too_many(names) -> None:
    limited = Limited()
    read(names, limited)
    together = [one for one in limited.asked if one.startswith("name IN (")]
    assert all(len(quote_plus(one)) <= 1_700 for one in together)
    assert sum(one.count("','") + 1 for one in together) + len(limited.asked) - len(together) >= len(names)
