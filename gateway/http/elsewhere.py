"""What answers where no route does: which paths there are, as a typed problem.

A client with a wrong path or method has usually one letter wrong. A status without a word, or with
a bare one, sends its author to a packet dump; the list of what there is ends the search.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from gateway.core.errors import InvalidInput, NotFound, TurngateError
from gateway.core.suggestions import did_you_mean
from gateway.http.problems import refusal

SHOWN_CHARS = 100
"""Of a path that does not exist; a stranger chooses its length."""
WEBSOCKET = "WebSocket"


class Elsewhere:
    """ASGI: 404 for a path that is not there, 405 and 426 for the wrong way to call one that is."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._ways: dict[str, str] = {}
        for route in routes:
            if isinstance(route, WebSocketRoute):
                self._ways[route.path] = WEBSOCKET
            elif isinstance(route, Route):
                self._ways[route.path] = ", ".join(sorted(route.methods or ()))
        self._listed = ", ".join(f"{path} ({way})" for path, way in self._ways.items())

    def wrong_ways(self) -> list[BaseRoute]:
        """Routes for the right paths called the wrong way; they stand behind the right ones."""
        return [Route(path, self) for path in self._ways]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["refused"] = "not_found"
        error, status, headers = self._judged(scope)
        answer = refusal(error, status=status)
        answer.headers.update(headers)
        await answer(scope, receive, send)

    def _judged(self, scope: Scope) -> tuple[TurngateError, int, dict[str, str]]:
        path = scope["path"]
        shown = repr(path if len(path) <= SHOWN_CHARS else f"{path[:SHOWN_CHARS]}…")
        if scope["type"] == "websocket":
            there = ", ".join(path for path, way in self._ways.items() if way == WEBSOCKET)
            return NotFound(f"a WebSocket opens at {there}, not at {shown}"), 404, {}
        way = self._ways.get(path)
        if way == WEBSOCKET:
            said = f"{path} is for WebSockets: open one there, or call methods with POST /rpc"
            return InvalidInput(said), 426, {"upgrade": "websocket"}
        if way is not None:
            return InvalidInput(f"{path} answers to {way}"), 405, {"allow": way}
        hint = did_you_mean(path, self._ways, otherwise="")
        said = f"there is nothing at {shown}; {hint} there are: {self._listed}"
        return NotFound(said.replace(";  ", "; ")), 404, {}
