"""An outbox on a real store with channels that a test can see into; several lives on one store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson

from channels.base.channel import Capabilities, Channel
from channels.memory import MemoryChannel
from gateway.core.clock import ManualClock
from gateway.core.ids import ContentId, SequentialIds, TurnId
from gateway.core.keys import Destination
from gateway.delivery.outbox import Outbox
from gateway.delivery.planning import CHAT_TTL_MS, Answer
from gateway.store.base.conversations import PutContent
from gateway.store.base.events import EventRow, ReadEvents
from gateway.store.base.outbox import DeliveriesOfTurn, DeliveryRow
from gateway.store.base.store import Durability, Unit
from tests.support.cutting import CuttableStore
from tests.support.patience import PATIENCE_S
from tests.support.standins import Middle

PLAIN = Capabilities()


class Post:
    """`write` puts an answer into the outbox as a turn's end does; `channel` is where it goes."""

    def __init__(self, store: CuttableStore, *, able: Capabilities = PLAIN) -> None:
        self.store = store
        self.clock = ManualClock()
        self.able = able
        self._ids = SequentialIds()
        self._turns = 0
        self.channel = MemoryChannel(capabilities=able)
        self.outbox = self._outbox([self.channel])

    def _outbox(
        self,
        channels: Sequence[Channel],
        *,
        shared: bool = False,
        store: CuttableStore | None = None,
    ) -> Outbox:
        return Outbox(
            store=store or self.store,
            clock=self.clock,
            ids=self._ids,
            chance=Middle(),
            channels=channels,
            shared=shared,
        )

    def beside(self, store: CuttableStore | None = None) -> tuple[Outbox, MemoryChannel]:
        """Another process on the same database, with a channel of its own to the same places."""
        channel = MemoryChannel(capabilities=self.able)
        return self._outbox([channel], shared=True, store=store), channel

    async def reopen(self, channels: Sequence[Channel] | None = None) -> None:
        """A new process takes up what is stored; the receivers are new, too."""
        self.channel = MemoryChannel(capabilities=self.able)
        self.outbox = self._outbox([self.channel] if channels is None else channels)
        await self.outbox.start()

    async def cut(self) -> None:
        """The process ends in the middle of what it is doing."""
        await self.clock.drive(self.outbox.stop(grace_s=0.001))

    async def write(
        self,
        text: str,
        *,
        to: str = "ann",
        channel: str = "memory",
        ttl_ms: int = CHAT_TTL_MS,
        kept: bool = True,
        woken: bool = True,
    ) -> TurnId:
        """An answer to somebody, durable and on its way; the turn's id names it.

        Not `kept`, its words were deleted; not `woken`, its process ended before sending it.
        """
        self._turns += 1
        turn_id = TurnId(f"t{self._turns}")
        content = ContentId(f"c{self._turns}")
        destination = Destination(channel, "default", to)
        now = self.clock.now_ms()
        answer = Answer(turn_id, f"session of {to}", destination, text, content, now, ttl_ms)
        planned = self.outbox.plan(answer)
        put = PutContent(content, answer.session_key, orjson.dumps({"text": text}).decode())
        ops = (put, *planned.ops) if kept else planned.ops
        await self.store.commit(Unit(ops, durability=Durability.CRITICAL))
        if woken:
            self.outbox.wake(planned.deliveries)
        return turn_id

    async def done(self) -> None:
        """Until nothing is on its way any more, however long the clock takes."""
        async with asyncio.timeout(PATIENCE_S):
            await self.clock.drive(self.outbox.drained())

    async def quiet(self) -> None:
        """Until nothing can happen without time passing."""
        await self.store.quiet()

    async def wait(self, seconds: float) -> None:
        await self.quiet()
        await self.clock.advance(seconds)
        await self.quiet()

    async def rows(self, turn_id: TurnId) -> list[DeliveryRow]:
        return await self.store.read(DeliveriesOfTurn(turn_id))

    async def row(self, turn_id: TurnId) -> DeliveryRow:
        (row,) = await self.rows(turn_id)
        return row

    async def state(self, turn_id: TurnId) -> str:
        return (await self.row(turn_id)).state

    async def events(self) -> list[EventRow]:
        return await self.store.read(ReadEvents(0, 1000))

    def texts(self) -> list[str]:
        """What the receivers of this life have seen."""
        return [message.text for message in self.channel.sent]

    def tried(self, to: str = "ann") -> list[str]:
        """Every attempt to reach somebody in this life."""
        return [
            message.text for message in self.channel.attempts if message.destination.target == to
        ]
