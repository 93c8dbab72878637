"""``SSLKEYLOGFILE``: where TLS libraries write session keys, for those who look into their own traffic.

Python's ``ssl`` and urllib3 open the file for each context that they make, and fail where they cannot: no
delivery and no poll may depend on a debugging aid.
"""

import os

import structlog

log = structlog.get_logger(__name__)

_VARIABLE = "SSLKEYLOGFILE"


def drop_unusable_key_log() -> str:
    """Take the variable out of this process' environment where its file cannot be written.

    Returns:
        A sentence on why, the variable first, for whoever finds it out; empty where all is well.
    """
    path = os.environ.get(_VARIABLE)
    if not path:
        return ""
    try:
        with open(path, "ab"):  # noqa: PTH123 - as OpenSSL opens it
            return ""
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
    os.environ.pop(_VARIABLE, None)
    return f"{_VARIABLE}: {path} cannot be written ({why}): no TLS keys are logged"


def warn_of_unusable_key_log() -> None:
    """Do the same, and say so in the log: once, since the variable is gone then."""
    problem = drop_unusable_key_log()
    if problem:
        log.warning("tls.key_log_ignored", error=problem)
