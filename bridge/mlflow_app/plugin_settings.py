"""The settings of the plug-in, from the environment of MLflow's server."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

URL, TOKEN, TOKEN_FILE = "MLFLOW_BRIDGE_URL", "MLFLOW_BRIDGE_TOKEN", "MLFLOW_BRIDGE_TOKEN_FILE"
ON_FAILURE = "MLFLOW_BRIDGE_ON_FAILURE"

_PORTS = {"http": 80, "https": 443}
_HOW = (
    f"{URL} says where mlflow-bridge is: http://HOST:PORT as in its server.listen, or unix:///…/control, the socket in its "
    "state folder"
)


class PluginMisconfigured(ValueError):
    """The environment does not say where the bridge is, or how to authenticate there."""


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """Where the bridge is.

    Attributes:
        scheme: ``http``, ``https`` or ``unix``.
        host, port: the address; of a Unix socket, its path and 0.
        path: what comes before the bridge's paths, where a proxy is before it.
        token: the token; empty at a Unix socket, which needs none.
        token_file: the file that holds it instead: read anew each time, so that it can be replaced.
        is_open: whether governed transitions pass if the bridge does not answer.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    token: str = ""
    token_file: Path | None = None
    is_open: bool = False

    def authorization(self) -> str:
        """Return the value of the ``Authorization`` header; empty: none is sent.

        Raises:
            OSError: the file of the token cannot be read.
            ValueError: it does not hold a token; the message does not show it.
        """
        token = self.token_file.read_text().strip() if self.token_file else self.token
        if not _is_token(token):
            raise ValueError(f"the file in {TOKEN_FILE} does not hold a token")
        return f"Bearer {token}" if token else ""


def plugin_settings(environment: Mapping[str, str]) -> PluginSettings:
    """Return the settings in ``environment``.

    Raises:
        PluginMisconfigured: something is missing, or cannot be used; the message says what, and how to mend it.
    """
    scheme, host, port, path = _place(environment.get(URL, "").strip())
    token, file = environment.get(TOKEN, "").strip(), environment.get(TOKEN_FILE, "").strip()
    if token and file:
        raise PluginMisconfigured(f"{TOKEN} and {TOKEN_FILE} are both set: leave one out")
    if scheme != "unix" and not (token or file):
        raise PluginMisconfigured(
            f"{TOKEN} is missing (or {TOKEN_FILE}): it is the token of a [[server.tokens]] of the bridge that has "
            "acts_for_users = true"
        )
    if file:
        _check_file(file)
    if not _is_token(token):
        raise PluginMisconfigured(f"{TOKEN} holds a character that no token has")
    return PluginSettings(
        scheme, host, port, path, token, Path(file) if file else None, _is_open(environment)
    )


def _is_token(text: str) -> bool:
    return all("!" <= char <= "~" for char in text)


def _place(url: str) -> tuple[str, str, int, str]:
    if not url:
        raise PluginMisconfigured(f"{URL} is missing. {_HOW}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise PluginMisconfigured(f"{URL} is no URL. {_HOW}") from None
    if parts.scheme == "unix" and not parts.netloc and parts.path:
        return "unix", parts.path, 0, ""
    if parts.scheme not in _PORTS or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise PluginMisconfigured(f"{URL} cannot be used. {_HOW}")
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path.rstrip("/")


def _check_file(name: str) -> None:
    try:
        has_text = bool(Path(name).read_text().strip())
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise PluginMisconfigured(f"{TOKEN_FILE}: {name} cannot be read: {why}") from None
    if not has_text:
        raise PluginMisconfigured(f"{TOKEN_FILE}: {name} is empty")


def _is_open(environment: Mapping[str, str]) -> bool:
    value = environment.get(ON_FAILURE, "").strip() or "closed"
    if value not in {"open", "closed"}:
        raise PluginMisconfigured(
            f"{ON_FAILURE} must be closed (governed transitions are refused while the bridge does not answer) or open"
        )
    return value == "open"
