"""The contract of sinks as pytest classes, for the built-in sinks and for those of packages.

Needs pytest: ``pip install mlflow-bridge[testing]``. A test class that gives the sink's settings,
and returns what arrived, inherits all the tests::

    class TestJsonlFile(SinkContract):
        type = "jsonl_file"

        def settings(self, place):
            return {"file": f"{place}/events.jsonl"}

        def arrived(self, place):
            return [json.loads(line)["delivery_id"] for line in open(f"{place}/events.jsonl")]

`HttpSinkContract` adds tests for sinks that send HTTP, against a real receiver on loopback; a
subclass gives the settings only. `docs/writing-a-sink.md` has a complete package.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"bridge.testing.{name}"
        for name in ("sink_contract", "resource_leak_checks", "http_sink_contract", "tested_sink")
    )
)

from bridge.testing.http_sink_contract import HttpSinkContract  # noqa: E402
from bridge.testing.receiver import Answer, Got, RawReceiver, Receiver, free_port  # noqa: E402
from bridge.testing.sample_deliveries import SECRET_PLACE, sample  # noqa: E402
from bridge.testing.sink_contract import SinkContract  # noqa: E402 - imported after register_assert_rewrite

__all__ = [
    "SECRET_PLACE",
    "Answer",
    "Got",
    "HttpSinkContract",
    "RawReceiver",
    "Receiver",
    "SinkContract",
    "free_port",
    "sample",
]
