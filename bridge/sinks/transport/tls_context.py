"""Builds TLS contexts from the present files of the configuration: verified, version 1.2 or later."""

import os
import ssl
from contextlib import suppress
from typing import NoReturn

from bridge.config import TlsSettings
from bridge.config.tls_environment_variables import warn_of_unusable_key_log
from bridge.errors import AuthorityUnavailable, SecretUnavailable

Stamp = tuple[object, ...]
"""Identifies the state of some files, so that a change is noticed."""


def stamp_of(tls: TlsSettings) -> Stamp:
    """Return a stamp of the present state of the files that ``tls`` names.

    It changes when Kubernetes switches a link to a folder, and when a file is replaced or rewritten.
    """
    return tuple(_stamp(path) for path in tls.files)


def _stamp(path: str) -> Stamp:
    with suppress(OSError, ValueError):
        found = os.stat(path)  # noqa: PTH116 - on each delivery
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return ()


def context_of(tls: TlsSettings, key: str) -> ssl.SSLContext:
    """Return the TLS context for ``tls``, from its present files.

    Args:
        tls: the authorities to trust, and the client certificate.
        key: the configuration key, for messages.

    Raises:
        AuthorityUnavailable: ``ca_file`` cannot be used.
        SecretUnavailable: the client's certificate or key cannot be used.
    """
    warn_of_unusable_key_log()
    context = _trusting(tls.ca_file, key)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.client_cert is not None:
        _identify(context, tls.client_cert, tls.client_key, key)
    return context


def proxy_context_of(receivers: ssl.SSLContext) -> ssl.SSLContext:
    """Return the TLS context for a proxy that itself speaks TLS.

    It trusts the system's authorities and those that ``receivers`` trusts. The client certificate is only for
    receivers.
    """
    context = context_of(TlsSettings(), "")
    authorities = receivers.get_ca_certs(binary_form=True)
    if authorities:
        context.load_verify_locations(cadata=b"".join(authorities))
    return context


def _trusting(ca_file: str | None, key: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        place = f"{key}.ca_file: {ca_file}" if ca_file else "the system's certificates:"
        raise AuthorityUnavailable(f"{place} {_why(error)}") from None


def _identify(context: ssl.SSLContext, cert: str, private: str | None, key: str) -> None:
    for name, path in (("client_cert", cert), ("client_key", private)):
        if path is not None:
            _open(path, f"{key}.{name}")
    try:
        context.load_cert_chain(cert, private, password=_no_password)
    except ssl.SSLError as error:
        raise SecretUnavailable(_unfit(error, cert, private, key)) from None
    except (OSError, ValueError) as error:
        name, path = ("client_key", private) if private else ("client_cert", cert)
        raise SecretUnavailable(f"{key}.{name}: {path} {_why(error)}") from None


def _open(path: str, key: str) -> None:
    """Check that a file can be read: OpenSSL reports a missing file without naming it."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - opened as OpenSSL does
            stream.read(1)
    except (OSError, ValueError) as error:
        raise SecretUnavailable(f"{key}: {path} {_why(error)}") from None


def _unfit(error: ssl.SSLError, cert: str, private: str | None, key: str) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{key}.client_key: {private or cert} is not the key of the certificate in {cert}"
    if _has_certificate(cert):
        name, path = ("client_key", private) if private else ("client_cert", cert)
        return f"{key}.{name}: {path} holds no usable private key in PEM"
    return f"{key}.client_cert: {cert} holds no usable certificate in PEM"


def _has_certificate(path: str) -> bool:
    try:
        ssl.create_default_context(cafile=path)
    except OSError:
        return False
    return True


def _no_password() -> NoReturn:
    """Refuse a key with a password: otherwise OpenSSL would ask for it at the terminal."""
    raise ValueError("a key must have no password")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "holds no usable certificate in PEM"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return f"cannot be used: {error}"
