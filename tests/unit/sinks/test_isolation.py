"""Nothing of one request reaches another: no cookie, no credential of a file, no session, no redirect that was seen."""

import stat

import pytest
from support.receiver import Answer, Receiver
from support.sinks import DELIVERY, built
from support.tls import Authority, TlsReceiver

from bridge.config import Access, TlsSettings
from bridge.delivery.attempt_outcome import Verdict
from bridge.sinks.base import Request, Response
from bridge.sinks.transport.client_cache import LazyTransport

COOKIE = {"Set-Cookie": "sessionid=of-somebody; Path=/; Max-Age=999"}
STATES: dict[str, dict[str, str]] = {
    "a cookie": COOKIE,
    "a cookie for all ports": {"Set-Cookie": "csrftoken=x; Domain=127.0.0.1"},
    "a cookie of old": {"Set-Cookie2": "a=b; Version=1"},
    "a protection space": {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'},
    "a new place for ever": {"Location": "/elsewhere", "Cache-Control": "max-age=9999"},
    "another service": {"Alt-Svc": 'h2="127.0.0.1:1"; ma=9999'},
    "only in secret from now on": {"Strict-Transport-Security": "max-age=9999"},
    "what to answer again": {"Cache-Control": "max-age=9999", "ETag": '"x"'},
}  # fmt: skip


async def sent_twice(receiver: Receiver, first: Answer) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers that each of two sinks sends to one receiver, after ``first`` was answered to the first."""
    answers = iter([first, Answer(204)])
    receiver.answer = lambda _: next(answers)
    async with LazyTransport() as transport:
        for who in ("alice", "bob"):
            request = Request(f"{receiver.url}/hook", {"Authorization": f"Bearer {who}"}, b"{}", 10_000)
            assert isinstance(await transport.through(Access()).post(request), Response)
    one, other = receiver.got
    assert (one.path, other.path) == ("/hook", "/hook")
    return dict(one.headers), dict(other.headers)


@pytest.mark.parametrize("status", [200, 204, 301, 308, 401, 403, 500])
@pytest.mark.parametrize("state", STATES.values(), ids=list(STATES))
async def test_no_answer_changes_what_the_next_request_is(state, status, receiver) -> None:
    one, other = await sent_twice(receiver, Answer(status, state))

    assert other == {**one, "authorization": "Bearer bob"}


async def test_a_token_endpoints_session_is_not_kept_either(receiver, monkeypatch) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "s3cret")
    token = b'{"access_token": "t", "token_type": "Bearer", "expires_in": 0}'
    server = Receiver(Answer(200, COOKIE, token))
    receiver.answer = Answer(204, COOKIE)
    oauth2 = {"token_url": f"{server.url}/token", "client_id": "c", "client_secret": {"env": "CLIENT_SECRET"}}
    async with LazyTransport() as transport:
        for _ in range(2):
            sink = built("http", transport, url=f"{receiver.url}/hook", oauth2=oauth2)
            assert (await sink.deliver(DELIVERY)).verdict is Verdict.DELIVERED
            assert (await sink.deliver(DELIVERY)).verdict is Verdict.DELIVERED
    server.stop()

    assert [got.headers.get("cookie") for got in (*server.got, *receiver.got)] == [None] * 8


@pytest.fixture(params=["~/.netrc", "NETRC"])
def netrc(request, tmp_path, monkeypatch):
    path = tmp_path / (".netrc" if request.param == "~/.netrc" else "somewhere")
    path.write_text(
        "machine 127.0.0.1 login stranger password s3cret\ndefault login anyone password s3cret\n"
    )
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    monkeypatch.setenv("HOME", str(tmp_path))
    if request.param == "NETRC":
        monkeypatch.setenv("NETRC", str(path))


@pytest.mark.usefixtures("netrc")
async def test_credentials_of_a_netrc_are_not_sent(receiver, monkeypatch) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "s3cret")
    server = Receiver(Answer(200, {}, b'{"access_token": "t"}'))
    oauth2 = {
        "token_url": f"{server.url}/token",
        "client_id": "c",
        "client_secret": {"env": "CLIENT_SECRET"},
        "auth": "post",
    }
    async with LazyTransport() as transport:
        await built("http", transport, url=f"{receiver.url}/plain").deliver(DELIVERY)
        await built("http", transport, url=f"{receiver.url}/oauth", oauth2=oauth2).deliver(DELIVERY)
    server.stop()

    assert [got.headers.get("authorization") for got in receiver.got] == [None, "Bearer t"]
    assert "authorization" not in server.got[0].headers


async def test_credentials_that_differ_have_connections_of_their_own(tmp_path) -> None:
    authority = Authority(tmp_path)
    receiver = TlsReceiver(*authority.issue("server", "127.0.0.1"))
    access = Access(tls=TlsSettings(ca_file=str(authority.ca_file)))
    async with LazyTransport() as transport:
        for who in ("alice", "bob", "alice", "bob"):
            request = Request(f"{receiver.url}/", {"authorization": f"Negotiate {who}"}, b"{}", 10_000)
            assert isinstance(await transport.through(access).post(request), Response)
    receiver.stop()

    assert receiver.connections == 2
