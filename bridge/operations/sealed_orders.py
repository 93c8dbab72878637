"""Keeps the secrets of webhooks out of the database that an order to another bridge passes: it is encrypted there."""

import json

from bridge.config import Settings
from bridge.config.encrypted_secrets import Keys
from bridge.control.socket_messages import Document, Request
from bridge.errors import InvalidState

_SEALED = "sealed"
_SECRETS = ("secret", "authorization")


def sealed(settings: Settings, request: Request) -> Request:
    """Return ``request`` with its arguments encrypted, if it is about webhooks and there is a key.

    Raises:
        SecretUnavailable: it holds a secret, and there is no key to encrypt it with.
        InvalidState: it holds a secret, and webhooks are switched off here.
    """
    given = _webhook_arguments(request)
    if given is None:
        return request
    spec = given.get("http_url_spec")
    has_secret = isinstance(spec, dict) and any(spec.get(name) for name in _SECRETS)
    if settings.webhooks is None:
        if has_secret:
            raise InvalidState("webhooks are switched off here: a [webhooks] section switches them on")
        return request
    if not (settings.webhooks.keys or has_secret):
        return request
    text = Keys.read(settings.webhooks.keys).encrypted(json.dumps(request.arguments))
    return Request(request.command, {_SEALED: text})


def opened(settings: Settings, request: Request) -> Request:
    """Return ``request`` as it was before it was sealed.

    Raises:
        SecretUnavailable: whoever sealed it has other keys.
    """
    if _SEALED not in request.arguments:
        return request
    keys = settings.webhooks.keys if settings.webhooks else ()
    text = Keys.read(keys).decrypted(request.arguments[_SEALED], "an order")
    return Request(request.command, json.loads(text))


def _webhook_arguments(request: Request) -> Document | None:
    """Return what a request says of a webhook; None: it is about something else."""
    if request.command == "webhooks":
        found = request.arguments.get("given")
    elif request.command == "api" and "registry-webhooks" in str(request.arguments.get("path")):
        found = request.arguments.get("arguments")
    else:
        found = None
    return found if isinstance(found, dict) else None
