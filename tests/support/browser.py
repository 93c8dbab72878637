"""Headless Chromium, spoken to through its debugging pipe: what does a page look like, and what does it say?"""

import base64
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

from support.patience import patience
from support.until import wait_until

CHROMIUM = shutil.which("chromium")
MISSING = "needs chromium: make test-extra installs it, as root on a system with apt"
_QUIET = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *(
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
    ),
    *("--disable-dev-shm-usage", "--no-proxy-server", "--hide-scrollbars", "--remote-debugging-pipe"),
)
_THEN = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
"""Chromium reads from the third file and writes to the fourth."""

_POINT = """(() => {
    const it = [...document.querySelectorAll(%s)].filter(one => one.innerText.trim().endsWith(%s)).pop()
    if (!it) return null
    const {x, y, width, height} = it.getBoundingClientRect(), point = [x + width / 2, y + height / 2]
    return it.contains(document.elementFromPoint(...point)) ? point : null
})()"""
"""Where the middle of an element is, if a click there reaches it."""


class Browser:
    """A browser with one page; what it complains of (``complaints``), and what it asked for (``requests``)."""

    def __init__(self, folder: Path) -> None:
        asks, self._out = os.pipe()
        self._in, answers = os.pipe()
        command = [sys.executable, "-c", _THEN, str(asks), str(answers), CHROMIUM, *_QUIET]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            pass_fds=(asks, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(folder)},
        )
        os.close(asks)
        os.close(answers)
        self._messages: Queue[dict] = Queue()
        Thread(target=self._listen, daemon=True).start()
        self._number = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self._do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._do(f"{domain}.enable")

    def show(self, url: str, width: int = 1200, height: int = 900, scheme: str = "light") -> None:
        """Load ``url`` on a screen of this size (in CSS pixels), light or dark."""
        mobile = width < 600
        self._do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )
        self._do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        failed = self._do("Page.navigate", url=url).get("errorText")
        assert not failed, failed
        self._await("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """Return what an expression is in the page."""
        found = self._do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, selector: str) -> None:
        """Press a button or a link, and wait for the page that it leads to."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")
        self._await("Page.loadEventFired")

    def press_box(self, selector: str) -> None:
        """Press a box that leads nowhere."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def click(self, selector: str, text: str = "") -> None:
        """Click with the mouse on the last element that a selector finds, whose text ends so, as soon as it stands still

        and nothing covers it.
        """
        found: list[list[float] | None] = [None, None]

        def rests() -> bool:
            found.append(self.evaluate(_POINT % (json.dumps(selector), json.dumps(text))))
            return found[-1] is not None and found[-1] == found[-2]

        wait_until(rests)
        assert found[-1]
        x, y = found[-1]
        for kind in ("mousePressed", "mouseReleased"):
            self._do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, text: str) -> None:
        """Write where the cursor is."""
        self._do("Input.insertText", text=text)

    def press_enter(self) -> None:
        for kind in ("keyDown", "keyUp"):
            self._do("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13)

    def fill(self, **fields: str) -> None:
        """Fill in fields by their names."""
        for name, value in fields.items():
            self.evaluate(f"document.querySelector('[name={name}]').value = {json.dumps(value)}")

    def accessible(self) -> list[dict]:
        """Return what a screen reader gets to know."""
        return self._do("Accessibility.getFullAXTree")["nodes"]

    def picture(self) -> bytes:
        """Return what the screen shows as PNG."""
        return base64.b64decode(self._do("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        with suppress(OSError):
            self._number += 1
            os.write(self._out, json.dumps({"id": self._number, "method": "Browser.close"}).encode() + b"\0")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience())
        self._process.kill()
        self._process.wait()
        os.close(self._out)

    def _listen(self) -> None:
        held = b""
        while more := os.read(self._in, 65_536):
            *whole, held = (held + more).split(b"\0")
            for one in whole:
                self._messages.put(json.loads(one))
        os.close(self._in)

    def _do(self, method: str, **parameters: Any) -> dict:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _await(self, event: str) -> None:
        while self._next().get("method") != event:
            pass

    def _next(self) -> dict:
        try:
            message = self._messages.get(timeout=patience())
        except Empty:
            raise AssertionError("the browser gives no answer") from None
        self._note(message)
        return message

    def _note(self, message: dict) -> None:
        told = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif message.get("method") == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        elif message.get("method") in {"Runtime.exceptionThrown", "Runtime.consoleAPICalled"}:
            self.complaints.append(json.dumps(told))
