"""`POST /ticket`: what a page shows instead of a token when it opens a WebSocket.

Browsers cannot send a header with a WebSocket, and a token in a URL ends up in logs. A ticket may:
it works once, soon, and from the page that fetched it.
"""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.errors import TurngateError
from gateway.http.access import authenticated, origin_of
from gateway.http.ports import Credentials
from gateway.http.problems import refusal


class TicketEndpoint:
    """Gives tickets to who has a token; the body of the request is not read."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def post(self, request: Request) -> Response:
        """A fresh ticket, bound to the origin of the request."""
        try:
            principal = await authenticated(request.scope, self._credentials)
            ticket = self._credentials.issue_ticket(principal, origin_of(request.scope))
        except TurngateError as error:
            return refusal(error)
        return Response(
            orjson.dumps({"ticket": ticket}),
            media_type="application/json",
            headers={"connection": "close"},
        )
