"""Explains why no answer came, from the error texts of requests, urllib3 and OpenSSL."""

_CAUSE = "(Caused by "
"""The text before this holds the URL, with names of models in its query."""


def transport_fault(text: str) -> str:
    """Return what the text of an exception means and what to do; empty if that is not known."""
    cause = text[max(0, text.find(_CAUSE)) :]
    return next((meaning for sign, meaning in _FAULTS if sign in cause), "")


_NO_HEADER = "a credential holds characters that a header cannot: check registry.token, or what check names"
_NO_AUTHORITIES = (
    "the file of authorities is not there: check MLFLOW_TRACKING_SERVER_CERT_PATH, REQUESTS_CA_BUNDLE and "
    "CURL_CA_BUNDLE of the environment"
)

_FAULTS = (
    (
        "WRONG_VERSION_NUMBER",
        "this port speaks plain HTTP: write http:// in registry.tracking_uri, or the port of TLS",
    ),
    (
        "certificate has expired",
        "its certificate has expired, or this machine's clock is wrong: have it renewed",
    ),
    ("certificate is not yet valid", "its certificate is not valid yet: is this machine's clock right?"),
    ("Hostname mismatch", "its certificate is for another name: use that one in registry.tracking_uri"),
    (
        "IP address mismatch",
        "its certificate is not for this address: use the name that it is for in registry.tracking_uri",
    ),
    ("doesn't match", "its certificate is for another name: use that one in registry.tracking_uri"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted: set registry.ca_file"),
    ("CERTIFICATE_REQUIRED", "it wants a client certificate: set MLFLOW_TRACKING_CLIENT_CERT_PATH"),
    ("NO_CERTIFICATE_OR_CRL_FOUND", "the file of authorities holds no certificate: check registry.ca_file"),
    ("Could not find a suitable TLS CA certificate bundle", _NO_AUTHORITIES),
    ("Could not find the TLS certificate file", "the file in MLFLOW_TRACKING_CLIENT_CERT_PATH is not there"),
    ("codec can't encode", _NO_HEADER),
    ("in header value", _NO_HEADER),
    ("SSLError", "the connection cannot be made secure: check http or https in the URL"),
    (r"BadStatusLine('\x15", "this port wants TLS: write https:// in registry.tracking_uri"),
    (
        "BadStatusLine",
        "what answers there speaks another protocol than HTTP: check the port in registry.tracking_uri",
    ),
    ("Connection refused", "connection refused: is the server running, and the port right?"),
    ("No route to host", "no route to its host: check the network, and the address in registry.tracking_uri"),
    ("Network is unreachable", "its network cannot be reached from here"),
    ("Name or service not known", "no such host: check the name in registry.tracking_uri"),
    ("No address associated", "no such host: check the name in registry.tracking_uri"),
    ("Temporary failure in name resolution", "its name cannot be resolved now: check the name server"),
    ("label empty or too long", "no host has such a name: check registry.tracking_uri"),
    ("Failed to resolve", "its name cannot be resolved: check the name in registry.tracking_uri"),
    ("connect timeout=", "no connection within registry.timeout: does a firewall drop what is sent there?"),
    ("imed out", "no answer within registry.timeout"),
    ("RemoteDisconnected", "the connection was closed without an answer"),
    (
        "Connection reset",
        "the connection was reset: if the port wants TLS, write https:// in registry.tracking_uri",
    ),
    ("IncompleteRead", "its answer broke off"),
    ("Connection broken", "its answer broke off"),
    ("failed to decode it", "its answer is not in the encoding that it names (Content-Encoding)"),
    ("Exceeded 30 redirects", "it redirects in a circle"),
)
"""Parts of the texts of requests and urllib3, and their meaning; the first one found is used."""
