"""The one way out: deliveries leave in order per destination, and no destination waits for another.

`plan` turns an answer into deliveries for the unit that makes it durable; the worker sends what is
durable. Between the mark "being sent" and the mark "sent" a crash leaves a doubt: where the channel
drops second copies the message is sent again, elsewhere it ends as `unknown` and is shown to the
operator.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
import structlog
from gateway.delivery.chunks import chunk

from agents.base import messages
from channels.base.channel import Capabilities, Channel
from channels.base.messages import Outbound, Receipt
from gateway.core.clock import Clock
from gateway.core.crashpoints import crashpoint
from gateway.core.errors import (
    Conflict,
    DeliveryTransient,
    DeliveryUnknown,
    StoreUnavailable,
)
from gateway.core.ids import Chance, ContentId, DeliveryId, Ids, TurnId
from gateway.core.keys import Destination, parse_destination
from gateway.core.parts import text_of
from gateway.core.tasks import Ending, TaskOwner
from gateway.delivery.policy import CHAT_TTL_MS, SEND_S, GiveUp, RetryAt, after_failure
from gateway.events.kinds import Kind
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import PutContent
from gateway.store.base.outbox import (
    BeginSend,
    DeliveriesOfTurn,
    DeliveryRow,
    EndSend,
    EnqueueDelivery,
    OpenDeliveries,
    RetrySend,
)
from gateway.store.base.store import Durability, NewEvent, Store, Unit

PAGE = 500
RETRY_STORE_S = 1.0
"""How soon a delivery goes on after the store refused a write."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Planned:
    """An answer as deliveries: the writes, and the key of the first for whoever waits for it."""

    ops: tuple[Op, ...]
    key: str


@dataclass(slots=True)
class _Lane:
    """What waits for one destination, by order of its making."""

    waiting: list[tuple[int, DeliveryRow]] = field(default_factory=list)


class Outbox:
    """Plans and sends deliveries over the channels it is given."""

    def __init__(
        self, *, store: Store, clock: Clock, ids: Ids, chance: Chance, channels: Sequence[Channel]
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._chance = chance
        self._channels: Mapping[tuple[str, str], Channel] = {
            (channel.name, channel.account): channel for channel in channels
        }
        self._lanes: dict[str, _Lane] = {}
        self._owner = TaskOwner("delivery", _report)
        self._resting: set[asyncio.Task[object]] = set()
        self._stopping = False

    def plan(
        self,
        *,
        turn_id: TurnId,
        session_key: str,
        destination: Destination,
        text: str,
        content_id: ContentId,
        now: int,
        ttl_ms: int = CHAT_TTL_MS,
    ) -> Planned:
        """The writes that put an answer into the outbox.

        `content_id` already holds the whole text; pieces get contents of their own only where the
        destination is too small for it.
        """
        able = self._capabilities(destination)
        pieces = chunk(text, able.limit, able.unit)
        ops: list[Op] = []
        for part, piece in enumerate(pieces, start=1):
            content = content_id
            if piece != text:
                content = ContentId(self._ids.new("c"))
                body = orjson.dumps({"text": piece}).decode()
                ops.append(PutContent(content, session_key, body))
            ops.append(
                EnqueueDelivery(
                    self._ids.new("d"),
                    f"{turn_id}:{part}",
                    str(destination),
                    session_key,
                    turn_id,
                    part,
                    len(pieces),
                    content,
                    now,
                    now + ttl_ms,
                )
            )
        return Planned(tuple(ops), f"{turn_id}:1" if pieces else "")

    async def start(self) -> None:
        """Take up what an earlier process left."""
        after = 0
        while rows := await self._store.read(OpenDeliveries(after, PAGE)):
            after = rows[-1].ordinal
            for row in rows:
                self._put(row)

    def wake(self, turn_id: TurnId) -> None:
        """A turn's deliveries are durable: send them."""
        self._owner.start(f"load.{turn_id}", self._load(turn_id), ending=Ending.FINISHABLE)

    async def stop(self, *, grace_s: float) -> None:
        """Let sends under way end for `grace_s`; what is pending stays so."""
        self._stopping = True
        for task in self._resting:
            task.cancel()
        try:
            async with self._clock.timeout(grace_s):
                await self._owner.close()
        except TimeoutError:
            log.warning("delivery.cut", sends=len(self._owner))

    async def drained(self) -> None:
        """Wait until nothing is being sent or waits for another attempt."""
        await self._owner.join()

    async def _load(self, turn_id: TurnId) -> None:
        for row in await self._store.read(DeliveriesOfTurn(turn_id)):
            if row.state == "pending":
                self._put(row)

    def _put(self, row: DeliveryRow) -> None:
        lane = self._lanes.get(row.destination)
        if lane is None:
            lane = self._lanes[row.destination] = _Lane()
            self._owner.start(
                row.destination, self._send_all(row.destination, lane), ending=Ending.FINISHABLE
            )
        heapq.heappush(lane.waiting, (row.ordinal, row))

    async def _send_all(self, key: str, lane: _Lane) -> None:
        try:
            while lane.waiting and not self._stopping:
                _, row = lane.waiting[0]
                await self._finish(row)
                if lane.waiting and lane.waiting[0][1] is row:
                    heapq.heappop(lane.waiting)
        finally:
            del self._lanes[key]

    async def _finish(self, row: DeliveryRow) -> None:
        """Bring one delivery to its end, through as many attempts as the policy allows."""
        while not self._stopping:
            try:
                next_row = await self._attempt(row)
            except Conflict:
                return  # it has ended elsewhere: an operator purged or retried it
            if next_row is None:
                return
            row = next_row

    async def _attempt(self, row: DeliveryRow) -> DeliveryRow | None:
        """One attempt; the row as it stands when there has to be another."""
        destination = parse_destination(row.destination)
        channel = self._channels.get((destination.channel, destination.account))
        dedupes = channel is not None and channel.capabilities.dedupes
        now = self._clock.now_ms()
        if row.state == "sending":  # cut by a crash between the two marks
            if not dedupes:
                await self._end(row, "unknown", error="the process ended while it was being sent")
                return None
            await self._commit(RetrySend(row.delivery_id, now, "interrupted"), Durability.ORDINARY)
            return row._replace(state="pending", next_at=now)
        if row.body is None:
            await self._end(row, "dead", error="its text was deleted")
            return None
        if now >= row.expires_at:
            await self._end(row, "expired", error=row.error or "its time to live is over")
            return None
        if row.next_at > now:
            await self._rest((row.next_at - now) / 1000)
            return row
        crashpoint("delivery.before_begin")
        # Only a mark that may have to stop a second copy must survive a loss of power.
        await self._commit(
            BeginSend(row.delivery_id, now),
            Durability.ORDINARY if dedupes else Durability.CRITICAL,
        )
        row = row._replace(state="sending", attempts=row.attempts + 1)
        crashpoint("delivery.before_send")
        try:
            receipt = await self._send(channel, destination, row)
        except Exception as error:  # noqa: BLE001  # the boundary of an attempt
            return await self._failed(row, error, dedupes=dedupes)
        crashpoint("delivery.after_send")
        await self._end(row, "sent", receipt=receipt.external_id)
        crashpoint("delivery.after_ack")
        return None

    async def _send(
        self, channel: Channel | None, destination: Destination, row: DeliveryRow
    ) -> Receipt:
        if channel is None:
            raise DeliveryTransient(
                f"no channel {destination.channel!r} with account {destination.account!r} runs"
            )
        outbound = Outbound(
            DeliveryId(row.delivery_id),
            row.key,
            destination,
            _text(row.body or "{}"),
            TurnId(row.turn_id),
            row.attempts,
            row.part,
            row.parts,
        )
        try:
            async with self._clock.timeout(SEND_S):
                return await channel.send(outbound)
        except TimeoutError as error:
            raise DeliveryUnknown(f"no answer within {SEND_S:g} s") from error

    async def _failed(
        self, row: DeliveryRow, error: Exception, *, dedupes: bool
    ) -> DeliveryRow | None:
        now = self._clock.now_ms()
        said = f"{type(error).__name__}: {error}"[:500]
        verdict = after_failure(
            error,
            attempts=row.attempts,
            now=now,
            expires_at=row.expires_at,
            dedupes=dedupes,
            chance=self._chance,
        )
        match verdict:
            case RetryAt(at):
                retry = RetrySend(row.delivery_id, at, said)
                await self._commit(retry, Durability.ORDINARY)
                log.info("delivery.retry", delivery_id=row.delivery_id, at=at, reason=said)
                return row._replace(state="pending", next_at=at, error=said)
            case GiveUp(state):
                await self._end(row, state, error=said)
                return None

    async def _end(
        self, row: DeliveryRow, state: str, *, receipt: str = "", error: str = ""
    ) -> None:
        now = self._clock.now_ms()
        data: dict[str, str | int] = {"delivery_id": row.delivery_id, "attempts": row.attempts}
        if error:
            data["error"] = error
            log.warning(f"delivery.{state}", **data)
        event = NewEvent(
            now,
            Kind(f"delivery.{state}"),
            row.session_key,
            turn_id=row.turn_id,
            data=orjson.dumps(data).decode(),
        )
        unit = Unit(
            (EndSend(row.delivery_id, state, receipt, error, now),), (event,), Durability.CRITICAL
        )
        await self._persist(unit)

    async def _commit(self, op: Op, durability: Durability) -> None:
        await self._persist(Unit((op,), durability=durability))

    async def _persist(self, unit: Unit) -> None:
        """Write a mark, however long the store refuses: what was sent must not be forgotten."""
        while True:
            try:
                await self._store.commit(unit)
            except StoreUnavailable as error:
                log.warning("delivery.store_unavailable", reason=str(error))
                await self._clock.sleep(RETRY_STORE_S)
            else:
                return

    async def _rest(self, seconds: float) -> None:
        """Wait for the next attempt; `stop` ends it, and nothing is lost by that."""
        task = asyncio.current_task()
        assert task is not None
        self._resting.add(task)
        try:
            await self._clock.sleep(seconds)
        finally:
            self._resting.discard(task)

    def _capabilities(self, destination: Destination) -> Capabilities:
        channel = self._channels.get((destination.channel, destination.account))
        return channel.capabilities if channel is not None else Capabilities()


def _text(body: str) -> str:
    """The words of a content row: a piece of its own, or a message of the transcript."""
    value = orjson.loads(body)
    if "role" not in value:
        return str(value["text"])
    message = messages.from_json(value)
    if isinstance(message, messages.UserMessage):
        return text_of(message.parts)
    return message.text


def _report(name: str, error: BaseException) -> None:
    log.error("task.failed", task=name, exc_info=error)
