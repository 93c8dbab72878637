"""Carry out what is asked of webhooks, in the process that owns the state, with or without running loops."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol
from uuid import uuid4

from bridge.config import Settings, WebhookSettings
from bridge.config.encrypted_secrets import Keys
from bridge.delivery.allowed_destinations import host_of
from bridge.delivery.webhook import Webhook
from bridge.errors import InvalidArgument, InvalidState, LimitExceeded, NotFound, SecretUnavailable
from bridge.operations.sink_trial import Trial, try_out
from bridge.operations.webhook_answers import (
    answer_of,
    is_asked_for,
    lost_secrets,
    page_token,
    position_of,
    test_answer,
    webhook_document,
)
from bridge.operations.webhook_arguments import (
    MOST_RESULTS,
    CreateArguments,
    HttpUrlSpec,
    IdArguments,
    ListArguments,
    TestArguments,
    UpdateArguments,
    parse_arguments,
)
from bridge.pipeline.clocks import Clock
from bridge.pipeline.hold_decisions import report_note
from bridge.pipeline.worker_threads import in_thread
from bridge.sinks.http.webhook_sink import routable_events, sink_of_webhook
from bridge.store.base import State
from bridge.store.state_metadata import Note

Document = dict[str, Any]

_REPEATED_WITHIN_MS = 60_000
"""How long the same request to create a webhook returns the one that it created: clients repeat a POST without an answer."""

_KEY_FILES_S = 5.0
_SECRETS = ("secret", "authorization")
_SWITCHED_OFF = (
    "webhooks at run time are switched off: add a [webhooks] section to the bridge's configuration"
)


class Sinks(Protocol):
    """The sinks of running loops (`bridge.app.RunningSinks`)."""

    def replace(self, webhooks: Sequence[Webhook]) -> None:
        """Put exactly these webhooks into force."""
        ...

    def put(self, webhook: Webhook) -> None:
        """Put a webhook that was created or changed into force."""
        ...

    async def stop(self, webhook: str) -> None:
        """Send nothing more to a webhook; raises `StateUnwritable` if that could not be recorded."""
        ...

    def remove(self, webhook: str) -> None:
        """Remove a stopped webhook that is deleted."""
        ...


class Webhooks:
    """The webhooks: each change is durable in one commit, with a note in the audit trail, before it is in force.

    Each method raises `InvalidState` if webhooks are switched off, and those that change something raise
    `StateUnwritable` if it cannot be written: then nothing has changed. ``who`` asks is noted in the audit trail.
    """

    def __init__(self, state: State, settings: Callable[[], Settings], clock: Clock) -> None:
        """Change ``state``, which this process owns; ``settings`` returns those that are in force."""
        self._state = state
        self._settings = settings
        self._clock = clock
        self._sinks: Sinks | None = None
        self._turn = asyncio.Lock()
        self._tests: dict[str, set[asyncio.Task[Trial]]] = {}

    async def serve_with(self, sinks: Sinks) -> None:
        """Put changes into force in the ``sinks`` of new loops from now on, and what was changed since they were built."""
        async with self._turn:
            sinks.replace(await self._state.load_webhooks())
            self._sinks = sinks

    async def page(self, given: Mapping[str, Any]) -> Document:
        """Return webhooks, oldest first.

        Raises:
            InvalidArgument: an argument cannot be used.
        """
        self._section()
        arguments, _ = parse_arguments(ListArguments, given)
        after = position_of(arguments.page_token)
        found = [
            one
            for one in await self._state.load_webhooks()
            if (one.created_at, one.id) > after and is_asked_for(one, arguments)
        ]
        page = found[: min(arguments.max_results, MOST_RESULTS)]
        more = {"next_page_token": page_token(page[-1])} if len(page) < len(found) else {}
        return {"webhooks": list(map(webhook_document, page)), **more}

    async def create(self, given: Mapping[str, Any], who: str) -> Document:
        """Create a webhook, and return it; the same request within a minute returns the same webhook.

        Raises:
            InvalidArgument: an argument is missing or cannot be used.
            LimitExceeded: there are as many webhooks as there may be.
        """
        settings = self._section()
        arguments, warnings = parse_arguments(CreateArguments, given)
        self._check_target(arguments.http_url_spec)
        target, keys = await self._stored(arguments.http_url_spec)
        digest = _digest(given, who, keys)
        async with self._turn:
            webhooks, now_ms = await self._state.load_webhooks(), self._clock.now_ms()
            webhook = _repeated(webhooks, digest, now_ms)
            if webhook is None:
                _check_number(webhooks, settings)
                webhook = Webhook(
                    id=uuid4().hex,
                    events=arguments.events,
                    model_name=arguments.model_name or None,
                    description=arguments.description,
                    status=arguments.status,
                    created_at=now_ms,
                    updated_at=now_ms,
                    request=digest,
                    **target,
                )
                await self._keep(webhook, "webhook_created", who)
        return answer_of(webhook, [*warnings, *await self._remarks(webhook)])

    async def update(self, given: Mapping[str, Any], who: str) -> Document:
        """Change a webhook, and return it: what is given replaces the present value as a whole.

        Raises:
            InvalidArgument: an argument is missing or cannot be used.
            NotFound: there is no such webhook.
        """
        self._section()
        if given.get("model_name") is not None:
            msg = "model_name: cannot be changed: delete the webhook, and create one for the other model"
            raise InvalidArgument(msg)
        arguments, warnings = parse_arguments(UpdateArguments, given)
        spec = arguments.http_url_spec
        target: dict[str, Any] = {}
        if spec is not None:
            self._check_target(spec)
            target, _ = await self._stored(spec)
        plain = {name: getattr(arguments, name) for name in ("events", "description", "status")}
        async with self._turn:
            before = await self._webhook(arguments.id)
            values = {**{name: value for name, value in plain.items() if value is not None}, **target}
            after = replace(before, **values)
            if after != before:
                # a repeated request to create it would not get what it asked for
                after = replace(after, updated_at=self._clock.now_ms(), request="")
                await self._keep(after, "webhook_updated", who)
                if spec is not None:
                    await self._end_tests(after.id)
        return answer_of(after, [*warnings, *lost_secrets(before, after), *await self._remarks(after)])

    async def delete(self, given: Mapping[str, Any], who: str) -> Document:
        """Delete a webhook. Nothing more is sent to it when this returns; what waits for it is dead.

        Raises:
            InvalidArgument: the id is missing.
            NotFound: there is no such webhook.
        """
        self._section()
        arguments, _ = parse_arguments(IdArguments, given)
        async with self._turn:
            webhook = await self._webhook(arguments.id)
            note = self._note("webhook_deleted", webhook, who)
            if self._sinks:
                await self._sinks.stop(webhook.id)
            try:
                await self._state.delete_webhook(webhook.id, [note])
            except BaseException:
                if self._sinks:
                    self._sinks.put(webhook)
                raise
            if self._sinks:
                self._sinks.remove(webhook.id)
            await self._end_tests(webhook.id)
        report_note(note)
        return {}

    async def test(self, given: Mapping[str, Any]) -> Document:
        """Send a synthetic event to a webhook; return the status and the beginning of the body of its answer.

        Secrets are masked. Nothing is recorded. If there is no answer, there is no status, and the body says why.

        Raises:
            InvalidArgument: an argument cannot be used.
            NotFound: there is no such webhook.
        """
        arguments, _ = parse_arguments(TestArguments, given)
        return test_answer(await self.trial(arguments.id, arguments.event))

    async def trial(self, webhook_id: str, event: str | None = None) -> Trial:
        """Send a synthetic event to a webhook, as `test` does, and return the requests with their answers.

        Raises:
            InvalidArgument: nothing gives rise to the event.
            NotFound: there is no such webhook, or it was changed or deleted meanwhile.
        """
        section, webhook = self._section(), await self._webhook(webhook_id)
        asked = (event,) if event else webhook.events
        events = routable_events(asked)
        if not events:
            msg = f"event: {asked[0]} is not sent for anything that happens in this registry: name another event"
            raise InvalidArgument(msg)
        sink = sink_of_webhook(webhook, section)
        test = asyncio.create_task(try_out(sink, self._settings(), events[0], sends=True))
        under_way = self._tests.setdefault(webhook.id, set())
        under_way.add(test)
        try:
            await asyncio.wait({test})
        finally:
            test.cancel()
            under_way.discard(test)
            if not under_way:
                self._tests.pop(webhook.id, None)
        if test.cancelled():
            raise NotFound(f"the webhook {webhook.id} was changed or deleted while it was tested")
        return test.result()

    async def _end_tests(self, webhook: str) -> None:
        """Send no test any more that was begun before a change."""
        tests = set(self._tests.get(webhook, ()))
        for test in tests:
            test.cancel()
        if tests:
            await asyncio.wait(tests)

    async def rekey(self, who: str) -> int:
        """Encrypt all stored secrets anew with the first key; return how many webhooks have any.

        Raises:
            SecretUnavailable: a key cannot be read, or one that is still needed is missing; nothing is changed.
        """
        keys = await self._keys()
        async with self._turn:
            before = [one for one in await self._state.load_webhooks() if one.secret or one.authorization]
            if not before:
                return 0
            after = [_reencrypted(one, keys) for one in before]
            note = Note(self._clock.now_ms(), "webhooks_rekeyed", detail=str(len(after)), by=who)
            await self._state.keep_webhooks(after, [note])
            if self._sinks:
                self._sinks.replace(await self._state.load_webhooks())
        report_note(note)
        return len(after)

    def _section(self) -> WebhookSettings:
        section = self._settings().webhooks
        if section is None:
            raise InvalidState(_SWITCHED_OFF)
        return section

    async def _webhook(self, wanted: str) -> Webhook:
        for webhook in await self._state.load_webhooks():
            if webhook.id == wanted:
                return webhook
        raise NotFound(f"there is no webhook {wanted!r:.80}: list tells those that there are")

    async def _keep(self, webhook: Webhook, kind: str, who: str) -> None:
        note = self._note(kind, webhook, who)
        await self._state.keep_webhooks([webhook], [note])
        if self._sinks:
            self._sinks.put(webhook)
        report_note(note)

    def _note(self, kind: str, webhook: Webhook, who: str) -> Note:
        to = sink_of_webhook(webhook, self._section()).origin()
        detail = f"{webhook.id} to {to}, {webhook.status.value}: {', '.join(webhook.events)}"
        return Note(self._clock.now_ms(), kind, webhook.model_name or "", detail=detail, by=who)

    def _check_target(self, spec: HttpUrlSpec) -> None:
        """Refuse a host that is not allowed, as far as that is known before it is connected to."""
        probe = Webhook("0" * 32, ("MODEL_VERSION_TRANSITIONED_STAGE",), spec.url)
        targets, key = sink_of_webhook(probe, self._section()).targets(self._settings().delivery)
        host = host_of(spec.url)
        if targets is not None and not targets.could_take(host):
            msg = f"http_url_spec.url: {key} does not allow {host}: add the host, or a network that has its address"
            raise InvalidArgument(msg)

    async def _keys(self) -> Keys:
        """Return the encryption keys as they are now.

        Raises:
            SecretUnavailable: one cannot be read, or used.
            InvalidState: a file of theirs hangs.
        """
        settings = self._section()
        try:
            async with asyncio.timeout(_KEY_FILES_S):
                return await in_thread(lambda: Keys.read(settings.keys))
        except TimeoutError:
            msg = f"the file of webhooks.encryption_key cannot be read within {_KEY_FILES_S:g} s"
            raise InvalidState(msg) from None

    async def _stored(self, spec: HttpUrlSpec) -> tuple[dict[str, Any], Keys | None]:
        """Return the members of a webhook for ``spec``, with its secrets encrypted, and the keys if it has any."""
        given = {name: getattr(spec, name) for name in _SECRETS}
        plain = {"url": spec.url, "verifies_tls": spec.enable_ssl_verification}
        if not any(given.values()):
            return {**plain, **given}, None
        try:
            keys = await self._keys()
        except SecretUnavailable as error:
            name = next(name for name, value in given.items() if value)
            raise InvalidArgument(f"http_url_spec.{name}: cannot be stored: {error}") from None
        return {**plain, **{name: value and keys.encrypted(value) for name, value in given.items()}}, keys

    async def _remarks(self, webhook: Webhook) -> list[str]:
        """Return what is valid, but possibly a mistake."""
        found = []
        name = webhook.model_name
        if name is not None and not await self._state.ask(lambda reader: name in reader.known()):
            found.append(
                f"model_name: no registered model is called {name!r:.256} now; events begin when there is one"
            )
        idle = [event for event in webhook.events if event not in routable_events(webhook.events)]
        if idle:
            found.append(f"events: nothing in this registry gives rise to {', '.join(idle)}")
        return found


def _digest(given: Mapping[str, Any], who: str, keys: Keys | None) -> str:
    """Return a digest of a request; if it brings a secret, nobody can guess at that without the encryption key."""
    text = json.dumps([who, given], sort_keys=True).encode()
    return hmac.new(keys.first if keys else b"", text, hashlib.sha256).hexdigest()


def _reencrypted(webhook: Webhook, keys: Keys) -> Webhook:
    what = f"a secret of webhook {webhook.id}"
    values = {name: getattr(webhook, name) for name in _SECRETS}
    changed: dict[str, Any] = {
        name: value and keys.reencrypted(value, what) for name, value in values.items()
    }
    return replace(webhook, **changed)


def _repeated(webhooks: Sequence[Webhook], digest: str, now_ms: int) -> Webhook | None:
    """Return the webhook that the same request has just created, if there is one."""
    same = (one for one in webhooks if one.request == digest)
    return next((one for one in same if abs(now_ms - one.created_at) < _REPEATED_WITHIN_MS), None)


def _check_number(webhooks: Sequence[Webhook], settings: WebhookSettings) -> None:
    if len(webhooks) >= settings.max:
        msg = (
            f"there are {len(webhooks)} webhooks, and webhooks.max is {settings.max}: delete one, or raise it"
        )
        raise LimitExceeded(msg)
