"""Somebody who visits the pages with a browser."""

import asyncio
import re
from urllib.parse import urlencode

from bridge.server.page.sessions import COOKIE

TOKEN = "0123456789abcdef0123456789abcdef"
EYE = {"name": "eye", "token": {"env": "EYE"}, "may": ["read"]}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


class Person:
    """Somebody with a browser that keeps cookies, and sends what a browser sends."""

    def __init__(self, api) -> None:
        self.api, self.cookie = api, ""

    async def ask(self, method: str, path: str, form=None, **headers):
        body = urlencode(form, doseq=True).encode() if form is not None else None
        sent = {
            "Cookie": f"{COOKIE}={self.cookie}",
            "Content_Type": "application/x-www-form-urlencoded",
            **headers,
        }
        status, text, got = await asyncio.to_thread(self.api.raw, method, path, body, **sent)
        cookie = re.match(rf"{COOKIE}=([^;]*)", got.get("Set-Cookie", ""))
        if cookie:
            self.cookie = cookie[1]
        return status, text.decode(), got

    async def sign_in(self, token: str = TOKEN, place: str = "/webhooks"):
        return await self.ask("POST", "/sign-in", {"token": token, "next": place})

    async def send(self, path: str, **form):
        """Send a form of a page, as it is on that page."""
        _, page, _ = await self.ask("GET", path)
        token = re.search(r'name="form_token" value="([^"]*)"', page)[1]
        return await self.ask("POST", path, {"form_token": token, **form})
