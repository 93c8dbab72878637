"""MLflow's server with the plug-in, and bridges beside it, one after the other at one port."""

import base64
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from itertools import count
from pathlib import Path

import bridge
from support.governed import ACCURACY, TOKENS, Governed
from support.mlflow_server import MlflowServer
from support.old_servers import old_server
from support.receiver import lasting_port

ADMIN, PASSWORD = "admin", "a-long-password-1234"
ENFORCED = f'{ACCURACY}mode = "enforce"\naliases = ["champion"]\nmodels = ["governed*"]\n'
NEVER = "1h"
"""An interval of polls that no test lives to see: what comes, comes by a hint."""

EVERYTHING = """events = ["REGISTERED_MODEL_CREATED", "REGISTERED_MODEL_DELETED", "REGISTERED_MODEL_RENAMED",
"REGISTERED_MODEL_UPDATED", "REGISTERED_MODEL_TAG_SET", "REGISTERED_MODEL_TAG_DELETED", "MODEL_VERSION_CREATED",
"MODEL_VERSION_DELETED", "MODEL_VERSION_UPDATED", "MODEL_VERSION_TRANSITIONED_STAGE", "MODEL_VERSION_TAG_SET",
"MODEL_VERSION_TAG_DELETED", "MODEL_VERSION_ALIAS_SET", "MODEL_VERSION_ALIAS_DELETED"]"""

_NUMBERS = count(1)


def basic(user: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()}


class PluggedServer:
    """A server with the plug-in; with ``auth``, also with MLflow's basic authentication."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        auth: bool = False,
        prefix: str = "",
        version: str = "",
        **more: str,
    ) -> None:
        self.bridge_port = lasting_port()
        plugin = {
            "MLFLOW_BRIDGE_URL": f"http://127.0.0.1:{self.bridge_port}",
            "MLFLOW_BRIDGE_TOKEN": TOKENS["mlflow"],
            **more,
        }
        app, self.access = "mlflow-bridge", ""
        if auth:
            app = "mlflow-bridge-auth"
            self.access = f'username = "{ADMIN}"\npassword = {{ env = "REGISTRY_PASSWORD" }}\n'
            plugin |= _authentication(folder)
        if prefix:
            arguments = (*arguments, "--static-prefix", prefix)
        arguments = ("--app-name", app, *arguments)
        if version:
            self.server = old_server(version, folder, *arguments, PYTHONPATH=_installed(folder), **plugin)
        else:
            self.server = MlflowServer(folder, *arguments, **plugin)
        self.server.prefix = prefix

    @property
    def url(self) -> str:
        return self.server.url + self.server.prefix

    @contextmanager
    def running(self) -> Iterator["PluggedServer"]:
        self.server.start()
        try:
            yield self
        finally:
            self.server.stop()

    def governed(self, folder: Path, *sinks: str, poll: str = NEVER, more: str = ENFORCED) -> Governed:
        """Return a bridge that is not started yet."""
        found = Governed(
            folder, self.url, *sinks, poll=poll, more=more, access=self.access, port=self.bridge_port
        )
        found.bridge.environment["REGISTRY_PASSWORD"] = PASSWORD
        return found

    @contextmanager
    def bridge(self, folder: Path, *sinks: str, **more: str) -> Iterator[Governed]:
        found = self.governed(folder, *sinks, **more)
        with found.bridge.running():
            found.bridge.wait_for_log("baseline.taken")
            yield found

    def ask(self, method: str, path: str, body=None, user: str = "") -> tuple[int, dict]:
        """Ask MLflow's address."""
        text = body if isinstance(body, str) else json.dumps(body or {})
        headers = {"Content-Type": "application/json", **(basic(user) if user else {})}
        status, found = self.send(method, path, text, headers)
        return status, json.loads(found)

    def send(self, method: str, path: str, text: str, headers: dict[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        connection.request(method, self.server.prefix + path, text, headers)
        answer = connection.getresponse()
        found = answer.read().decode()
        connection.close()
        return answer.status, found


def new_name(prefix: str = "governed") -> str:
    """Return the name of a model that the registry does not have; the gate guards those that begin so."""
    return f"{prefix}-{next(_NUMBERS)}"


def _installed(folder: Path) -> str:
    """Return a folder with this package and what the plug-in imports, for the Python of another environment."""
    import jmespath

    site = folder / "site"
    site.mkdir(parents=True)
    for package in (bridge, jmespath):
        (site / package.__name__).symlink_to(Path(package.__file__).parent)
    information = site / "mlflow_bridge-0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mlflow-bridge\nVersion: 0\n")
    listed = distribution("mlflow-bridge").read_text("entry_points.txt")
    (information / "entry_points.txt").write_text(listed)
    return str(site)


def _authentication(folder: Path) -> dict[str, str]:
    ini = folder / "auth.ini"
    ini.parent.mkdir(exist_ok=True)
    ini.write_text(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\n"
        f"database_uri = sqlite:///{folder}/auth.db\nadmin_username = {ADMIN}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(ini),
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "secret-of-the-test",
    }
