"""What every request passes before anything else looks at it, and what every answer leaves with.

In this order: is it for us (`Host`), may this page call us (`Origin`), is a secret where it does
not belong (URL). A refusal here has touched no handler, no body and no credential. It is also the
one broad catch of HTTP, and writes the access log, in which query strings have no place.
"""

from __future__ import annotations

from email.utils import formatdate
from urllib.parse import parse_qs

import structlog
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.core.clock import Clock
from gateway.core.errors import Bug, Forbidden, InvalidInput, TurngateError
from gateway.core.ids import Ids
from gateway.http.access import header_values
from gateway.http.cross_origin import answer_headers, preflight
from gateway.http.hosts import Allowed
from gateway.http.problems import refusal
from gateway.http.proxies import Proxies
from gateway.http.sockets import Shed

log = structlog.get_logger(__name__)

SECRETS_IN_URL = ("token", "access_token", "api_key", "ticket")

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""For an answer that says nothing else; a page states its own policy."""

_REFUSING = ("websocket.http.response.start", "websocket.close")
"""What is sent first where a handshake is refused."""


class Guard:
    """ASGI middleware around everything.

    Leaves in `scope["state"]`: `address` (of the client) and, for `/ws`, `ticket`. Whoever refuses
    a handshake leaves there, as `refused`, a word that says why.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed: Allowed,
        proxies: Proxies,
        clock: Clock,
        ids: Ids,
        shed: Shed,
    ) -> None:
        self._app = app
        self._allowed = allowed
        self._proxies = proxies
        self._clock = clock
        self._ids = ids
        self._shed = shed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope["client"][0] if scope["client"] else ""
        scope["state"]["address"] = self._proxies.client(
            peer, header_values(scope, b"x-forwarded-for")
        )
        if scope["type"] == "websocket":
            await self._shake_hands(scope, receive, send)
            return
        exchange = _Exchange(send, self._clock, answer_headers(scope, self._allowed))
        try:
            await self._pass(scope, receive, exchange.send)
        except Exception as error:  # the one place that answers for a bug in HTTP
            error_id = self._ids.new("err")
            log.error("http.failed", error_id=error_id, path=scope["path"], exc_info=error)
            if not exchange.status:
                answer = refusal(Bug(f"internal error {error_id}"))
                await answer(scope, receive, exchange.send)
        finally:
            log.info(
                "http.request",
                method=scope["method"],
                path=scope["path"],
                status=exchange.status,
                address=scope["state"]["address"],
                ms=exchange.elapsed_ms(),
            )

    async def _shake_hands(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a WebSocket pass, and say of one that is refused why."""

        async def noted(message: Message) -> None:
            if message["type"] == "websocket.accept":
                shaken.append(True)
            elif not shaken and message["type"] in _REFUSING:
                log.info(
                    "socket.refused",
                    path=scope["path"],
                    status=message.get("status", 403),
                    reason=scope["state"].get("refused", "not_found"),
                    address=scope["state"]["address"],
                )
            await send(message)

        shaken: list[bool] = []
        await self._pass(scope, receive, noted)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._refused(scope) or preflight(scope, self._allowed)
        await (answer or self._app)(scope, receive, send)

    def _refused(self, scope: Scope) -> Response | None:
        if not self._allowed.host(header_values(scope, b"host")):
            return self._no(scope, "host", _WRONG_HOST, status=421)
        origins = header_values(scope, b"origin")
        if not self._allowed.origin(origins):
            return self._no(scope, "origin", _WRONG_ORIGIN)
        reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not reads and not self._allowed.site(origins, header_values(scope, b"sec-fetch-site")):
            return self._no(scope, "origin", _WRONG_ORIGIN)
        lengths = (b"content-length", b"transfer-encoding")
        if all(header_values(scope, name) for name in lengths):
            return self._no(scope, "two_lengths", _TWO_LENGTHS)
        return self._secret_in_url(scope)

    def _secret_in_url(self, scope: Scope) -> Response | None:
        if not scope["query_string"]:
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["type"] == "websocket":
            # Nothing further in may see it, least of all what logs a request line.
            scope["query_string"] = b""
            scope["state"]["ticket"] = query.pop("ticket", [""])[-1]
        if not query.keys().isdisjoint(SECRETS_IN_URL):
            scope["query_string"] = b""
            return self._no(scope, "secret_in_url", _SECRET_IN_URL)
        return None

    def _no(
        self, scope: Scope, reason: str, error: TurngateError, *, status: int | None = None
    ) -> Response:
        self._shed(reason)
        scope["state"]["refused"] = reason
        return refusal(error, status=status)


_WRONG_HOST = InvalidInput(
    "this gateway does not answer to the name in the Host header; the operator can add the name "
    "to TURNGATE_ALLOWED_HOSTS"
)
_WRONG_ORIGIN = Forbidden(
    "pages of this origin may not call this gateway; the operator can add the origin to "
    "TURNGATE_ALLOWED_ORIGINS"
)
# A proxy that goes by the other one would take the rest of the body for a request of somebody else.
_TWO_LENGTHS = InvalidInput("give Content-Length or Transfer-Encoding, not both")
_SECRET_IN_URL = InvalidInput(
    "a secret does not belong into a URL, which ends up in logs and histories: send the header "
    "Authorization: Bearer <token>, call connect over the socket, or fetch a one-time ticket with "
    "POST /ticket and open /ws?ticket=<ticket>"
)


class _Exchange:
    """One HTTP answer on its way out."""

    def __init__(self, send: Send, clock: Clock, more: dict[str, str]) -> None:
        self._send = send
        self._headers = {**SECURITY_HEADERS, **more}
        self._clock = clock
        self._begun = clock.monotonic()
        self.status = 0

    def elapsed_ms(self) -> float:
        return round((self._clock.monotonic() - self._begun) * 1000, 1)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers.setdefault("date", formatdate(self._clock.now_ms() / 1000, usegmt=True))
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        await self._send(message)
