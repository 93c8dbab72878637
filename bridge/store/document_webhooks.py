"""The webhooks in documents."""

from collections.abc import Sequence

from bridge.delivery.outbox_entry import Entry
from bridge.delivery.retry_policy import bury_of_webhook
from bridge.delivery.webhook import Webhook
from bridge.store.base import News
from bridge.store.document_outbox import DocumentOutbox
from bridge.store.poll_commit import SINKS, WEBHOOKS, settle_writes
from bridge.store.state_metadata import Note
from bridge.store.write_turn import in_turn


class DocumentWebhooks(DocumentOutbox):
    """`bridge.store.base.WebhookState` over documents, in the process that owns them; only commits may wait."""

    async def load_webhooks(self) -> list[Webhook]:
        """Return the webhooks in the order of their creation."""
        return self.webhooks()

    @in_turn
    async def keep_webhooks(self, webhooks: Sequence[Webhook], notes: Sequence[Note]) -> None:
        """Create webhooks, or replace those with the same ids."""
        documents = {one.id: one.to_document() for one in webhooks}
        await self._documents.commit({WEBHOOKS: documents, **self._numbered((), notes)})

    @in_turn
    async def delete_webhook(self, webhook: str, notes: Sequence[Note]) -> list[Entry]:
        """Delete a webhook, and give up its pending entries; return these, which are dead now."""
        pending = self._counted().pending_of(webhook)
        dead = [bury_of_webhook(entry) for number in pending if (entry := self.entry(number)) is not None]
        writes = settle_writes(dead, {}, self._documents)
        gone = {WEBHOOKS: {webhook: None}, SINKS: {webhook: None}}
        await self._documents.commit({**writes, **gone, **self._numbered((), notes)})
        self._count(dead)
        self._tell(News(removed=dead))
        return dead
