"""Who sees a page, and whose form it is: by session where the bridge has tokens, else everybody may look."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bridge.config import Permission
from bridge.errors import BridgeError
from bridge.server.api_endpoints import is_from_another_site
from bridge.server.host_header_check import is_welcome
from bridge.server.page.sessions import COOKIE, Session, Sessions, fits
from bridge.server.token_authority import (
    NOBODY,
    Authority,
    Caller,
    PermissionDenied,
    Unauthenticated,
    check_permission,
)

LONGEST_FORM = 65_536
"""The longest form in bytes."""

_FOREIGN = "the form does not come from a page of this session: go back, load the page again, and repeat"
_STRANGER = (
    "the pages answer to addresses, to names without a dot and to those in server.hosts: ask by another name, or add "
    "this one to the configuration"
)


class MisdirectedRequest(BridgeError):
    """A request names a host that a stranger can own."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks for a page; ``session`` is None where nobody can sign in."""

    caller: Caller
    session: Session | None = None

    def may(self, permission: Permission) -> bool:
        """Whether they may do something; without a session, nobody may do more than look."""
        return permission in self.caller.may and (self.session is not None or permission == "read")


@dataclass(frozen=True, slots=True)
class PageAccess:
    """Decides who sees the pages at an address, by ``sessions``, or ``authority`` where it has no tokens."""

    authority: Authority
    sessions: Sessions
    names: Collection[str] = ()

    async def viewer(self, request: Request) -> Viewer:
        """Return who asks for a page.

        Raises:
            Unauthenticated: they have to sign in first.
            MisdirectedRequest: the request names a host that a stranger can own.
            PermissionDenied: their token may not look.
        """
        try:
            anybody = await self.authority.caller(None)
        except Unauthenticated:
            caller, session = await self.sessions.of(request.cookies.get(COOKIE))
            viewer = Viewer(caller, session)
            if not viewer.may("read"):
                raise PermissionDenied(f'{caller.name} may not look: it needs "read" in its may') from None
            return viewer
        if anybody is NOBODY and not is_welcome(request.headers.get("host"), self.names):
            raise MisdirectedRequest(_STRANGER)
        return Viewer(anybody)

    def check_own_page(self, request: Request) -> None:
        """Refuse a form that a browser sends from a page of another site.

        Raises:
            PermissionDenied: it does.
        """
        if is_from_another_site(request, self.names):
            raise PermissionDenied(_FOREIGN)

    async def own_form(self, request: Request, viewer: Viewer) -> dict[str, list[str]]:
        """Return the values of a form that comes from a page of the viewer's session.

        Raises:
            PermissionDenied: it is forged.
        """
        given = await form_of(request)
        self.check_own_page(request)
        if viewer.session is None or not fits(viewer.session, given.get("form_token", [""])[-1]):
            raise PermissionDenied(_FOREIGN)
        return given

    async def form(self, request: Request, viewer: Viewer, permission: Permission) -> dict[str, list[str]]:
        """Return the values of a form that its sender may send.

        Raises:
            PermissionDenied: they may not, or the form is forged.
        """
        given = await self.own_form(request, viewer)
        check_permission(viewer.caller, permission)
        return given


async def form_of(request: Request) -> dict[str, list[str]]:
    """Return the values of a form by their names.

    Raises:
        PermissionDenied: it is too long, or is no form.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            raise PermissionDenied(f"the form is longer than {LONGEST_FORM} bytes")
    found: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=10_000
        )
    except ValueError:
        raise PermissionDenied("what was sent is no form") from None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def sent_to_sign_in(request: Request) -> Response:
    """Return the answer that leads to the sign-in page, and from there back."""
    path = request.scope["path"]
    return RedirectResponse(f"/sign-in?next={quote(path, safe='/')}", 303)
