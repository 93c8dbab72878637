"""What of a registry's URI may be shown."""

import pytest

from bridge.config import without_login

SHOWN = {
    "postgresql://user:s3cret@db/mlflow": "postgresql://***@db/mlflow",
    "postgresql+psycopg2://user:s3/cret@db/mlflow": "postgresql+psycopg2://***@db/mlflow",
    "postgresql://user:s3@cret@db/mlflow": "postgresql://***@db/mlflow",
    "mysql+pymysql://user:s%40cret@db:3306/mlflow": "mysql+pymysql://***@db:3306/mlflow",
    "uc:https://user:s3cret@host/x": "uc:https://***@host/x",
    "databricks://profile": "databricks://profile",
    "http://mlflow:5000/p@th": "http://mlflow:5000/p@th",
    "https://mlflow/a:b@c": "https://mlflow/a:b@c",
    "sqlite:////srv/a@b/mlflow.db": "sqlite:////srv/a@b/mlflow.db",
    "/srv/a@b": "/srv/a@b",
}


@pytest.mark.parametrize(("uri", "shown"), SHOWN.items())
def test_no_password_is_shown_and_nothing_else_is_hidden(uri, shown) -> None:
    assert (without_login(uri), without_login(shown)) == (shown, shown)
