"""Which kind of registry a URI means. MLflow decides by the scheme (mlflow.tracking.registry)."""

import re
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


_QUOTES = frozenset("\"'`\u201c\u201d\u2018\u2019")


def bare_uri(uri: str) -> str:
    """Return ``uri`` where nothing stands around it that MLflow would take for a part of it.

    Raises:
        ValueError: something does; the message says what.
    """
    if uri[0] in _QUOTES:
        msg = "stands in quotes, which are part of it: leave them out (docker --env-file keeps those of its file)"
        raise ValueError(msg)
    if uri != uri.strip() or not uri.isprintable():
        msg = "begins or ends with a blank or a line break, or holds a character that is none: leave it out"
        raise ValueError(msg)
    if uri.startswith("//"):
        msg = f'must begin with http:// or https:// (did you mean "http:{uri}"?)'
        raise ValueError(msg)
    return uri


_LOGIN = re.compile(r"//[^/@]*@")


def without_login(uri: str) -> str:
    """Return ``uri`` as it may be shown: with neither a user name nor a password."""
    return _LOGIN.sub("//***@", uri)
