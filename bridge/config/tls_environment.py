"""Variables of the environment that name files for TLS, and lead nowhere.

``SSLKEYLOGFILE`` is where libraries write session keys, for those who look into their own traffic: Python's
``ssl`` and urllib3 open the file for each context that they make, and fail where they cannot. No delivery and
no poll may depend on a debugging aid. ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name authorities in place of the
system's: where they are not there, OpenSSL says nothing, and does not trust them.
"""

import os
from collections.abc import Iterator

_KEY_LOG = "SSLKEYLOGFILE"


def drop_unusable_key_log() -> str:
    """Take ``SSLKEYLOGFILE`` out of this process' environment where its file cannot be written.

    Returns:
        A sentence on why, the variable first, for whoever finds it out; empty where all is well.
    """
    path = os.environ.get(_KEY_LOG)
    if not path:
        return ""
    try:
        with open(path, "ab"):  # noqa: PTH123 - as OpenSSL opens it
            return ""
    except (OSError, ValueError) as error:
        why = _why(error)
    os.environ.pop(_KEY_LOG, None)
    return f"{_KEY_LOG}: {path} cannot be written ({why}): no TLS keys are logged"


def warn_of_unusable_key_log() -> None:
    """Do the same, and say so in the log: once, since the variable is gone then."""
    problem = drop_unusable_key_log()
    if problem:
        import structlog  # noqa: PLC0415 - it brings in asyncio, and quick commands don't need it

        structlog.get_logger(__name__).warning("tls.key_log_ignored", error=problem)


def authority_warnings() -> Iterator[str]:
    """Yield a sentence, variable first, for each that names authorities which cannot be read."""
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        if file:
            with open(file, "rb"):  # noqa: PTH123 - as OpenSSL opens it
                pass
    except (OSError, ValueError) as error:
        yield f"SSL_CERT_FILE: {file} cannot be read ({_why(error)}): no sink trusts what should be in it"
    if folders and not any(os.path.isdir(folder) for folder in folders.split(os.pathsep)):  # noqa: PTH112
        yield f"SSL_CERT_DIR: {folders} is no folder: no sink trusts what should be in it"


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
