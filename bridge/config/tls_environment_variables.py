"""Check the environment variables that name TLS files which may be missing.

``SSLKEYLOGFILE`` names a file for session keys, for debugging: Python's ``ssl`` and urllib3 open it for each
context, and fail if they cannot. Deliveries and polls must not depend on a debugging aid. ``SSL_CERT_FILE`` and
``SSL_CERT_DIR`` name CA certificates that replace the system's: if they are missing, OpenSSL reports nothing,
and trusts no CA.
"""

import os
from collections.abc import Iterator

_KEY_LOG = "SSLKEYLOGFILE"


def drop_unusable_key_log() -> str:
    """Remove ``SSLKEYLOGFILE`` from the environment of this process if its file cannot be written.

    Returns:
        A warning that begins with the variable's name; empty if the file can be written, or the variable is not set.
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
    """Call `drop_unusable_key_log` and log its warning; this happens once, as the variable is then removed."""
    problem = drop_unusable_key_log()
    if problem:
        import structlog  # noqa: PLC0415 - it imports asyncio, which quick commands do not need

        structlog.get_logger(__name__).warning("tls.key_log_ignored", error=problem)


def authority_warnings() -> Iterator[str]:
    """Yield a warning, beginning with the variable's name, for each variable that names unreadable CA certificates."""
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
