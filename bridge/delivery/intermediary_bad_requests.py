"""Recognises a 400 answer that comes from a server in front of the application.

Such an answer is about the connection or a setting, not about the event. The texts come from nginx
(`ngx_http_special_response.c`), Apache httpd, HAProxy, Go's `net/http`, Tomcat, Django, Starlette, IIS
(HTTP.sys), and the error pages of cloud providers.
"""

import re
from collections.abc import Mapping

_TLS = "the port speaks TLS, and was asked in plain HTTP: write https:// in {address}"
_HOST = (
    "the server does not answer for this host: check the host in {address}, and which ones the server allows"
)
_HEADERS = "a server before the receiver takes no headers of this size: check the sink's headers and token"
_SAID: Mapping[str, str] = {
    r"plain HTTP request was sent to HTTPS port": _TLS,
    r"sent an HTTP request to an HTTPS server": _TLS,
    r"speaking plain HTTP to an SSL-enabled server": _TLS,
    r"combination of host and port requires TLS": _TLS,
    r"No required SSL certificate was sent": "the server wants a client certificate: set tls.client_cert and tls.client_key",
    r"SSL certificate error": "the server refuses the client certificate: check tls.client_cert",
    r"Header Or Cookie Too Large|size of a request header field exceeds|header fields? (?:is |are )?too (?:large|long)": _HEADERS,
    r"invalid host(?:name| header)|<h1>Bad Request \(400\)</h1>": _HOST,
    r"<center><h1>400 Bad Request</h1></center>": "",
    r"your browser sent an? (?:invalid )?request(?: that this server could not understand)?": "",
    r"your client has issued a malformed or illegal request": "",
    r"the request could not be satisfied|bad request - invalid|<title>invalid url</title>|requested url could not be retrieved": "",
}
"""Text in the answer → the advice for it; empty where only its origin is known, not its cause."""

_KNOWN = [(re.compile(said, re.IGNORECASE), mend) for said, mend in _SAID.items()]
_NO_MORE = "a server before the receiver refuses the request, not the receiver the event: check {address} and that server"


def gateway_fault(said: str) -> str:
    """Return the advice for a 400 whose body begins with ``said``, if a server in front of the application sent it.

    ``{address}`` in the advice stands for the setting that names the receiver. Empty where the application
    may have sent the answer.
    """
    return next((mend or _NO_MORE for pattern, mend in _KNOWN if pattern.search(said)), "")
