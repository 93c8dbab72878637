"""Explains a 403 of GitHub by its text: a missing permission is only one of the possible reasons."""

import re
from collections.abc import Mapping

from bridge.sinks.base import Response
from bridge.sinks.http_answer_reading import said_in, text_in

_REASONS: Mapping[str, str] = {
    r"SAML": (
        "the organization enforces SAML single sign-on: authorize the token for it (on GitHub: Settings, Developer "
        "settings, Personal access tokens, Configure SSO)"
    ),
    r"IP allow ?list|IP address is not permitted": (
        "the repository's owner has an IP allow list: have this machine's address added to it"
    ),
    r"archived": "the repository is archived: unarchive it, or set repository to another",
    r"billing|payment|spending limit": "the account that pays for the repository has a billing problem: its owner has to mend it",
    r"disabled workflow": "the workflow is disabled: enable it on GitHub (Actions, the workflow, Enable workflow)",
    r"actions (?:has been|have been|is|are) (?:disabled|not enabled)|disabled actions": (
        "GitHub Actions are disabled for the repository: enable them in its settings"
    ),
    r"suspended": "the account (or the App's installation) is suspended: its owner has to clear that with GitHub",
    r"forbids access via|lifetime is greater": (
        "a policy of the organization forbids this kind of token, or how long it lasts: make one as the policy asks"
    ),
    r"OAuth App access restrictions": "the organization restricts OAuth Apps: have it approve the App, or take another token",
    r"access blocked|blocked (?:due|because|for)": "GitHub has blocked the repository: its owner has to clear that with GitHub",
    r"administrative rules": (
        "GitHub takes no request without a User-Agent: a proxy on the way removes the header"
    ),
    r"must have (?:admin|push|write)": (
        "the token's user may not write to the repository: give them the role Write (or Admin)"
    ),
    r"two-factor|2FA": "the organization wants two-factor authentication of the token's user",
}
_KNOWN = [(re.compile(words, re.IGNORECASE), why) for words, why in _REASONS.items()]
_PERMISSION = re.compile(r"resource not accessible by", re.IGNORECASE)
_CLOCK = re.compile(r"'(?:expiration time|issued at)' claim", re.IGNORECASE)


def forbidden_because(answer: Response, permission: str) -> str:
    """Return why a 403 refuses access, and what to do.

    Args:
        answer: GitHub's answer, which is not due to a rate limit.
        permission: the sentence for a missing permission.
    """
    if "x-github-sso" in answer.headers:
        return _REASONS["SAML"]
    said = text_in(answer.body, "message") or said_in(answer)
    if not said or _PERMISSION.search(said):
        return permission
    found = next((why for words, why in _KNOWN if words.search(said)), "")
    return found or f"access is refused; perhaps {permission}"


def is_about_the_clock(answer: Response) -> bool:
    """Whether GitHub says that the time of a token made by the bridge is wrong."""
    return bool(_CLOCK.search(said_in(answer)))
