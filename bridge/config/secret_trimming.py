"""Decode the text of a secret, and remove the byte order mark and the line breaks that editors add."""

import codecs

from bridge.errors import SecretUnavailable

LONGEST = 64 * 1024
"""The largest size of a secret's file, in bytes."""

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""The byte order marks at the beginning of files: Windows editors write the first, `>` in PowerShell the second."""

_ENDS = "\r\n\0"


def decoded(data: bytes) -> str:
    """Decode ``data``: UTF-8, or UTF-16 if a byte order mark says so.

    Raises:
        SecretUnavailable: it is neither, or too long; the caller completes the message to a sentence.
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
    """Return ``text`` without a byte order mark, and without line breaks and NULs at its end.

    Raises:
        SecretUnavailable: the secret is empty, or holds NUL characters.
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
    """Whether a secret is in quotation marks, which are part of its value: `docker --env-file` does not remove them."""
    return len(secret) > 1 and secret[0] == secret[-1] and secret[0] in "\"'"
