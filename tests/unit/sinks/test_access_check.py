"""What `check` and the start say about reaching sinks, before anything is sent."""

import json

import pytest
import structlog
from support.tls import Authority, TlsReceiver
from support.values import commit, transition

from bridge.app import wired
from bridge.cli.command_group import cli
from bridge.config import TlsSettings, access_of
from bridge.config.file_loading import build
from bridge.delivery.allowed_destinations import Targets
from bridge.errors import ConfigurationError
from bridge.operations.verified_configuration import load_settings
from bridge.pipeline.metrics_observer import NullObserver
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments

HTTPS = "https://ci.example.com"


@pytest.fixture
def configured(tmp_path):
    """Write a configuration in which each sink's ``name`` has a URL and more lines."""

    def write(*sinks: tuple[str, str], delivery: str = ""):
        parts = ['registry.tracking_uri = "http://127.0.0.1:5000"', "[delivery]", delivery]
        for number, (url, more) in enumerate(sinks):
            parts += ["[[sinks]]", f'name = "s{number}"', 'type = "http"', f'url = "{url}"', more]
        path = tmp_path / "config.toml"
        path.write_text("\n".join(parts))
        return path

    return write


def check(path, capsys) -> tuple[int, list[str]]:
    code = cli.main(["check", "--config", str(path)], standalone_mode=False)
    return code, capsys.readouterr().err.splitlines()


async def warnings_at_start(path) -> list[dict]:
    with structlog.testing.capture_logs() as logs:
        async with wired(load_settings(path), DocumentState(MemoryDocuments()), NullObserver()):
            pass
    return [{k: v for k, v in log.items() if k != "log_level"} for log in logs]


def test_an_https_sink_gives_no_cause_to_say_anything(configured, capsys) -> None:
    assert check(configured((HTTPS, ""), ("http://127.0.0.1:1", ""), ("http://localhost", "")), capsys) == (
        0,
        [],
    )


async def test_plain_http_beyond_this_machine_is_warned_about_once_a_sink(configured, capsys) -> None:
    path = configured((HTTPS, ""), ("http://ci.example.com:8080/secret-path", ""), ("http://10.0.0.1", ""))

    code, lines = check(path, capsys)

    warning = "mlflow-bridge: warning: sinks.s{}: what is sent to {} is not encrypted: use https"
    assert code == 0
    assert lines == [warning.format(1, "http://ci.example.com:8080"), warning.format(2, "http://10.0.0.1")]
    assert await warnings_at_start(path) == [
        {"event": "sink.plain_http", "sink": "s1", "to": "http://ci.example.com:8080"},
        {"event": "sink.plain_http", "sink": "s2", "to": "http://10.0.0.1"},
    ]


def client(token_url: str) -> str:
    return f'oauth2 = {{ token_url = "{token_url}", client_id = "x", client_secret = {{ env = "NO_SUCH" }} }}'


async def test_a_token_endpoint_is_judged_as_what_is_delivered_to(configured, capsys) -> None:
    plain = client("http://id.example.com/token")
    path = configured((HTTPS, plain), ("http://id.example.com", plain), (HTTPS, client("http://127.0.0.1/t")))

    code, lines = check(path, capsys)

    warning = (
        "mlflow-bridge: warning: sinks.{}: what is sent to http://id.example.com is not encrypted: use https"
    )
    assert (code, lines) == (0, [warning.format("s0"), warning.format("s1")])
    logs = [log for log in await warnings_at_start(path) if log["event"] == "sink.plain_http"]
    assert [(log["sink"], log["to"]) for log in logs] == [
        ("s0", "http://id.example.com"),
        ("s1", "http://id.example.com"),
    ]


def test_a_token_endpoint_that_no_list_allows_is_an_error(configured, capsys) -> None:
    path = configured(
        (HTTPS, client("https://id.example.org/t")), delivery='allowed_hosts = ["ci.example.com"]'
    )

    assert check(path, capsys) == (
        78,
        [
            "mlflow-bridge: delivery.allowed_hosts: allows no id.example.org, where the sink 's0' asks for tokens",
        ],
    )


async def test_files_that_cannot_be_used_are_one_error_even_if_they_concern_many(
    configured, capsys, tmp_path
) -> None:
    cert, _ = Authority(tmp_path).issue("bridge")
    own = f'tls = {{ client_cert = "{cert.name}", client_key = "none.key" }}'
    path = configured((HTTPS, ""), (HTTPS, ""), (HTTPS, own), delivery='tls = { ca_file = "none.pem" }')

    code, lines = check(path, capsys)

    assert code == 78
    assert lines == [
        f"mlflow-bridge: delivery.tls.ca_file: {tmp_path}/none.pem cannot be read: No such file or directory",
        f"mlflow-bridge: sinks.s2.tls.client_key: {tmp_path}/none.key cannot be read: No such file or directory",
    ]
    assert [(log["event"], log["sink"]) for log in await warnings_at_start(path)] == [
        ("sink.unreachable", f"s{number}") for number in range(3)
    ]


def test_files_that_are_right_are_no_error(configured, capsys, tmp_path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("bridge")
    tls = {"ca_file": authority.ca_file.name, "client_cert": cert.name, "client_key": key.name}
    table = ", ".join(f"{name} = {json.dumps(value)}" for name, value in tls.items())

    assert check(configured((HTTPS, f"tls = {{ {table} }}")), capsys) == (0, [])


def test_a_url_that_its_list_can_never_allow_is_an_error(configured, capsys) -> None:
    everywhere = 'allowed_hosts = ["*.example.org", "EX.example.org"]'
    path = configured((HTTPS, ""), (HTTPS, 'allowed_hosts = ["10.0.0.0/8"]'), delivery=everywhere)

    code, lines = check(path, capsys)

    assert (code, lines) == (
        78,
        ["mlflow-bridge: delivery.allowed_hosts: allows no ci.example.com, where the sink 's0' delivers to"],
    )


async def test_deliveries_go_out_as_the_configuration_says(configured, tmp_path) -> None:
    authority = Authority(tmp_path)
    receiver = TlsReceiver(*authority.issue("server", "127.0.0.1"), clients=authority.ca_file)
    authority.issue("bridge")
    mutual = 'tls = { ca_file = "authority.pem", client_cert = "bridge.crt", client_key = "bridge.key" }'
    elsewhere = 'allowed_hosts = ["10.0.0.0/8"]'
    path = configured(
        (receiver.url, ""), (receiver.url, "tls = {}"), (receiver.url, elsewhere), delivery=mutual
    )
    state = DocumentState(MemoryDocuments())
    await state.commit_poll(commit(transition(), sinks=("s0", "s1", "s2")))

    async with wired(load_settings(path), state, NullObserver()) as app:
        await app.relay.load()
        await app.relay.drain_due(float("inf"))

    receiver.stop()
    reasons = {entry.sink: entry.reason for entry in state.entries()}
    assert reasons == {"s0": "ok", "s1": "tls", "s2": "misconfigured"}
    assert (len(receiver.got), receiver.connections) == (1, 2)


REGISTRY = {"registry": {"tracking_uri": "http://127.0.0.1:5000"}}
SINK = {"name": "ci", "type": "http", "url": HTTPS}


def access(delivery: dict, **own):
    settings = build({**REGISTRY, "delivery": delivery, "sinks": [{**SINK, **own}]}, SETTINGS)
    return access_of(settings.sinks[0], settings.delivery)


def test_a_sinks_table_and_list_stand_in_place_of_the_defaults_as_a_whole() -> None:
    delivery = {"tls": {"ca_file": "/a"}, "allowed_hosts": ["a.example.com"]}

    shared = access(delivery)
    own = access(delivery, tls={"client_cert": "/b"}, allowed_hosts=["::1"])
    none = access(delivery, tls={})

    assert (shared.tls, shared.targets) == (TlsSettings(ca_file="/a"), Targets.of(["a.example.com"]))
    assert (shared.tls_key, shared.hosts_key) == ("delivery.tls", "delivery.allowed_hosts")
    assert (own.tls, own.targets) == (TlsSettings(client_cert="/b"), Targets.of(["::1"]))
    assert (own.tls_key, own.hosts_key) == ("sinks.ci.tls", "sinks.ci.allowed_hosts")
    assert none.tls == TlsSettings()
    assert access({}).targets is None


def test_files_begin_at_the_folder_of_the_configuration(configured, tmp_path) -> None:
    tls = 'tls = { ca_file = "ca.pem", client_cert = "/abs/c.crt", client_key = "k/c.key" }'

    found = load_settings(configured((HTTPS, tls))).sinks[0].tls

    assert found is not None
    assert found.files == (f"{tmp_path}/ca.pem", "/abs/c.crt", f"{tmp_path}/k/c.key")


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ({"tls": {"ca_fil": "x"}}, "sinks[0].tls.ca_fil: unknown key (did you mean 'ca_file'?)"),
        (
            {"tls": {"verify": False}},
            "sinks[0].tls.verify: unknown key: one of ca_file, client_cert, client_key",
        ),
        (
            {"tls": {"client_key": "x"}},
            "sinks[0].tls: client_key is of no use without client_cert: give both",
        ),
        ({"tls": "/ca.pem"}, "sinks[0].tls: must be a table"),
        ({"tls": {"ca_file": ""}}, "sinks[0].tls.ca_file: must not be empty"),
        ({"allowed_hosts": []}, "sinks[0].allowed_hosts: must not be empty"),
        ({"allowed_hosts": "ci.example.com"}, "sinks[0].allowed_hosts: must be a list"),
        (
            {"allowed_hosts": ["::1", "10.0.0.1/8"]},
            "sinks[0].allowed_hosts[1]: is no network, but an address in one",
        ),
        (
            {"allowed_hosts": ["https://h"]},
            'sinks[0].allowed_hosts[0]: must be a host such as "ci.example.com"',
        ),
    ],
)
def test_what_is_wrong_with_a_table_or_a_list_is_said_with_its_key(own, problem) -> None:
    with pytest.raises(ConfigurationError) as caught:
        access({}, **own)

    (line,) = caught.value.problems
    assert line.startswith(problem)
