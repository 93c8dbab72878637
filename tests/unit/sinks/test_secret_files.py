"""Files of secrets and certificates on a mount that hangs: they hold up their own sink alone, and no exit.

A pipe that nobody writes to hangs as such a mount does: whoever opens it waits.
"""

import asyncio
import os
import subprocess
import sys
import threading

import pytest
import structlog
from support.patience import patience
from support.sinks import DELIVERY, settings_of
from support.tls import Authority, TlsReceiver
from support.until import eventually, wait_until
from support.values import commit, transition

from bridge import app as app_module
from bridge.app import wired
from bridge.config import Access, Secret, TlsSettings
from bridge.config.preloaded_secrets import readings_known
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.errors import SecretUnavailable
from bridge.operations.verified_configuration import load_settings
from bridge.pipeline.metrics_observer import NullObserver
from bridge.server.certificate_expiry_metrics import Certificates
from bridge.sinks.base import Request, Response
from bridge.sinks.sink_type_table import sink_of
from bridge.sinks.transport.client_cache import LazyTransport
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments


@pytest.fixture
def pipe(tmp_path):
    """A pipe that nobody writes to, until the test is over."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    before = threading.active_count()
    yield path
    wait_until(lambda: _written(path) and threading.active_count() <= before + 1)


def _written(path) -> bool:
    """Let whoever waits at a pipe read a line, and its end."""
    writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    os.write(writer, b"late\n")
    os.close(writer)
    return True


def kinds(file: str, url: str) -> dict[str, tuple[str, str, dict]]:
    """Return sinks of every kind, with the key of their secret in ``file``."""
    secret = {"file": file}
    here = {"url": f"{url}/hook"}
    oauth2 = {"token_url": f"{url}/token", "client_id": "c", "client_secret": secret}
    github = {"api_url": url, "repository": "acme/deploy"}
    jenkins = {"url": url, "job": "deploy", "username": "u"}
    return {
        "signature": ("http", "secret", {**here, "secret": secret}),
        "second signature": ("http", "secret[0]", {**here, "signature": "standard", "secret": [secret]}),
        "bearer": ("http", "bearer", {**here, "bearer": secret}),
        "password": ("http", "basic_auth.password", {**here, "basic_auth": {"username": "u", "password": secret}}),
        "header": ("http", "headers.X-Key", {**here, "headers": {"X-Key": secret}}),
        "query": ("http", "query.key", {**here, "query": {"key": secret}}),
        "client": ("http", "oauth2.client_secret", {**here, "oauth2": oauth2}),
        "github": ("github_dispatch", "token", {**github, "event_type": "x", "token": secret}),
        "workflow": ("github_workflow", "token", {**github, "workflow": "a.yml", "ref": "main", "token": secret}),
        "app": (
            "github_dispatch",
            "app.private_key",
            {**github, "event_type": "x", "app": {"id": 1, "installation": 2, "private_key": secret}},
        ),
        "gitlab": ("gitlab_pipeline", "token", {"url": url, "project": "a/b", "ref": "main", "token": secret}),
        "jenkins": ("jenkins_job", "token", {**jenkins, "token": secret}),
    }  # fmt: skip


@pytest.mark.parametrize("where", kinds("", ""))
async def test_a_secret_that_cannot_be_read_is_worth_another_try_and_blocks_nothing(
    where, pipe, receiver
) -> None:
    kind, key, own = kinds(str(pipe), receiver.url)[where]
    async with LazyTransport() as transport:
        sink = sink_of(settings_of(kind, **own), transport, 300)
        healthy = sink_of(settings_of("http", url=f"{receiver.url}/hook"), transport, 20_000)
        waiting = [asyncio.create_task(sink.deliver(DELIVERY)) for _ in range(20)]
        assert (await healthy.deliver(DELIVERY)).verdict is Verdict.DELIVERED
        outcomes = await asyncio.gather(*waiting)

    assert {(one.verdict, one.reason) for one in outcomes} == {(Verdict.RETRYABLE, Reason.SECRET)}
    assert outcomes[0].detail.startswith(f"sinks.ci.{key}: file {pipe} cannot be read within 0.3 s")
    assert sum(one.name == "secret file" for one in threading.enumerate()) == 1
    assert receiver.came == 1


async def test_a_secret_that_comes_after_a_while_is_used(pipe, receiver) -> None:
    async with LazyTransport() as transport:
        sink = sink_of(
            settings_of("http", url=f"{receiver.url}/hook", bearer={"file": str(pipe)}), transport, 60_000
        )
        waiting = asyncio.create_task(sink.deliver(DELIVERY))
        await eventually(lambda: any(one.name == "secret file" for one in threading.enumerate()))
        writer = os.open(pipe, os.O_WRONLY)
        os.write(writer, b"t0k\n")
        os.close(writer)

        assert (await waiting).verdict is Verdict.DELIVERED
    assert receiver.got[0].headers["authorization"] == "Bearer t0k"


async def test_each_attempt_reads_the_files_anew(tmp_path, receiver) -> None:
    file = tmp_path / "token"
    async with LazyTransport() as transport:
        sink = sink_of(
            settings_of("http", url=f"{receiver.url}/hook", bearer={"file": str(file)}), transport, 9_000
        )
        missing = await sink.deliver(DELIVERY)
        for token in ("one", "two"):
            file.write_text(f"{token}\n")
            await sink.deliver(DELIVERY)

    assert missing.reason is Reason.SECRET
    assert missing.detail.startswith(f"sinks.ci.bearer: file {file} cannot be read")
    assert [got.headers["authorization"] for got in receiver.got] == ["Bearer one", "Bearer two"]


def test_a_reading_holds_for_its_context_alone(monkeypatch) -> None:
    monkeypatch.setenv("KEY", "now")
    secret, other = Secret(env="KEY"), Secret(env="OTHER")

    with readings_known({secret: "then", other: SecretUnavailable("none")}):
        assert secret.read() == "then"
        with pytest.raises(SecretUnavailable, match="none"):
            other.read()
    assert secret.read() == "now"


async def test_files_of_tls_that_cannot_be_read_hold_up_their_own_access_alone(
    pipe, receiver, tmp_path
) -> None:
    authority = Authority(tmp_path)
    secure = TlsReceiver(*authority.issue("server", "127.0.0.1"))
    good = Access(tls=TlsSettings(ca_file=str(authority.ca_file)))
    bad = Access(tls=TlsSettings(ca_file=str(pipe)), tls_key="sinks.ci.tls")
    async with LazyTransport() as transport:
        late = [asyncio.create_task(transport.through(bad).post(request(secure.url, 400))) for _ in range(20)]
        plain = await transport.post(request(receiver.url))
        trusted = await transport.through(good).post(request(secure.url))
        outcomes = await asyncio.gather(*late)
    secure.stop()

    assert (isinstance(plain, Response), isinstance(trusted, Response)) == (True, True)
    assert {one.reason for one in outcomes if isinstance(one, Outcome)} == {Reason.TLS}
    assert getattr(outcomes[0], "detail", "") == f"sinks.ci.tls: a file ({pipe}) cannot be read within 0.4 s"
    assert sum(one.name == "tls files" for one in threading.enumerate()) == 1


def request(url: str, timeout_ms: int = 30_000) -> Request:
    return Request(f"{url}/hook", {}, b"{}", timeout_ms)


def test_metrics_are_told_though_a_certificate_cannot_be_read(pipe, tmp_path) -> None:
    authority = Authority(tmp_path)
    tls = {
        "good": TlsSettings(ca_file=str(authority.ca_file)),
        "bad": TlsSettings(ca_file=str(pipe)),
    }
    certificates = Certificates(lambda: {"good": tls["good"]})
    known = next(iter(certificates.collect())).samples
    certificates._tls = lambda: tls

    for _ in range(30):
        assert next(iter(certificates.collect())).samples == known
    assert [one.labels["sink"] for one in known] == ["good"]
    assert sum(one.name == "certificates" for one in threading.enumerate()) == 1


CONFIGURATION = """
registry.tracking_uri = "http://127.0.0.1:5000"
sinks = [
  {{ name = "odd", type = "http", url = "{url}/odd", bearer = {{ file = "{pipe}" }}, timeout = "100ms" }},
  {{ name = "odder", type = "http", url = "{url}/odd", tls = {{ ca_file = "{pipe}" }}, timeout = "100ms" }},
  {{ name = "ci", type = "http", url = "{url}/hook" }},
]
"""


async def test_they_keep_nothing_from_starting_and_no_other_sink_from_delivering(
    pipe, receiver, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(app_module, "_FILES_S", 0.2)
    path = tmp_path / "config.toml"
    path.write_text(CONFIGURATION.format(url=receiver.url, pipe=pipe))
    state = DocumentState(MemoryDocuments())
    await state.commit_poll(commit(transition(), sinks=("odd", "odder", "ci")))

    with structlog.testing.capture_logs() as logs:
        async with wired(load_settings(path), state, NullObserver()) as app:
            await app.relay.load()
            await app.relay.drain_due(app.clock.monotonic() + 10)

    told = [(log["sink"], log["error"]) for log in logs if log["event"] == "sink.unreachable"]
    why = "its files of secrets or certificates cannot be read within 0.2 s"
    assert told == [("odd", why), ("odder", why)]
    assert [got.path for got in receiver.got] == ["/hook"]
    reasons = {entry.sink: entry.reason for entry in state.entries()}
    assert reasons["odd"] == "secret"
    assert reasons["odder"] == "tls"


EXIT = """
import asyncio, sys
from bridge.config import SinkSettings
from bridge.sinks.sink_type_table import SETTINGS, sink_of
from bridge.sinks.transport.client_cache import LazyTransport
sys.path.insert(0, "tests")
from support.sinks import DELIVERY

async def main():
    async with LazyTransport() as way:
        own = {"name": "ci", "type": "http", "url": "http://127.0.0.1:1/", "bearer": {"file": sys.argv[1]}}
        print((await sink_of(SETTINGS["http"].model_validate(own), way, 200).deliver(DELIVERY)).reason.value)

asyncio.run(main())
"""


def test_the_process_ends_while_a_file_hangs(pipe) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXIT, pipe], capture_output=True, text=True, timeout=patience(), check=True
    )

    assert done.stdout == "secret\n"
