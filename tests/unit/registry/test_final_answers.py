"""Which answers say that the same request will never be taken."""

import pytest
from mlflow.exceptions import RestException

from bridge.registry.error_translation import is_final

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("INVALID_PARAMETER_VALUE", "Invalid Model Version stage", True),
        ("RESOURCE_DOES_NOT_EXIST", "Model Version (name=m, version=1) not found", True),
        ("PERMISSION_DENIED", "Permission denied", True),
        ("BAD_REQUEST", "this workspace has no stages", True),
        (
            "BAD_REQUEST",
            "UPDATE statement on table 'model_versions' expected to update 1 row(s); 0 were matched.",
            False,
        ),
        (
            "BAD_REQUEST",
            "(sqlite3.IntegrityError) FOREIGN KEY constraint failed (Background on this error at: https://sqlalche.me/e/20/gkpj)",
            False,
        ),
        ("TEMPORARILY_UNAVAILABLE", "(psycopg.OperationalError) deadlock detected", False),
        ("INTERNAL_ERROR", "boom", False),
    ],
)
def test_what_a_database_refuses_beside_another_write_may_be_taken_the_next_time(
    code, message, expected
) -> None:
    assert is_final(RestException({"error_code": code, "message": message})) is expected
