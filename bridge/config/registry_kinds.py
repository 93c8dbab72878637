"""Determine the kind of a registry from its URI, by the scheme as MLflow does (mlflow.tracking.registry)."""

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit


def is_databricks(uri: str) -> bool:
    """Whether ``uri`` names a Databricks workspace or its Unity Catalog, with or without a profile."""
    return uri.partition("://")[0] in {"databricks", "databricks-uc", "uc:databricks-uc"}


def is_unity_catalog(uri: str) -> bool:
    """Whether ``uri`` names a Unity Catalog, that of Databricks or an open-source one."""
    return uri.startswith("uc:") or uri.partition("://")[0] == "databricks-uc"


def folder_of(uri: str) -> str | None:
    """Return the folder of a file store; None for another kind of registry."""
    if uri.startswith("file:"):
        return unquote(urlsplit(uri).path)
    return uri if "://" not in uri and uri.startswith("/") else None


def web_address(uri: str, environment: Mapping[str, str]) -> str:
    """Return the URL that requests to the registry go to; empty if it is unknown.

    The URL of a Databricks workspace comes from ``DATABRICKS_HOST``; with a profile, it is in a Databricks file,
    which is not read here.
    """
    if is_databricks(uri):
        host = environment.get("DATABRICKS_HOST", "") if uri.count("://") == 0 else ""
        return host if "://" in host or not host else f"https://{host}"
    plain = uri.removeprefix("uc:")
    return plain if plain.startswith(("http://", "https://")) else ""


_QUOTES = frozenset("\"'`\u201c\u201d\u2018\u2019")


def bare_uri(uri: str) -> str:
    """Return ``uri``, after a check for quotes and spaces that MLflow would take for a part of it.

    Raises:
        ValueError: it has such characters; the message names them.
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


_LOGIN = re.compile(r"(?<=://)(?:[^/]*@|(?<!http://)(?<!https://)[^/:@]*:[^@]*@)")
"""User name and password, up to the last ``@`` before the path; SQLAlchemy takes a ``/`` in a password as well."""


def without_login(uri: str) -> str:
    """Return ``uri`` as it may be shown and stored: without a user name and password."""
    return _LOGIN.sub("***@", uri, count=1)
