"""A path or a method that is not there is answered by what is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.types import Message, Scope

from gateway.http.elsewhere import SHOWN_CHARS, Elsewhere


async def _page(_request: Request) -> Response:
    return Response("here")


class _Socket:
    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})


async def ask(kind: str, path: str, method: str = "GET") -> tuple[int, dict[str, str], Any]:
    routes: list[BaseRoute] = [
        Route("/", _page),
        WebSocketRoute("/ws", _Socket()),
        Route("/rpc", _page, methods=["POST"]),
    ]
    elsewhere = Elsewhere(routes)
    router = Router([*routes, *elsewhere.wrong_ways()], default=elsewhere, redirect_slashes=False)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": f"{kind}.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "path": path,
        "method": method,
        "headers": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }
    await router(scope, receive, send)
    if "status" not in sent[0]:
        return 101, {}, None
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = sent[1]["body"]
    return sent[0]["status"], headers, orjson.loads(body) if body.startswith(b"{") else body


async def test_an_unknown_path_is_answered_by_the_list_of_paths() -> None:
    status, headers, body = await ask("http", "/rcp", "POST")
    assert (status, headers["content-type"]) == (404, "application/json")
    assert body["error"]["data"] == {"kind": "not_found", "retryable": False}
    assert body["error"]["message"] == (
        "there is nothing at '/rcp'; did you mean '/rpc'? "
        "there are: / (GET, HEAD), /ws (WebSocket), /rpc (POST)"
    )


@pytest.mark.parametrize("path", ["/", "/rpc", "/chat", "/ws/"])
async def test_a_socket_to_another_path_is_told_which_one_takes_it(path: str) -> None:
    """As shipped the handshake ends in an empty 403, which browsers and libraries hide."""
    status, headers, body = await ask("websocket", path)
    assert (status, headers["content-type"]) == (404, "application/json")
    assert body["error"]["message"] == f"a WebSocket opens at /ws, not at {path!r}"


@pytest.mark.parametrize(
    ("path", "method", "status", "header", "said"),
    [
        ("/rpc", "GET", 405, ("allow", "POST"), "/rpc answers to POST"),
        ("/", "DELETE", 405, ("allow", "GET, HEAD"), "/ answers to GET, HEAD"),
        ("/ws", "GET", 426, ("upgrade", "websocket"), "/ws is for WebSockets: open one there"),
    ],
)
async def test_the_wrong_way_is_answered_by_the_right_one(
    path: str, method: str, status: int, header: tuple[str, str], said: str
) -> None:
    found, headers, body = await ask("http", path, method)
    assert (found, headers[header[0]]) == (status, header[1])
    assert body["error"]["message"].startswith(said)
    assert body["error"]["data"]["kind"] == "invalid"


async def test_what_is_there_is_left_alone() -> None:
    assert (await ask("http", "/", "HEAD"))[0] == 200
    assert (await ask("http", "/rpc", "POST"))[2] == b"here"
    assert (await ask("websocket", "/ws"))[0] == 101


async def test_a_long_path_is_shown_cut() -> None:
    """A stranger chooses its length, and what is in it."""
    _, _, body = await ask("http", "/" + "\x1b[31m" * 4000)
    assert len(body["error"]["message"]) < SHOWN_CHARS * 5 + 300
    assert "\x1b" not in body["error"]["message"]
