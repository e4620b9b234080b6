"""Python: `jsonrpcclient` for the messages, `websockets` for the socket; and our own client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonrpcclient import Error, Ok, notification_json, parse, parse_json, request, request_json
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_sync

from gateway.client import Client
from gateway.core.errors import NotFound
from tests.clients.running import HANGS_S, Gateway
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.timeout(HANGS_S)  # a gateway is started


def test_jsonrpcclient_over_a_socket(gateway: Gateway) -> None:
    """Its parser wants an `id` in every answer, also in errors."""
    headers = {"Authorization": f"Bearer {gateway.token}"}
    with connect_sync(gateway.socket_url, additional_headers=headers, proxy=None) as socket:

        def call(method: str, params: dict[str, Any]) -> Any:
            socket.send(request_json(method, params=params))
            return parse_json(socket.recv(PATIENCE_S))

        answer = call("send", {"text": "good morning"})
        assert isinstance(answer, Ok)
        assert answer.result["reply"] == "You said: good morning"
        refused = call("send", {})
        assert isinstance(refused, Error)
        assert (refused.code, refused.data["kind"]) == (-32602, "invalid")
        socket.send(notification_json("status"))
        socket.send("{")
        broken = parse_json(socket.recv(PATIENCE_S))
        assert isinstance(broken, Error)
        assert (broken.code, broken.id) == (-32700, None)


def test_jsonrpcclient_over_http(gateway: Gateway) -> None:
    """A batch too."""
    batch = [request("status"), request("turns.get", params={"turn_id": "t_none"})]
    answered = gateway.post(batch)
    status, missing = (parse(answer) for answer in answered)
    assert isinstance(status, Ok)
    assert isinstance(missing, Error)
    assert missing.data["kind"] == "not_found"


async def test_websockets_is_closed_with_1012_and_comes_back(own_gateway: Gateway) -> None:
    """Its own loop of connections goes on after a stop; events go on by number."""
    headers = {"Authorization": f"Bearer {own_gateway.token}"}
    follow = {"jsonrpc": "2.0", "id": 1, "method": "events.subscribe"}
    after, seen, codes = 0, list[int](), list[int | None]()
    async for socket in connect(own_gateway.socket_url, additional_headers=headers, proxy=None):
        try:
            await socket.send(json.dumps({**follow, "params": {"after_seq": after}}))
            async for frame in socket:
                message = json.loads(frame)
                if message.get("method") == "events.event":
                    after = message["params"]["seq"]
                    seen.append(after)
                elif message.get("method") == "events.caught_up" and not codes:
                    own_gateway.call("send", text="before")
                    own_gateway.stop()
                    own_gateway.start()
                    own_gateway.call("send", text="after")
                if after == 6:
                    break
        except ConnectionClosed as closed:
            codes.append(closed.rcvd.code if closed.rcvd else None)
            continue
        break
    assert seen == [1, 2, 3, 4, 5, 6]
    assert codes == [1012]


async def test_our_own_client(own_gateway: Gateway) -> None:
    """Errors are classes, and a subscription does not notice a restart."""
    async with Client(own_gateway.url, own_gateway.token) as client:
        answer = await client.call("send", {"text": "good morning"})
        assert answer["reply"] == "You said: good morning"
        with pytest.raises(NotFound):
            await client.call("turns.get", {"turn_id": "t_none"})
        seen = list[int]()
        events = client.events(after_seq=0)
        async for event in events:
            seen.append(event["seq"])
            if event["seq"] == 3:
                own_gateway.stop()
                own_gateway.start()
                own_gateway.call("send", text="after")
            if event["seq"] == 6:
                break
        assert seen == [1, 2, 3, 4, 5, 6]
        assert (await client.call("turns.list"))["turns"][0]["state"] == "answered"
