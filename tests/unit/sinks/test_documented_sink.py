"""The sink over HTTP of docs/writing-a-sink.md keeps the contract, by the class that the page shows for it."""

import re
from pathlib import Path

import pytest
from support.packages import Packages

from bridge import testing

PAGE = (Path(__file__).parents[3] / "docs" / "writing-a-sink.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(SINK,) = [block for block in BLOCKS if "class TicketSink:" in block]
(CONTRACT,) = [block for block in BLOCKS if "class TestTickets(" in block]
(KIND,) = re.findall(r"`(Kind\(TicketSettings, .*?\))`", PAGE)


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("tickets") / "site"
        Packages(folder, patch).install(f"{SINK}\nKIND = {KIND}\n", package="tickets", kinds=("tickets",))
        yield


_shown = {**vars(testing), "__name__": __name__}
exec(CONTRACT, _shown)  # noqa: S102 - a page of ours
TestTickets = _shown["TestTickets"]
