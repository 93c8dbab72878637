"""Whoever gives up on an attempt is let go at once, and nobody after them pays for it."""

import asyncio

import pytest
from support.receiver import Answer, Receiver
from support.sinks import DELIVERY, built
from support.until import eventually

from bridge.delivery.outcome import Verdict
from bridge.sinks.client import Client
from bridge.sinks.kinds import KINDS

HERE = {"env": "SINK_SECRET"}
OWN = {
    "http": lambda url: {"url": f"{url}/hook"},
    "github_dispatch": lambda url: {"repository": "a/b", "event_type": "x", "token": HERE, "api_url": url},
    "github_workflow": lambda url: {
        "repository": "a/b",
        "workflow": "x.yml",
        "ref": "main",
        "token": HERE,
        "api_url": url,
    },
    "gitlab_pipeline": lambda url: {"project": "a/b", "ref": "main", "token": HERE, "url": url},
    "jenkins_job": lambda url: {"job": "a", "username": "x", "token": HERE, "url": url},
}


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_a_cancelled_attempt_ends_at_once_and_the_next_is_made_as_ever(kind, monkeypatch) -> None:
    monkeypatch.setenv("SINK_SECRET", "x")
    receiver = Receiver(Answer(204, delay=30.0))
    async with Client() as client:
        sink = built(kind, client, 60_000, **OWN[kind](receiver.url))
        given_up = asyncio.create_task(sink.deliver(DELIVERY))
        await eventually(lambda: receiver.came == 1)
        given_up.cancel()
        await asyncio.wait({given_up}, timeout=20)
        receiver.answer = Answer(204)
        outcome = await sink.deliver(DELIVERY)

    receiver.stop()
    assert given_up.cancelled()
    assert (outcome.verdict, receiver.came) == (Verdict.DELIVERED, 2)
