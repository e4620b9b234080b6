"""The channel of JSON-RPC clients, over a WebSocket or by POST: answers are fetched.

Nothing is read and nothing is sent here. Messages come in by methods; an answer lies ready when its
turn ends and counts as sent once the client was first written it, as the result of a wait or as the
event that ends the turn. Unfetched answers are found again by their number.
"""

from __future__ import annotations

import asyncio

from channels.base.channel import Capabilities, Intake
from channels.base.messages import Outbound, Receipt
from gateway.core.errors import DeliveryPermanent
from gateway.core.keys import DEFAULT_ACCOUNT


class WebSocketChannel:
    """`channels.base.channel.Channel` for clients that fetch."""

    name = "websocket"
    account = DEFAULT_ACCOUNT
    capabilities = Capabilities(pulled=True)

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    async def run(self, intake: Intake) -> None:
        """Wait for the end: there is no source to read."""
        await self._closed.wait()

    async def send(self, message: Outbound) -> Receipt:
        """Refused: no client would get it."""
        raise DeliveryPermanent("clients of this channel fetch their answers; nothing was shown")

    async def close(self) -> None:
        self._closed.set()
