"""What is logged of attempts."""

from dataclasses import replace

import pytest
from support.values import entry

from bridge.delivery.attempt_outcome import delivered
from bridge.delivery.outbox_entry import Status
from bridge.pipeline import delivery_attempts


class Lines:
    def __init__(self) -> None:
        self.told: list[tuple[str, dict]] = []

    def info(self, event: str, **fields: object) -> None:
        self.told.append((event, fields))


@pytest.mark.parametrize("link", ["https://ci/runs/7", ""])
def test_a_delivery_is_logged_with_the_link_to_what_it_started(link, monkeypatch) -> None:
    lines = Lines()
    monkeypatch.setattr(delivery_attempts, "log", lines)

    delivery_attempts.report(delivered(200, link), replace(entry(), status=Status.DELIVERED, link=link))

    ((event, fields),) = lines.told
    assert (event, fields["http_status"], fields.get("link", "")) == ("delivery.delivered", 200, link)
    assert ("link" in fields) == bool(link)
