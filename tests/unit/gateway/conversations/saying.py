"""What is said in the tests of conversations."""

from __future__ import annotations

from gateway.conversations.addressing import CHANNEL
from gateway.conversations.asking import NewMessage, TurnProgress
from gateway.core.keys import RouteKey
from gateway.core.parts import Text
from gateway.identity.principal import Principal
from tests.unit.gateway.rpc.talk import ALICE, World

NOTES = "agent:main:websocket:direct:alice%2Fnotes"
WAIT_MS = 60_000


def message(text: str, peer: str = "notes") -> NewMessage:
    """Words at one of the sender's own places."""
    return NewMessage(RouteKey(CHANNEL, peer=peer), (Text(text),))


async def said(
    world: World, text: str, peer: str = "notes", *, by: Principal = ALICE
) -> TurnProgress:
    """A turn with its answer."""
    asking = world.gateway.conversations.asking
    return await asking.answer(by, message(text, peer), wait_ms=WAIT_MS)
