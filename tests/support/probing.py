"""Probes, as a kubelet makes them."""

import urllib.error
import urllib.request

from support.patience import patience


def fetch(url: str) -> int | None:
    """Return the status of what answers at ``url``; None if nobody does."""
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def text_of(url: str) -> str:
    """Return what is answered at ``url``."""
    with urllib.request.urlopen(url, timeout=patience()) as answer:
        return answer.read().decode()
