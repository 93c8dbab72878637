"""What a redirect reveals about a wrong address or missing credentials. No redirect is followed.

Following one would carry credentials to another host.
"""

import re
from urllib.parse import SplitResult, urljoin, urlsplit

_ORIGIN = re.compile(r"https?://[\w.:\[\]%-]{1,100}")
"""Scheme and host of a URL: the rest of it may be secret."""

_SIGN_IN = re.compile(
    r"(?:^|[/._-])(?:log[_-]?[io]n|sign[_-]?[io]n|sso|saml2?|oauth2?|openid(?:-connect)?|authorize|"
    r"commencelogin|servicelogin|cdn-cgi/access|auth/realms)(?:[/._?=-]|$)",
    re.IGNORECASE,
)
"""Words in a host or a path that are typical of sign-in pages."""


def target_of(url: str, location: str) -> str:
    """Return the target of a redirect: the whole URL (its path where ``url`` is empty), or nothing if it has none."""
    try:
        found = urljoin(url, location) if location else ""
        return found if found.startswith("/") or urlsplit(found).hostname else ""
    except ValueError:
        return ""


def leads_to_sign_in(target: str, url: str = "") -> bool:
    """Whether ``target`` looks like a sign-in page, apart from what the requested ``url`` has in common with it."""
    parts = urlsplit(target)
    path = parts.path.removesuffix(urlsplit(url).path)
    return bool(_SIGN_IN.search(path) or _SIGN_IN.search(parts.hostname or ""))


def shown_origin(target: str) -> str:
    """Return scheme, host and port of ``target`` if they can be shown; else nothing."""
    parts = urlsplit(target)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return origin if _ORIGIN.fullmatch(origin) else ""


def redirect_fault(url: str, target: str, address: str) -> str:
    """Return the advice for a request to ``url`` that is redirected to ``target``.

    Args:
        url: where the request went; empty where that is not known.
        target: the target of the redirect, as `target_of` returns it.
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
