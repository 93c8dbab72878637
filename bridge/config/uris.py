"""Which kind of registry a URI means. MLflow decides by the scheme (mlflow.tracking.registry)."""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit


def is_databricks(uri: str) -> bool:
    """Whether ``uri`` is a Databricks workspace, or its Unity Catalog; a profile may follow."""
    return uri.partition("://")[0] in {"databricks", "databricks-uc", "uc:databricks-uc"}


def is_unity_catalog(uri: str) -> bool:
    """Whether ``uri`` is a Unity Catalog, Databricks' own or an open-source one."""
    return uri.startswith("uc:") or uri.partition("://")[0] == "databricks-uc"


def folder_of(uri: str) -> str | None:
    """Return the folder that a file store's ``uri`` means, or None for another kind of registry."""
    if uri.startswith("file:"):
        return unquote(urlsplit(uri).path)
    return uri if "://" not in uri and uri.startswith("/") else None


def web_address(uri: str, environment: Mapping[str, str]) -> str:
    """Return the URL to which requests for the registry at ``uri`` go, or nothing where that cannot be told.

    A Databricks workspace is named by ``DATABRICKS_HOST``, unless a profile does it in a file of Databricks' own.
    """
    if is_databricks(uri):
        host = environment.get("DATABRICKS_HOST", "") if uri.count("://") == 0 else ""
        return host if "://" in host or not host else f"https://{host}"
    plain = uri.removeprefix("uc:")
    return plain if plain.startswith(("http://", "https://")) else ""
