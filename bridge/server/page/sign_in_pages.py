"""The pages to sign in, with a token, and to sign out."""

import re
import time
from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bridge.errors import BridgeError
from bridge.server.api_endpoints import status_of
from bridge.server.page.page_access import form_of
from bridge.server.page.page_context import Endpoints, PageContext, last, page
from bridge.server.page.sessions import COOKIE, LASTS_S

log = structlog.get_logger(__name__)

_REPORTED_EVERY_S = 60.0
_PLACE = re.compile(r"/(events|sinks|(webhooks|deliveries)(/[0-9a-z]+)?)")
"""The pages that signing in leads back to."""


class SignInPages:
    """The pages to sign in and out."""

    def __init__(self, context: PageContext) -> None:
        """Show the pages of ``context``."""
        self._context = context
        self._reported_at = float("-inf")

    def endpoints(self) -> Endpoints:
        """Yield the endpoints."""
        yield "/sign-in", "GET", self._sign_in_page
        yield "/sign-in", "POST", self._sign_in
        yield "/sign-out", "POST", self._sign_out

    async def _sign_in_page(self, request: Request) -> Response:
        return await page("sign_in", request, next=_place(request.query_params.get("next", "")))

    async def _sign_in(self, request: Request) -> Response:
        given = await form_of(request)
        place = _place(last(given, "next"))
        try:
            self._context.access.check_own_page(request)
            cookie = await self._context.access.sessions.sign_in(last(given, "token"))
        except BridgeError as error:
            self._report(error)
            return await page(
                "sign_in", request, status=status_of(error), next=place, said=str(error), failed=True
            )
        self._context.access.sessions.sign_out(request.cookies.get(COOKIE))  # the one before
        answer = RedirectResponse(place, HTTPStatus.SEE_OTHER)
        answer.set_cookie(COOKIE, cookie, max_age=LASTS_S, path="/", httponly=True, samesite="strict")
        return answer

    async def _sign_out(self, request: Request) -> Response:
        await self._context.access.own_form(request, await self._context.access.viewer(request))
        self._context.access.sessions.sign_out(request.cookies.get(COOKIE))
        answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    def _report(self, error: BridgeError) -> None:
        """Log that somebody could not sign in: once a minute, however many try."""
        now = time.monotonic()
        if now - self._reported_at > _REPORTED_EVERY_S:
            self._reported_at = now
            log.warning("server.sign_in_refused", error=str(error))


def _place(path: str) -> str:
    """Return the page to go to after signing in: one of our own, whatever the address says."""
    return path if _PLACE.fullmatch(path) else "/"
