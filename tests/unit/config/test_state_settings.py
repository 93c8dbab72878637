"""Where the state is: a folder, or a database whose address says nothing that is secret."""

import pytest
from pydantic import ValidationError

from bridge.config import StateSettings

URL = "postgresql://bridge@db.example.com/bridge"


def settings(**given: object) -> StateSettings:
    return StateSettings.model_validate(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "postgresql://bridge:s3cret@db/bridge"}, "holds a password"),
        ({"url": "postgresql://db/bridge?password=s3cret"}, "holds a password"),
        ({"url": "postgresql:bridge"}, "must be an address such as"),
        ({"url": "mysql://db/bridge"}, "an address of PostgreSQL"),
        ({"url": "tinydb:"}, "followed by a folder"),
        ({"url": URL, "schema": "Bridge"}, "lower case letters"),
        ({"url": URL, "schema": "pg_bridge"}, "not beginning with pg_"),
        ({"url": URL, "lease": "1s"}, "from 2s to 5m"),
        ({"url": URL, "lease": "6m"}, "from 2s to 5m"),
        ({"url": "tinydb:./state", "password": {"env": "X"}}, "for a state in PostgreSQL"),
        ({"sslmode": "require"}, "for a state in PostgreSQL"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence_and_no_secret_with_it(given, told) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**given)

    assert told in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_folder_and_a_database_are_told_apart() -> None:
    folder, database = settings(url="tinydb:/var/lib/bridge"), settings(url=URL, schema="north")

    assert (folder.is_database, folder.folder, folder.place) == (False, "/var/lib/bridge", "/var/lib/bridge")
    assert (database.is_database, database.folder) == (True, "")
    assert database.place == f"{URL} (schema north)"


@pytest.mark.parametrize(
    ("given", "is_exposed"),
    [
        ({"url": "tinydb:./state"}, False),
        ({"url": URL}, True),
        ({"url": URL, "sslmode": "require"}, True),
        ({"url": URL, "sslmode": "verify-full"}, False),
        ({"url": f"{URL}?sslmode=verify-full"}, False),
        ({"url": "postgresql://bridge@localhost:5433/bridge"}, False),
        ({"url": "postgresql://bridge@[::1]/bridge"}, False),
        ({"url": "postgresql:///bridge?host=/run/postgresql"}, False),
        ({"url": "postgresql://%2Frun%2Fpostgresql/bridge"}, False),
        ({"url": "postgresql:///bridge?host=/run/postgresql,db2"}, True),
        ({"url": "postgresql://a,b/bridge"}, True),
        ({"url": "postgresql:///bridge?service=bridge"}, False),
    ],
)
def test_an_address_over_a_network_is_exposed_unless_the_server_is_verified(given, is_exposed) -> None:
    assert settings(**given).is_exposed is is_exposed
