"""Which kind of registry a URI means. MLflow decides by the scheme (mlflow.tracking.registry)."""

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
