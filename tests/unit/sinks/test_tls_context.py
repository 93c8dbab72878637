"""TLS over real sockets: who is trusted, who is not, and what happens to files that change."""

import asyncio
import os
import ssl
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.receiver import Answer, RawReceiver
from support.tls import DAY, Authority, TlsReceiver
from support.until import eventually

from bridge.config import Access, TlsSettings
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.errors import AuthorityUnavailable, SecretUnavailable
from bridge.sinks.base import Request, Response
from bridge.sinks.transport.client_cache import LazyTransport
from bridge.sinks.transport.tls_context import context_of


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def receiver(authority):
    receiver = TlsReceiver(*authority.issue("server", "127.0.0.1", "localhost"))
    yield receiver
    receiver.stop()


def access(**files) -> Access:
    tls = TlsSettings(**{key: str(path) for key, path in files.items()})
    return Access(tls=tls, tls_key="sinks.ci.tls")


def request(url: str) -> Request:
    return Request(f"{url}/hook", {}, b"{}", 10_000)


async def post(url: str, **files) -> Response | Outcome:
    async with LazyTransport() as transport:
        return await transport.through(access(**files)).post(request(url))


def assert_distrusted(got: Response | Outcome, why: str = "CERTIFICATE_VERIFY_FAILED") -> None:
    assert isinstance(got, Outcome), got
    assert (got.verdict, got.reason) == (Verdict.RETRYABLE, Reason.TLS)
    assert why in got.detail


async def test_an_authority_of_ones_own_is_trusted_where_it_is_named(authority, receiver) -> None:
    got = await post(receiver.url, ca_file=authority.ca_file)

    assert isinstance(got, Response), got
    assert got.status == 204


async def test_a_handshake_that_never_ends_holds_up_no_other(authority, receiver) -> None:
    silent = RawReceiver(b"", hang=60)
    async with LazyTransport() as transport:
        way = transport.through(access(ca_file=authority.ca_file))
        url = silent.url.rstrip("/").replace("http:", "https:")
        waiting = [asyncio.create_task(way.post(replace(request(url), timeout_ms=500))) for _ in range(30)]
        assert isinstance(await way.post(request(receiver.url)), Response)
        outcomes = await asyncio.gather(*waiting)
    silent.stop()

    assert {one.reason for one in outcomes if isinstance(one, Outcome)} == {Reason.TIMEOUT}


async def test_without_it_the_same_server_is_refused_before_anything_is_sent(receiver) -> None:
    assert_distrusted(await post(receiver.url))
    assert receiver.came == 0


async def test_another_authority_does_not_help(tmp_path, receiver) -> None:
    other = Authority(tmp_path, "other")

    assert_distrusted(await post(receiver.url, ca_file=other.ca_file))


def test_a_named_authority_stands_instead_of_the_systems(authority) -> None:
    context = context_of(TlsSettings(ca_file=str(authority.ca_file)), "tls")

    assert [dict(part[0] for part in ca["subject"]) for ca in context.get_ca_certs()] == [
        {"commonName": "authority"}
    ]


async def test_a_certificate_for_another_name_is_refused(authority) -> None:
    receiver = TlsReceiver(*authority.issue("elsewhere", "elsewhere.example.com"))

    got = await post(receiver.url, ca_file=authority.ca_file)

    receiver.stop()
    assert_distrusted(got, "IP address mismatch")


async def test_a_certificate_that_expired_is_refused(authority) -> None:
    receiver = TlsReceiver(*authority.issue("old", "127.0.0.1", until=datetime.now(UTC) - DAY))

    got = await post(receiver.url, ca_file=authority.ca_file)

    receiver.stop()
    assert_distrusted(got, "certificate has expired")


def test_tls_1_2_is_the_least_and_verification_cannot_be_switched_off(authority) -> None:
    for tls in (TlsSettings(), TlsSettings(ca_file=str(authority.ca_file))):
        context = context_of(tls, "tls")
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert set(TlsSettings.model_fields) == {"ca_file", "client_cert", "client_key"}


async def test_a_server_that_speaks_only_tls_1_1_is_refused(authority, receiver) -> None:
    receiver.context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match=r"TLSv1_1 is deprecated"):
        receiver.context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match=r"TLSv1_1 is deprecated"):
        receiver.context.maximum_version = ssl.TLSVersion.TLSv1_1

    assert_distrusted(await post(receiver.url, ca_file=authority.ca_file), "no secure connection")


@pytest.fixture
def demanding(authority):
    cert, key = authority.issue("server", "127.0.0.1")
    receiver = TlsReceiver(cert, key, clients=authority.ca_file)
    yield receiver
    receiver.stop()


async def test_a_server_that_demands_it_gets_the_clients_certificate(authority, demanding) -> None:
    cert, key = authority.issue("bridge")

    got = await post(demanding.url, ca_file=authority.ca_file, client_cert=cert, client_key=key)

    assert isinstance(got, Response), got


async def test_certificate_and_key_may_share_a_file(authority, demanding, tmp_path) -> None:
    cert, key = authority.issue("bridge")
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())

    got = await post(demanding.url, ca_file=authority.ca_file, client_cert=both)

    assert isinstance(got, Response), got


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_without_the_certificate_is_told_so(authority, demanding, version) -> None:
    demanding.context.maximum_version = version

    got = await post(demanding.url, ca_file=authority.ca_file)

    assert_distrusted(got, "no secure connection")
    assert demanding.came == 0


async def test_a_client_with_a_strangers_certificate_is_refused(authority, demanding, tmp_path) -> None:
    cert, key = Authority(tmp_path, "stranger").issue("bridge")

    got = await post(demanding.url, ca_file=authority.ca_file, client_cert=cert, client_key=key)

    assert_distrusted(got, "no secure connection")


def break_files(folder, authority) -> dict[str, dict[str, str]]:
    cert, key = authority.issue("bridge")
    _, others = authority.issue("other")
    _, sealed = authority.issue("sealed", password=b"x")
    (folder / "junk").write_text("no certificate")
    (folder / "empty").touch()
    pair = {"client_cert": str(cert), "client_key": str(key)}
    return {
        "no ca": {"ca_file": str(folder / "none.pem")},
        "folder for ca": {"ca_file": str(folder)},
        "junk for ca": {"ca_file": str(folder / "junk")},
        "empty ca": {"ca_file": str(folder / "empty")},
        "no cert": {**pair, "client_cert": str(folder / "none.crt")},
        "no key": {**pair, "client_key": str(folder / "none.key")},
        "another's key": {**pair, "client_key": str(others)},
        "junk for a key": {**pair, "client_key": str(folder / "junk")},
        "junk for a cert": {**pair, "client_cert": str(folder / "junk")},
        "key with a password": {**pair, "client_key": str(sealed)},
        "cert without its key": {"client_cert": str(cert)},
        "nul": {"ca_file": "a\0b"},
        "nul in a key": {**pair, "client_key": "a\0b"},
    }


BROKEN = {
    "no ca": "ca_file: {none.pem} cannot be read: No such file or directory",
    "folder for ca": "cannot be read: Is a directory",
    "junk for ca": "ca_file: {junk} holds no usable certificate in PEM",
    "empty ca": "ca_file: {empty} holds no usable certificate in PEM",
    "no cert": "client_cert: {none.crt} cannot be read: No such file or directory",
    "no key": "client_key: {none.key} cannot be read: No such file or directory",
    "another's key": "client_key: {other.key} is not the key of the certificate in {bridge.crt}",
    "junk for a key": "client_key: {junk} holds no usable private key in PEM",
    "junk for a cert": "client_cert: {junk} holds no usable certificate in PEM",
    "key with a password": "client_key: {sealed.key} cannot be used: a key must have no password",
    "cert without its key": "client_cert: {bridge.crt} holds no usable private key in PEM",
    "nul": "ca_file: a\0b cannot be used",
    "nul in a key": "client_key: a\0b cannot be used",
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_files_that_cannot_be_used_are_an_outcome_that_names_key_file_and_fault(
    broken, authority, receiver, tmp_path
) -> None:
    files = break_files(tmp_path, authority)[broken]
    expected = BROKEN[broken].replace("{", f"{tmp_path}/").replace("}", "")

    got = await post(receiver.url, **files)

    assert isinstance(got, Outcome), got
    reason = Reason.TLS if list(files) == ["ca_file"] else Reason.SECRET
    assert (got.verdict, got.reason) == (Verdict.RETRYABLE, reason)
    assert got.detail.startswith("sinks.ci.tls.")
    assert expected in got.detail
    with pytest.raises((AuthorityUnavailable, SecretUnavailable)):
        context_of(TlsSettings(**files), "tls")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_key_that_may_not_be_read_is_an_outcome(authority, receiver) -> None:
    cert, key = authority.issue("bridge")
    key.chmod(0)

    got = await post(receiver.url, client_cert=cert, client_key=key)

    assert isinstance(got, Outcome), got
    assert "client_key" in got.detail
    assert "Permission denied" in got.detail


async def test_a_changed_authority_is_taken_up_by_the_next_delivery(authority, receiver, tmp_path) -> None:
    file = tmp_path / "trusted.pem"
    file.write_bytes(Authority(tmp_path, "before").pem)
    async with LazyTransport() as transport:
        way = transport.through(access(ca_file=file))
        assert_distrusted(await way.post(request(receiver.url)))

        file.with_suffix(".new").write_bytes(authority.pem)
        file.with_suffix(".new").replace(file)

        assert isinstance(await way.post(request(receiver.url)), Response)


async def test_a_withdrawn_authority_is_distrusted_though_a_connection_was_kept(
    authority, receiver, tmp_path
) -> None:
    file = tmp_path / "trusted.pem"
    file.write_bytes(authority.pem)
    async with LazyTransport() as transport:
        way = transport.through(access(ca_file=file))
        for _ in range(3):
            assert isinstance(await way.post(request(receiver.url)), Response)
        assert receiver.connections == 1

        file.write_bytes(Authority(tmp_path, "after").pem)

        assert_distrusted(await way.post(request(receiver.url)))


async def test_a_rotation_that_is_half_done_is_an_outcome_and_then_mends_itself(
    authority, demanding, tmp_path
) -> None:
    cert, key = authority.issue("bridge")
    files = {"ca_file": authority.ca_file, "client_cert": cert, "client_key": key}
    async with LazyTransport() as transport:
        way = transport.through(access(**files))
        assert isinstance(await way.post(request(demanding.url)), Response)
        new_cert, new_key = authority.issue("next")

        new_cert.replace(cert)
        half = await way.post(request(demanding.url))
        new_key.replace(key)

        assert isinstance(half, Outcome)
        assert "is not the key of" in half.detail
        assert isinstance(await way.post(request(demanding.url)), Response)


async def test_a_rotation_lets_answers_under_way_come_in(authority, receiver, tmp_path) -> None:
    file = tmp_path / "trusted.pem"
    file.write_bytes(authority.pem)
    receiver.answer = Answer(200, delay=0.5)
    async with LazyTransport() as transport:
        way = transport.through(access(ca_file=file))
        first = asyncio.create_task(way.post(request(receiver.url)))
        await eventually(lambda: receiver.came == 1)
        file.write_bytes(authority.pem + authority.pem)

        second = await way.post(request(receiver.url))

        assert isinstance(await first, Response)
        assert isinstance(second, Response)
        assert (receiver.connections, transport._outdated) == (2, set())


async def test_equal_tables_share_their_connections_and_different_ones_do_not(authority, receiver) -> None:
    cert, key = authority.issue("bridge")
    trusting = access(ca_file=authority.ca_file)
    same = Access(tls=trusting.tls, tls_key="sinks.other.tls")
    another = access(ca_file=authority.ca_file, client_cert=cert, client_key=key)
    async with LazyTransport() as transport:
        for one in (trusting, same, trusting):
            assert isinstance(await transport.through(one).post(request(receiver.url)), Response)
        assert receiver.connections == 1

        assert isinstance(await transport.through(another).post(request(receiver.url)), Response)
        assert receiver.connections == 2
