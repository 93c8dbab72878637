"""Whatever goes wrong with whichever sink: no secret in logs, state, `status`, metrics or the status page.

Real sockets, a state on disk, the relay as the application wires it, and the real commands.
"""

import asyncio
import html
import importlib.metadata
import json
import logging
import socket
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.oauth2 import TokenServer
from support.patience import slowness
from support.receiver import Answer, Got, RawReceiver, Receiver, free_port
from support.tls import Authority, TlsReceiver
from support.values import commit, transition

from bridge.app import wired
from bridge.cli.command_group import cli
from bridge.cli.log_setup import configure
from bridge.config import Settings
from bridge.daemon.status_page_snapshot import take_snapshot
from bridge.events.delivery_signatures import SIGNATURES, Scheme
from bridge.events.formats import Format
from bridge.operations.verified_configuration import load_settings
from bridge.pipeline.clocks import SystemClock
from bridge.server.health_probes import Probes
from bridge.server.page.status_page import render
from bridge.server.prometheus_metrics import Metrics
from bridge.sinks.plugins import entry_points
from bridge.sinks.sink_type_table import KINDS
from bridge.store.state_opening import owned_state

SECRETS = {
    "usual": "ghp_0aB/c+D=e",
    "short": "q7#",
    "quoted": "it's\"q\\u%41/&lt;b+c",
    "other alphabets": "p\N{LATIN SMALL LETTER O WITH DIAERESIS}\N{KEY}\N{HANGUL SYLLABLE GAG} w",
    "long": "A-long_one." + "0123456789abcdefghijklmnopqrstuvwxyz" * 3,
    "two lines": "first-half\nsecond-half",
}
OWN = {
    "http": lambda url: {
        "url": f"{url}/hook",
        "secret": {"file": "secret"},
        "query": {"key": {"file": "secret"}},
    },
    "github_dispatch": lambda url: {
        "repository": "acme/deploy",
        "event_type": "model_promoted",
        "token": {"file": "secret"},
        "api_url": url,
    },
    "github_workflow": lambda url: {
        "repository": "acme/deploy",
        "workflow": "deploy.yml",
        "ref": "main",
        "inputs": {"model": "${model_name}"},
        "token": {"file": "secret"},
        "api_url": url,
    },
    "gitlab_pipeline": lambda url: {
        "project": "acme/deploy",
        "ref": "main",
        "variables": {"MODEL": "${model_name}"},
        "token": {"file": "secret"},
        "url": url,
    },
    "jenkins_job": lambda url: {
        "job": "ml/deploy",
        "parameters": {"MODEL": "${model_name}"},
        "username": {"file": "secret"},
        "token": {"file": "secret"},
        "url": url,
    },
}
"""What each kind of sink needs to deliver to a URL with the secret; every kind has to be here."""


def spellings(secret: str) -> list[str]:
    data = secret.encode()
    return [
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        html.escape(secret),
        repr(secret)[1:-1],
        repr(data)[2:-1],
        b64encode(data).decode().rstrip("="),
        urlsafe_b64encode(data).decode().rstrip("="),
        b64encode(b"x:" + data).decode()[3:].rstrip("="),
    ]


def echo(secret: str, got: Got) -> str:
    heads = [f"{name}: {value}" for name, value in got.headers.items()]
    signed = got.headers.get("authorization", "")
    return " | ".join([*spellings(secret), *spellings(signed), *heads, json.dumps(dict(got.headers))])


@contextmanager
def answering(answer: Callable[[Got], Answer]):
    receiver = Receiver(answer)
    yield receiver.url, {}
    receiver.stop()


def echoing(status: int, start: int = 0):
    @contextmanager
    def failure(world):
        def answer(got: Got) -> Answer:
            text = echo(world.secret, got)
            return Answer(status, {"X-Echo": quote(world.secret)}, (text[start:] + text).encode())

        with answering(answer) as found:
            yield found

    return failure


@contextmanager
def unsuccessful(world):
    """A 2xx that is no success, to those who have a say in that, and to the kinds that know their API's."""
    own = {"success": "body.ok"} if world.kind == "http" else {}
    with echoing(200)(world) as (url, more):
        yield url, {**more, **own}


@contextmanager
def cut_in_the_midst(world):
    body = world.secret.encode() * 1_000
    with answering(lambda _: Answer(500, {}, body)) as found:
        yield found


@contextmanager
def breaking_off(world):
    begun = world.secret.encode()[:13]  # a receiver that dies in the midst of it
    receiver = RawReceiver(b"HTTP/1.1 500 Oops\r\nContent-Length: 999\r\n\r\n" + begun)
    yield receiver.url.rstrip("/"), {}
    receiver.stop()


@contextmanager
def redirecting(world):
    secret = quote(world.secret, safe="")
    at = f"https://{secret}.example.com/x" if world.turn else f"https://u:{secret}/x@h/?key={secret}"
    with answering(lambda _: Answer(302, {"Location": at})) as found:
        yield found


@contextmanager
def speaking_no_http(world):
    receiver = RawReceiver(f"{world.secret} {world.secret}\r\n".encode())
    yield receiver.url.rstrip("/"), {}
    receiver.stop()


@contextmanager
def hanging(_world):
    slow = slowness()  # a token has to come within the timeout
    receiver = RawReceiver(b"", hang=slow)
    yield receiver.url.rstrip("/"), {"timeout": f"{200 * slow:.0f}ms"}
    receiver.stop()


@contextmanager
def refusing(_world):
    yield f"http://127.0.0.1:{free_port()}", {}


@contextmanager
def nameless(world):
    async def nothing(_loop, host, *_args, **_options):
        raise socket.gaierror(socket.EAI_NONAME, f"no address for {host}")

    world.patch.setattr(asyncio.BaseEventLoop, "getaddrinfo", nothing)
    yield "http://nowhere.example.com", {}


@contextmanager
def untrusted(world):
    receiver = TlsReceiver(*Authority(world.folder).issue("server", "127.0.0.1"))
    yield receiver.url, {}
    receiver.stop()


@contextmanager
def without_tls(world):
    receiver = RawReceiver(f"HTTP/1.1 200 OK\r\nX: {world.secret}\r\n\r\n".encode())
    yield receiver.url.replace("http:", "https:").rstrip("/"), {}
    receiver.stop()


@contextmanager
def bad_files(world):
    (world.folder / "ca.pem").write_text(world.secret)
    yield "https://127.0.0.1:1", {"tls": {"ca_file": "ca.pem"}}


@contextmanager
def forbidden(_world):
    yield "http://127.0.0.1:1", {"allowed_hosts": ["10.0.0.0/8"]}


@contextmanager
def header_that_no_request_takes(world):
    """A sink that does not look at what it puts into a header: the client has to."""
    world.patch.setattr(
        "bridge.sinks.github.api_requests.with_header_secret", lambda _key, secret: f"{secret.read()}\n"
    )
    world.patch.setattr(
        "bridge.sinks.http.http_sink.SIGNATURES",
        {name: Scheme(lambda secrets, *_: {"X-Key": f"{secrets[0]}\n"}) for name in SIGNATURES},
    )
    world.patch.setattr("bridge.sinks.gitlab.pipeline_sink.DELIVERY_ID_HEADER", f"X-{world.secret}\n")
    world.patch.setattr("bridge.sinks.jenkins.job_sink.basic", lambda user, token: f"{user} {token}\n")
    with answering(lambda _: Answer(204)) as found:
        yield found


@contextmanager
def fault_in_rendering(world):
    def broken(*_args, **_options):
        raise ValueError(f"cannot render with {world.secret!r}")

    world.patch.setattr("bridge.sinks.http.http_sink.FORMATS", {"mlflow": Format(broken)})
    world.patch.setattr("bridge.sinks.github.dispatch_sink.default_payload", broken)
    world.patch.setattr("bridge.sinks.sink_templates.context_of", broken)
    yield "http://127.0.0.1:1", {}


@contextmanager
def missing(world):
    (world.folder / "secret").unlink()
    yield "http://127.0.0.1:1", {}


FAILURES = {
    "untrusted certificate": untrusted,
    "no TLS": without_tls,
    "unusable files": bad_files,
    "forbidden target": forbidden,
    "no such name": nameless,
    "refused": refusing,
    "timeout": hanging,
    "no HTTP": speaking_no_http,
    "200 echoes": unsuccessful,
    "400 echoes": echoing(400),
    "401 echoes": echoing(401),
    "403 echoes": echoing(403, 5),
    "429 echoes": echoing(429, 1),
    "500 echoes": echoing(500, 2),
    "500 is cut": cut_in_the_midst,
    "500 breaks off": breaking_off,
    "redirect": redirecting,
    "header": header_that_no_request_takes,
    "fault in rendering": fault_in_rendering,
    "missing secret": missing,
}


class World:
    """A configuration with one sink, and what the bridge shows of it."""

    def __init__(self, folder: Path, kind: str, secret: str, patch: pytest.MonkeyPatch, turn: int) -> None:
        self.folder, self.kind, self.secret, self.patch, self.turn = folder, kind, secret, patch, turn
        (folder / "secret").write_text(secret, encoding="utf-8")

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def settings(self, url: str, more: dict) -> Settings:
        sink = {"name": "ci", "type": self.kind, "timeout": "10s", **OWN[self.kind](url), **more}
        lines = [f"{key} = {toml(value)}" for key, value in sink.items() if value is not None]
        self.config.write_text("\n".join(['registry.tracking_uri = "http://registry"', "[[sinks]]", *lines]))
        return load_settings(self.config)

    async def attempt(self, settings: Settings) -> tuple[str, bytes]:
        async with owned_state(settings) as state:
            await state.commit_poll(commit(transition()))
            metrics = Metrics(state.summaries, state.conditions, SystemClock())
            async with wired(settings, state, metrics) as app:
                await app.relay.load()
                await app.relay.drain_due(float("inf"))
            (entry,) = state.entries()
            assert entry.attempts >= 1
            assert entry.status.value != "delivered"
            seen = render(take_snapshot(settings, state, Probes(SystemClock(), 60.0))).decode()
            return repr(entry), metrics.render() + unescape(seen).encode()

    def files(self) -> str:
        found = [path for path in (self.folder / "state").rglob("*") if path.is_file()]
        assert found
        return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in found)

    def command(self, *arguments: str) -> None:
        cli.main([*arguments, "--config", str(self.config)], standalone_mode=False)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


@pytest.fixture(autouse=True)
def _packages_are_searched_once(monkeypatch) -> None:
    """Each command looks for kinds of sinks in all installed packages: most of the time of so many."""
    monkeypatch.setattr(entry_points, "entry_points", cache(importlib.metadata.entry_points))


@pytest.fixture
def style(kind, failure, secret):
    """Log in one style or the other; every failure and every secret meets both."""
    number = list(FAILURES).index(failure) + list(SECRETS).index(secret) + sorted(OWN).index(kind)
    style = ("console", "json")[number % 2]
    configure("debug", style)
    yield style
    structlog.reset_defaults()
    logging.basicConfig(force=True)


def test_every_kind_of_sink_is_tried() -> None:
    assert set(OWN) == set(KINDS)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("kind", sorted(OWN))
@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_shows_whatever_goes_wrong(
    kind, failure, secret, style, tmp_path, monkeypatch, capsys
) -> None:
    world = World(tmp_path, kind, SECRETS[secret], monkeypatch, turn=style == "json")

    with FAILURES[failure](world) as (url, more):
        settings = world.settings(url, more)
        entry, metrics = asyncio.run(world.attempt(settings))
        world.command("status")
        world.command("status", "--output", "json")
        world.command("outbox", "show", "1")
        world.command("outbox", "list", "--output", "json")
        world.command("check")

    assert_hidden(world, spellings(world.secret), entry, metrics, capsys)


def assert_hidden(world: World, hidden: list[str], entry: str, metrics: bytes, capsys) -> None:
    shown = capsys.readouterr()
    assert "delivery." in shown.err, "nothing was logged"
    assert '"last_detail"' in shown.out
    text = f"{entry}\n{shown.out}\n{shown.err}\n{metrics.decode()}\n{world.files()}"
    for spelled in hidden:
        assert spelled not in text
    for line in world.secret.splitlines():
        assert line[:12] not in text


SIGNING = {
    "databricks": "ghp_0aB/c+D=e",
    "github": "it's\"q\\u%41/&lt;b+c",
    "standard": "whsec_" + b64encode(bytes(range(200, 230))).decode(),
}
"""A secret for each signature beside the usual one; in one of Standard Webhooks the base64 is the secret."""


@pytest.mark.parametrize("failure", ["400 echoes", "500 is cut", "redirect", "header", "fault in rendering"])
@pytest.mark.parametrize("signature", SIGNING)
@pytest.mark.parametrize("kind", ["http"])
@pytest.mark.parametrize("secret", ["usual"])
def test_no_secret_that_signs_shows_whatever_goes_wrong(
    failure, signature, style, tmp_path, monkeypatch, capsys
) -> None:
    world = World(tmp_path, "http", SIGNING[signature], monkeypatch, turn=style == "json")

    with FAILURES[failure](world) as (url, more):
        settings = world.settings(url, {**more, "signature": signature})
        entry, metrics = asyncio.run(world.attempt(settings))
        world.command("status", "--output", "json")
        world.command("check")

    hidden = [*spellings(world.secret), *spellings(world.secret.removeprefix("whsec_"))]
    assert_hidden(world, hidden, entry, metrics, capsys)


APP = {"id": 123, "installation": 456, "private_key": {"file": "secret"}}
CREDENTIALS = {
    "github_dispatch": {"app": APP, "token": None},
    "github_workflow": {"app": APP, "token": None},
    "http": {
        "basic_auth": {"username": {"file": "user"}, "password": {"file": "user"}},
        "headers": {"X-Key": {"file": "user"}},
        "secret": None,
        "query": None,
    },
}


@pytest.mark.parametrize(
    "failure", sorted(FAILURES.keys() - {"header", "missing secret", "fault in rendering"})
)
@pytest.mark.parametrize("kind", CREDENTIALS)
@pytest.mark.parametrize("secret", ["usual"])
def test_no_key_of_an_app_and_no_credential_shows(
    kind, failure, secret, style, tmp_path, monkeypatch, capsys
) -> None:
    key = app_key() if "app" in CREDENTIALS[kind] else SECRETS[secret]
    world = World(tmp_path, kind, key, monkeypatch, turn=style == "json")
    (tmp_path / "user").write_text(SECRETS[secret])

    with FAILURES[failure](world) as (url, more):
        settings = world.settings(url, {**CREDENTIALS[kind], **more})
        entry, metrics = asyncio.run(world.attempt(settings))
        world.command("status", "--output", "json")

    assert_hidden(world, spellings(SECRETS[secret]), entry, metrics, capsys)


@pytest.mark.parametrize("failure", sorted(FAILURES.keys() - {"header", "fault in rendering"}))
@pytest.mark.parametrize("auth", ["basic", "post"])
@pytest.mark.parametrize("kind", ["http"])
@pytest.mark.parametrize("secret", ["usual", "quoted"])
def test_no_secret_of_a_client_shows_whatever_goes_wrong_where_tokens_are_asked_for(
    failure, auth, secret, style, tmp_path, monkeypatch, capsys
) -> None:
    world = World(tmp_path, "http", SECRETS[secret], monkeypatch, turn=style == "json")

    with FAILURES[failure](world) as (url, more):
        client = {"token_url": f"{url}/token", "client_id": "bridge", "client_secret": {"file": "secret"}}
        own = {"secret": None, "query": None, "oauth2": {**client, "auth": auth}}
        entry, metrics = asyncio.run(world.attempt(world.settings(url, {**own, **more})))
        world.command("status", "--output", "json")
        world.command("check")

    form = quote_plus(world.secret)
    assert "access token from" in entry or failure == "missing secret"
    assert_hidden(world, [*spellings(world.secret), *spellings(form)], entry, metrics, capsys)


@pytest.mark.parametrize(
    "failure", sorted(FAILURES.keys() - {"header", "missing secret", "fault in rendering"})
)
@pytest.mark.parametrize("kind", ["http"])
@pytest.mark.parametrize("secret", ["usual"])
def test_no_access_token_shows_whatever_goes_wrong(
    failure, secret, style, tmp_path, monkeypatch, capsys
) -> None:
    world = World(tmp_path, "http", SECRETS[secret], monkeypatch, turn=style == "json")
    (tmp_path / "client").write_text("client-secret")
    server = TokenServer("bridge", "client-secret")
    server.always = world.secret

    with FAILURES[failure](world) as (url, more), answering(server) as (token_url, _):
        client = {"token_url": token_url, "client_id": "bridge", "client_secret": {"file": "client"}}
        own = {"secret": None, "query": None, "oauth2": client}
        entry, metrics = asyncio.run(world.attempt(world.settings(url, {**own, **more})))
        world.command("status", "--output", "json")

    assert server.given or failure in {"unusable files", "forbidden target", "no such name"}
    assert_hidden(world, [*spellings(world.secret), "client-secret"], entry, metrics, capsys)


@cache
def app_key() -> str:
    key = rsa.generate_private_key(65_537, 2_048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()
