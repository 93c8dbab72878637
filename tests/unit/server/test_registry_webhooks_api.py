"""Databricks' API of registry webhooks, over HTTP."""

import asyncio
import json

import pytest
from support.hooks import ASKED, TRANSITION, Hooks, api_of
from support.patience import patience

from bridge.errors import OwnerUnavailable, StateUnwritable
from bridge.server import api_endpoints
from bridge.server.registry_webhooks_api import PREFIXES
from bridge.sinks.transport.http_client import MaskedHeaders

TOKEN = "0123456789abcdef0123456789abcdef"
CI = {"name": "ci", "token": {"env": "CI"}, "may": ["webhooks"]}
EYE = {"name": "eye", "token": {"env": "EYE"}, "may": ["read"]}
MAY = {"Authorization": f"Bearer {TOKEN}"}
BASE = "/api/2.0/mlflow/registry-webhooks"


@pytest.fixture(autouse=True)
def tokens(monkeypatch) -> None:
    monkeypatch.setenv("CI", TOKEN)
    monkeypatch.setenv("EYE", "eye" * 10)


@pytest.fixture
async def served():
    hooks = Hooks()
    async with api_of(hooks, CI, EYE) as api:

        async def ask(*arguments, **headers):
            return await asyncio.to_thread(api.ask, *arguments, **{**MAY, **headers})

        ask.hooks, ask.api = hooks, api
        yield ask


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_webhook_lives_under_each_prefix(served, prefix) -> None:
    base = f"{prefix}/registry-webhooks"
    _, made = await served("POST", f"{base}/create", ASKED)
    webhook = made["webhook"]["id"]

    status, updated = await served("PATCH", f"{base}/update", {"id": webhook, "description": "x"})
    _, listed = await served("GET", f"{base}/list?events={TRANSITION}&events=COMMENT_CREATED&max_results=5")
    gone = await served("DELETE", f"{base}/delete?id={webhook}")

    assert (status, updated["webhook"]["description"]) == (200, "x")
    assert listed == {"webhooks": [updated["webhook"]]}
    assert gone == (200, {})


async def test_arguments_come_from_the_query_and_the_body_alike(served) -> None:
    _, made = await served("POST", f"{BASE}/create", ASKED)
    other, _ = await served("GET", f"{BASE}/list?model_name=x", {"model_name": ""})
    _, listed = await served("GET", f"{BASE}/list", {"model_name": "another"})

    assert (other, listed) == (200, {"webhooks": []})
    assert await served("DELETE", f"{BASE}/delete", {"id": made["webhook"]["id"]}) == (200, {})


@pytest.mark.parametrize(
    ("body", "status", "code", "told"),
    [
        (b"{", 400, "MALFORMED_REQUEST", "the body is not JSON (at character 2)"),
        (b'"\xff"', 400, "MALFORMED_REQUEST", "the body is not UTF-8 text"),
        (b'{"description": "\\ud800"}', 400, "MALFORMED_REQUEST", "half of a surrogate pair"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, 400, "MALFORMED_REQUEST", "the body is nested too deeply"),
        (b"[" * 100_000, 400, "MALFORMED_REQUEST", "the body is"),
        (
            json.dumps(json.dumps(ASKED)).encode(),
            400,
            "MALFORMED_REQUEST",
            "encode the object once, not twice",
        ),
        (b"[1]", 400, "MALFORMED_REQUEST", "the body must be a JSON object"),
        (b" " * 1_100_000, 413, "MALFORMED_REQUEST", "the body is longer than 1048576 bytes"),
        (b"", 400, "INVALID_PARAMETER_VALUE", "events: is missing"),
        (b'{"events": 1e999}', 400, "INVALID_PARAMETER_VALUE", "events: must be a list"),
    ],
)
async def test_a_body_that_cannot_be_used_is_refused_in_a_sentence(served, body, status, code, told) -> None:
    found, answer = await served("POST", f"{BASE}/create", body)

    assert (found, answer["error_code"]) == (status, code)
    assert told in answer["message"]
    assert served.hooks.state.webhooks() == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/api/2.0/mlflow/registry-webhooks/nothing", 404, "ENDPOINT_NOT_FOUND"),
        ("GET", f"{BASE}/create", 405, "ENDPOINT_NOT_FOUND"),
        ("POST", f"{BASE}/create/", 404, "ENDPOINT_NOT_FOUND"),
        ("DELETE", f"{BASE}/delete?id=nothing", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("DELETE", f"{BASE}/delete", 400, "INVALID_PARAMETER_VALUE"),
        ("GET", f"{BASE}/list?max_results=x", 400, "INVALID_PARAMETER_VALUE"),
        ("GET", f"{BASE}/list?model_name=%ff", 400, "MALFORMED_REQUEST"),
    ],
)
async def test_errors_have_the_form_that_clients_read(served, method, path, status, code) -> None:
    found, answer = await served(method, path)

    assert (found, answer["error_code"], sorted(answer)) == (status, code, ["error_code", "message"])


@pytest.mark.parametrize("verb", ["create", "list", "update", "delete", "test"])
async def test_each_verb_needs_a_token_that_may(served, verb) -> None:
    method = {"list": "GET", "update": "PATCH", "delete": "DELETE"}.get(verb, "POST")
    path = f"{BASE}/{verb}"

    status, _, headers = await asyncio.to_thread(served.api.raw, method, path, {})
    wrong, answer = await served(method, path, {}, Authorization="Bearer wrong-token-of-some-length")
    denied, other = await served(method, path, {}, Authorization=f"Bearer {'eye' * 10}")

    assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="mlflow-bridge"')
    assert (wrong, answer["error_code"]) == (401, "UNAUTHENTICATED")
    assert (denied, other["error_code"]) == (403, "PERMISSION_DENIED")


async def test_without_tokens_the_address_is_for_looking_only() -> None:
    async with api_of(Hooks()) as api:
        status, answer = await asyncio.to_thread(api.ask, "POST", f"{BASE}/create", ASKED)

    assert (status, "for looking only" in answer["message"]) == (401, True)


async def test_a_page_of_another_site_cannot_use_what_a_browser_remembers(served) -> None:
    for headers in (
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://evil.example", "Content_Type": "text/plain"},
        {"Origin": "null"},
    ):
        status, answer = await served("POST", f"{BASE}/create", ASKED, **headers)

        assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED")
    assert (await served("POST", f"{BASE}/create", ASKED, Sec_Fetch_Site="same-origin"))[0] == 200


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StateUnwritable("the disk is full"), 503, "TEMPORARILY_UNAVAILABLE"),
        (OwnerUnavailable("it is stopping"), 503, "TEMPORARILY_UNAVAILABLE"),
        (RuntimeError("s3cret"), 500, "INTERNAL_ERROR"),
    ],
)
async def test_what_goes_wrong_in_the_bridge_is_told_without_its_secrets(
    served, monkeypatch, error, status, code
) -> None:
    async def fails(*_):
        raise error

    monkeypatch.setattr(served.hooks.webhooks, "create", fails)
    found, answer = await served("POST", f"{BASE}/create", ASKED)

    assert (found, answer["error_code"], "s3cret" in answer["message"]) == (status, code, False)


async def test_a_daemon_that_hangs_is_told_as_unavailable(served, monkeypatch) -> None:
    async def hangs(*_):
        await asyncio.sleep(60)

    monkeypatch.setattr(api_endpoints, "_PATIENCE_S", 0.1)
    monkeypatch.setattr(served.hooks.webhooks, "create", hangs)
    status, answer = await served("POST", f"{BASE}/create", ASKED)

    assert (status, answer["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


async def test_calls_that_wait_leave_places_for_the_probes(served, monkeypatch) -> None:
    async def hangs(*_):
        await asyncio.sleep(60)

    monkeypatch.setattr(served.hooks.webhooks, "test", hangs)
    head = f"POST {BASE}/test HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 2\r\n\r\n{{}}"
    waiting = [await asyncio.open_connection("127.0.0.1", served.api.port) for _ in range(70)]
    for _, writer in waiting:
        writer.write(head.encode())
        await writer.drain()
    busy = await asyncio.wait_for(waiting[-1][0].read(), patience())

    for _ in range(5):
        status, _ = await asyncio.to_thread(served.api.ask, "GET", f"{BASE}/nothing")
        assert status == 404
    for _, writer in waiting:
        writer.close()
    assert b"503 Service Unavailable" in busy
    assert b"too many requests at once" in busy


def test_headers_are_masked_when_they_are_used() -> None:
    headers = MaskedHeaders({"x-echo": "it is s3cret-value", "retry-after": "5"}, ("s3cret-value",))

    assert (headers["retry-after"], "s3cret" in headers["x-echo"], len(headers), headers.get("none")) == (
        "5",
        False,
        2,
        None,
    )
    assert "s3cret" not in str(dict(headers))
