"""The channel of clients that fetch: it serves every account and sends nothing by itself."""

from __future__ import annotations

import asyncio

import pytest

from channels.base.channel import Channel
from channels.base.messages import Accepted, Inbound, Outbound
from channels.websocket import WebSocketChannel
from gateway.core.clock import settle
from gateway.core.errors import DeliveryPermanent
from gateway.core.ids import DeliveryId, TurnId
from gateway.core.keys import Destination


class Nobody:
    """An intake that is never called."""

    async def accept(self, message: Inbound) -> Accepted:
        raise AssertionError(message)

    async def cancel(self, turn_id: TurnId) -> None:
        raise AssertionError(turn_id)


def test_receivers_fetch() -> None:
    """So that no worker waits for them."""
    channel: Channel = WebSocketChannel()
    assert (channel.name, channel.account) == ("websocket", "default")
    assert channel.capabilities.pulled
    assert channel.capabilities.limit is None


async def test_it_runs_until_it_is_closed() -> None:
    """There is nothing to read."""
    channel = WebSocketChannel()
    running = asyncio.get_running_loop().create_task(channel.run(Nobody()))
    await settle()
    assert not running.done()
    await channel.close()
    await running


async def test_nothing_is_sent() -> None:
    """It would reach nobody, now or later."""
    destination = Destination("websocket", "default", "alice/x")
    message = Outbound(DeliveryId("d"), "k", destination, "x", TurnId("t"), 1)
    with pytest.raises(DeliveryPermanent):
        await WebSocketChannel().send(message)
