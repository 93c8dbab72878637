"""What a redirect says of the way to a receiver. None is followed: it would carry credentials elsewhere."""

import re
from urllib.parse import SplitResult, urljoin, urlsplit

_ORIGIN = re.compile(r"https?://[\w.:\[\]%-]{1,100}")
"""Scheme and host of a URL: what else is in it may be secret."""

_SIGN_IN = re.compile(
    r"(?:^|[/._-])(?:log[_-]?[io]n|sign[_-]?[io]n|sso|saml2?|oauth2?|openid(?:-connect)?|authorize|"
    r"commencelogin|servicelogin|cdn-cgi/access|auth/realms)(?:[/._?=-]|$)",
    re.IGNORECASE,
)
"""A word in a host or a path that pages for signing in have."""


def target_of(url: str, location: str) -> str:
    """Return where a redirect leads: the whole URL (its path where ``url`` is empty), or nothing where it leads nowhere."""
    try:
        found = urljoin(url, location) if location else ""
        return found if found.startswith("/") or urlsplit(found).hostname else ""
    except ValueError:
        return ""


def leads_to_sign_in(target: str, url: str = "") -> bool:
    """Whether ``target`` looks like a page where people sign in, and not just because ``url`` does, which was asked for."""
    parts = urlsplit(target)
    path = parts.path.removesuffix(urlsplit(url).path)
    return bool(_SIGN_IN.search(path) or _SIGN_IN.search(parts.hostname or ""))


def shown_origin(target: str) -> str:
    """Return scheme, host and port of ``target``, as far as they can be shown; else nothing."""
    parts = urlsplit(target)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return origin if _ORIGIN.fullmatch(origin) else ""


def redirect_fault(url: str, target: str, address: str) -> str:
    """Return what to mend where a request to ``url`` is sent on to ``target``.

    Args:
        url: where the request went; empty where that is not known.
        target: where the redirect leads, as `target_of` has it.
        address: the setting that names the receiver, for the message.
    """
    if not target:
        return f"check {address}"
    here, there = urlsplit(url), urlsplit(target)
    if (here.scheme, there.scheme) == ("http", "https") and _tail(here) == _tail(there):
        return f"write https:// in {address}"
    if (here.scheme, here.netloc) == (there.scheme, there.netloc) and there.path == f"{here.path}/":
        return f"write a slash at the end of {address}"
    if leads_to_sign_in(target, url):
        return "it leads to a page for signing in: check the sink's credential, and whether a gateway before the receiver wants one"
    return f"set {address} to where it moved"


def _tail(parts: SplitResult) -> tuple[str | None, str]:
    return parts.hostname, parts.path
