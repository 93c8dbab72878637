"""The text of a secret, as files and environments hold it: without what an editor or a shell put around it."""

import codecs

from bridge.errors import SecretUnavailable

LONGEST = 64 * 1024
"""How many bytes a file with a secret may hold."""

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""The byte order marks that files begin with: Windows' editors write the first, `>` of its PowerShell the second."""

_ENDS = "\r\n\0"


def decoded(data: bytes) -> str:
    """Return the text in ``data``: UTF-8, or UTF-16 where a byte order mark says so.

    Raises:
        SecretUnavailable: it is neither, or too long; the message is the end of a sentence.
    """
    if len(data) > LONGEST:
        msg = f"it holds more than {LONGEST // 1024} KiB: another file was probably meant"
        raise SecretUnavailable(msg)
    mark = next((one for one in _MARKS if data.startswith(one)), b"")
    try:
        return data.removeprefix(mark).decode(_MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError:
        msg = "not UTF-8 text"
        raise SecretUnavailable(msg) from None


def bare(text: str) -> str:
    """Return the secret in ``text``, without line breaks and NULs at its end.

    Raises:
        SecretUnavailable: it is empty, or no text; the message is a sentence about "the secret".
    """
    secret = text.removeprefix("\ufeff").rstrip(_ENDS)
    if not secret:
        msg = "the secret is empty"
        raise SecretUnavailable(msg)
    if "\0" in secret:
        msg = "the secret holds NUL characters: it is binary, or UTF-16 without a byte order mark: save it as UTF-8"
        raise SecretUnavailable(msg)
    return secret


def is_quoted(secret: str) -> bool:
    """Whether quotation marks around a secret are part of it: `docker --env-file` leaves them there."""
    return len(secret) > 1 and secret[0] == secret[-1] and secret[0] in "\"'"
