"""The one way out: deliveries leave in order per destination, and no destination waits for another.

Sends what is durable already. Between the mark "being sent" and the mark "sent" a crash leaves a
doubt: where the channel drops second copies the message is sent again, elsewhere it ends as
`unknown` and is shown to the operator. What becomes of an attempt is decided in `policy`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import orjson
import structlog

from channels.base.channel import Capabilities, Channel
from channels.base.messages import Outbound, Receipt
from gateway.core.clock import Clock
from gateway.core.crashpoints import crashpoint
from gateway.core.errors import Conflict, DeliveryUnknown, StoreUnavailable
from gateway.core.ids import Chance, Ids
from gateway.core.keys import Destination
from gateway.core.retrying import until_answered
from gateway.core.tasks import Ending, TaskOwner
from gateway.delivery import planning
from gateway.delivery.planning import Answer, Delivery, Planned
from gateway.delivery.policy import SEND_S, GiveUp, RetryAt, after_failure, before_attempt
from gateway.events.kinds import Kind
from gateway.store.base.catalog import Op
from gateway.store.base.outbox import (
    BeginSend,
    EndSend,
    GetDelivery,
    OpenDeliveries,
    RetrySend,
    TakeSend,
)
from gateway.store.base.store import Durability, NewEvent, Store, Unit
from gateway.telemetry.tasks import task_failed

PAGE = 500
"""Rows of one read: few round trips, and no long stop of the event loop."""
FRESH_MS = 1000
"""What has waited longer is looked at again before it leaves: its words may have been deleted."""
ABANDONED_MS = round(SEND_S * 1000) + 5000
"""Where several processes send, what none has touched for so long is nobody's: no send takes so
long."""
MAX_SAID_CHARS = 500
"""Kept of what a destination said: enough for its reason, not for the page around it."""

_EVER = 1 << 62
"""Later than any mark: each is old enough to be taken over."""

log = structlog.get_logger(__name__)


class Outbox:
    """Plans and sends deliveries over the channels it is given.

    A destination has a queue and a task while something waits for it. The queues hold what the
    store holds as open, so the time to live bounds them.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: Ids,
        chance: Chance,
        channels: Sequence[Channel],
        shared: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._chance = chance
        self._shared = shared
        self._channels: dict[tuple[str, str], Channel] = {}
        self._pulled: dict[str, Channel] = {}
        self._appeared = asyncio.Event()
        self._waiting: dict[Destination, deque[Delivery]] = {}
        self._owner = TaskOwner("delivery", task_failed)
        self._resting: set[asyncio.Task[object]] = set()
        self._stopping = False
        for channel in channels:
            self.attach(channel)

    def __len__(self) -> int:
        """How many destinations have something on its way."""
        return len(self._waiting)

    def attach(self, channel: Channel) -> None:
        """Send over this channel from now on; again is nothing.

        Deliveries that waited for it are tried immediately. Raises `Conflict` where another channel
        has its name and account.
        """
        key = (channel.name, channel.account)
        if self._channels.setdefault(key, channel) is not channel:
            raise Conflict(f"another channel {key[0]!r} with account {key[1]!r} runs here")
        if channel.capabilities.pulled:
            self._pulled[channel.name] = channel
        # Waiting deliveries hold the old event; later ones wait for the next channel.
        self._appeared.set()
        self._appeared = asyncio.Event()

    def detach(self, channel: Channel) -> None:
        """Begin no more sends over this channel; one under way ends, the others wait.

        What waits is kept as if the channel had never run here: until its time to live.
        """
        key = (channel.name, channel.account)
        if self._channels.get(key) is channel:
            del self._channels[key]
            self._pulled.pop(channel.name, None)

    def plan(self, answer: Answer) -> Planned:
        """The writes that put an answer into the outbox; `wake` sends it once they hold."""
        channel = self._channel(answer.destination)
        able = channel.capabilities if channel is not None else Capabilities()
        return planning.plan(answer, able, self._ids)

    async def start(self) -> None:
        """Take up what an earlier process left; call once, before anything is woken."""
        if self._shared:
            await self.adopt()
            return
        after = 0
        while rows := await self._store.read(OpenDeliveries(after, PAGE)):
            after = rows[-1].ordinal
            self.wake([planning.from_row(row) for row in rows])

    async def adopt(self) -> None:
        """Take up what another process has left, in order, where its channel runs here.

        Raises `StoreUnavailable`. Two may adopt the same: its next mark is given to one of them.
        """
        after, before = 0, self._clock.now_ms() - ABANDONED_MS
        passed_over = set(self._waiting)
        while rows := await self._store.read(OpenDeliveries(after, PAGE)):
            after = rows[-1].ordinal
            for delivery in map(planning.from_row, rows):
                nobodys = delivery.next_at < before and self._channel(delivery.destination)
                # Once one is passed over, a later one to the same destination must not overtake it.
                if not nobodys:
                    passed_over.add(delivery.destination)
                elif delivery.destination not in passed_over:
                    self.wake([delivery])

    def wake(self, deliveries: Sequence[Delivery]) -> None:
        """These are durable: send them. Called in the order in which they became so."""
        for delivery in deliveries:
            if delivery.state == "available":
                continue  # its receiver fetches it
            waiting = self._waiting.get(delivery.destination)
            if waiting is None:
                waiting = self._waiting[delivery.destination] = deque()
                work = self._send_all(delivery.destination, waiting)
                self._owner.start(str(delivery.destination), work, ending=Ending.FINISHABLE)
            waiting.append(delivery)

    async def stop(self, *, grace_s: float) -> None:
        """Let sends under way end for `grace_s`; what is pending stays so."""
        self._stopping = True
        # A rest may last for hours. A send under way is left to end: cutting it leaves a doubt.
        for task in self._resting:
            task.cancel()
        try:
            async with self._clock.timeout(grace_s):
                await self._owner.close()
        except TimeoutError:
            log.warning("delivery.cut", grace_s=grace_s)

    async def drained(self) -> None:
        """Wait until nothing is being sent or waits for another attempt."""
        await self._owner.join()

    async def _send_all(self, destination: Destination, waiting: deque[Delivery]) -> None:
        try:
            while waiting and not self._stopping:
                await self._finish(waiting[0])
                # Not before its end: until then it is on its way, and keeps its place from `adopt`.
                waiting.popleft()
        finally:
            # No wait lies between the last look at the queue and this: `wake` finds either a queue
            # that is worked or none.
            del self._waiting[destination]

    async def _finish(self, delivery: Delivery) -> None:
        """Bring one delivery to its end, through as many attempts as the policy allows."""
        open_: Delivery | None = delivery
        try:
            while open_ is not None and not self._stopping:
                open_ = await self._attempt(open_)
        except Conflict:
            log.info("delivery.ended_elsewhere", delivery_id=delivery.delivery_id)
        except Exception:  # the boundary of a destination: the next message must not wait for ever
            # It is open in the store: the next start takes it up.
            log.exception("delivery.bug", delivery_id=delivery.delivery_id)

    async def _attempt(self, delivery: Delivery) -> Delivery | None:
        """One attempt, or a rest; the delivery as it stands when there has to be another."""
        channel = self._channel(delivery.destination)
        dedupes = channel is not None and channel.capabilities.dedupes
        now = self._clock.now_ms()
        match before_attempt(delivery, now=now, present=channel is not None, dedupes=dedupes):
            case GiveUp(state, error):
                await self._end(delivery, state, error=error)
                return None
            case RetryAt(at):
                if channel is None:
                    delivery = replace(delivery, error=_absent(delivery.destination))
                    log.warning("delivery.no_channel", destination=str(delivery.destination))
                await self._rest((at - now) / 1000, absent=channel is None)
                return delivery
        assert channel is not None  # without one there is no sending now
        if now > delivery.made_at + FRESH_MS and await self._is_deleted(delivery):
            return replace(delivery, text=None)
        delivery = await self._begin(delivery, now, dedupes=dedupes)
        try:
            receipt = await self._send(channel, delivery)
        except Exception as error:  # noqa: BLE001  # the boundary of an attempt
            return await self._failed(delivery, error, dedupes=dedupes)
        crashpoint("delivery.after_send")
        await self._end(delivery, "sent", receipt=_storable(receipt.external_id))
        crashpoint("delivery.after_ack")
        return None

    async def _begin(self, delivery: Delivery, now: int, *, dedupes: bool) -> Delivery:
        begin: tuple[Op, ...] = (BeginSend(delivery.delivery_id, now),)
        if delivery.state == "sending":
            # The mark of another send: with a store of its own this process knows that its sender
            # is dead; where several share one, only its age says so.
            before = now - ABANDONED_MS if self._shared else _EVER
            begin = (TakeSend(delivery.delivery_id, before, now),)
        crashpoint("delivery.before_begin")
        # Only a mark that may have to stop a second copy must survive a loss of power.
        durability = Durability.ORDINARY if dedupes else Durability.CRITICAL
        await self._commit(Unit(begin, durability=durability))
        crashpoint("delivery.before_send")
        return replace(delivery, state="sending", attempts=delivery.attempts + 1)

    async def _send(self, channel: Channel, delivery: Delivery) -> Receipt:
        outbound = Outbound(
            delivery.delivery_id,
            delivery.key,
            delivery.destination,
            delivery.text or "",
            delivery.turn_id,
            delivery.attempts,
            delivery.part,
            delivery.parts,
        )
        try:
            async with self._clock.timeout(SEND_S):
                return await channel.send(outbound)
        except TimeoutError as error:
            raise DeliveryUnknown(f"no answer within {SEND_S:g} s") from error

    async def _failed(
        self, delivery: Delivery, error: Exception, *, dedupes: bool
    ) -> Delivery | None:
        said = _storable(f"{type(error).__name__}: {error}")
        now = self._clock.now_ms()
        match after_failure(error, delivery, now=now, dedupes=dedupes, chance=self._chance):
            case RetryAt(at):
                # Lost with the power the mark stays `sending`, which is a doubt: the safe side.
                await self._commit(Unit((RetrySend(delivery.delivery_id, at, said),)))
                log.info("delivery.retry", delivery_id=delivery.delivery_id, at=at, reason=said)
                return replace(delivery, state="pending", next_at=at, error=said)
            case GiveUp(state):
                await self._end(delivery, state, error=said)
                return None

    async def _end(
        self, delivery: Delivery, state: str, *, receipt: str = "", error: str = ""
    ) -> None:
        now = self._clock.now_ms()
        data: dict[str, str | int] = {
            "delivery_id": delivery.delivery_id,
            "attempts": delivery.attempts,
        }
        if error:
            data["error"] = error
            log.warning(f"delivery.{state}", **data)
        event = NewEvent(
            now,
            Kind(f"delivery.{state}"),
            delivery.session_key,
            turn_id=delivery.turn_id,
            data=orjson.dumps(data).decode(),
        )
        # Critical: forgotten, a message that was shown would be sent again or be called unknown.
        end = EndSend(delivery.delivery_id, state, receipt, error, now)
        await self._commit(Unit((end,), (event,), Durability.CRITICAL))

    async def _is_deleted(self, delivery: Delivery) -> bool:
        """Whether its words are gone since it was queued; asked only with words at hand."""
        query = GetDelivery(delivery.delivery_id)
        rows = await until_answered(lambda: self._store.read(query), self._clock, _put_off)
        return bool(rows) and rows[0].body is None

    async def _commit(self, unit: Unit) -> None:
        """Write a mark, however long the store refuses: what was sent must not be forgotten."""
        await until_answered(lambda: self._store.commit(unit), self._clock, _put_off)

    async def _rest(self, seconds: float, *, absent: bool) -> None:
        """Wait for the next attempt, or where the channel is absent, for one to appear.

        `stop` ends it, and nothing is lost by that.
        """
        task = asyncio.current_task()
        assert task is not None
        self._resting.add(task)
        try:
            if not absent:
                await self._clock.sleep(seconds)
                return
            with suppress(TimeoutError):
                async with self._clock.timeout(seconds):
                    await self._appeared.wait()
        finally:
            self._resting.discard(task)

    def _channel(self, destination: Destination) -> Channel | None:
        exact = self._channels.get((destination.channel, destination.account))
        return exact or self._pulled.get(destination.channel)


def _absent(destination: Destination) -> str:
    return f"no channel {destination.channel!r} with account {destination.account!r} runs here"


def _storable(text: str) -> str:
    """What a destination said, as it can be kept: a foreign text may be long and hold anything."""
    return text[:MAX_SAID_CHARS].encode(errors="backslashreplace").decode()


def _put_off(error: StoreUnavailable) -> None:
    log.warning("delivery.store_unavailable", reason=str(error))
