"""A bridge that governs promotions over its API, and versions with metrics to ask for."""

import http.client
import json
from pathlib import Path

from support.command import Bridge
from support.patience import patience
from support.receiver import free_port

TOKENS = {name: f"{name}-0123456789abcdef" for name in ("asker", "decider", "other", "admin", "mlflow")}
_MAY = {
    "asker": ["read", "request"],
    "decider": ["read", "decide"],
    "other": ["read", "decide"],
    "admin": ["read", "operate", "webhooks", "request", "decide"],
    "mlflow": ["read", "webhooks", "request", "decide"],
}
REQUESTS = "/api/2.0/mlflow/transition-requests"
ACCURACY = """
[[gates]]
name = "quality"
to_stages = ["Production"]
checks = [{ name = "accuracy", require = "run.metrics.validation_accuracy >= `0.90`", message = "below 0.90" }]
"""


class Governed:
    """A bridge with five tokens, the last of which is for MLflow's server, and whatever else its configuration has."""

    def __init__(
        self,
        folder: Path,
        registry: str,
        *sinks: str,
        more: str = "",
        poll: str = "200ms",
        access: str = "",
        port: int | None = None,
    ) -> None:
        self.port = port or free_port()
        self.bridge = Bridge(folder, registry)
        self.bridge.environment |= {f"TOKEN_{name.upper()}": value for name, value in TOKENS.items()}
        tokens = ", ".join(
            f'{{ name = "{name}", token = {{ env = "TOKEN_{name.upper()}" }}, may = {json.dumps(may)}, '
            f"acts_for_users = {json.dumps(name == 'mlflow')} }}"
            for name, may in _MAY.items()
        )
        server = f'[server]\nlisten = "127.0.0.1:{self.port}"\ntokens = [{tokens}]\n'
        webhooks = '[webhooks]\nallowed_hosts = ["127.0.0.0/8"]\n'
        self.bridge.write(
            registry, *sinks, poll=f'interval = "{poll}"', more=f"{server}\n{webhooks}\n{more}", access=access
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body=None, who: str = "admin") -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience())
        headers = {"Authorization": f"Bearer {TOKENS[who]}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body or {}), headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        return answer.status, found

    def request(self, model: str, version: str, who: str = "asker", **more) -> str:
        given = {"name": model, "version": version, "stage": "Production", **more}
        status, found = self.ask("POST", f"{REQUESTS}/create", given, who)
        assert status == 200, found
        return found["request"]["id"]

    def decide(self, verb: str, request: str, who: str = "decider", **more) -> tuple[int, dict]:
        return self.ask("POST", f"{REQUESTS}/{verb}", {"transition_request_id": request, **more}, who)

    def shown(self, request: str) -> dict:
        return self.ask("GET", f"/api/v1/requests/{request}")[1]


def version_with(client, model: str, **metrics: float) -> str:
    """Make a version whose run has these metrics, and return its number."""
    run = client.create_run("0")
    for name, value in metrics.items():
        client.log_metric(run.info.run_id, name, value)
    return client.create_model_version(model, "s3://b/x", run_id=run.info.run_id).version
