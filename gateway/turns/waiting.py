"""Waiting for the end of a turn: a future a waiter, resolved by the commit that ends the turn.

Nothing polls. An event nobody waits for costs one look into a dictionary. A waiter is entered
before the state is read, so an end in between is not missed; who waits for a merged message is told
of the turn that answered it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import orjson

from agents.base import messages
from gateway.core.errors import NotFound
from gateway.core.ids import TurnId
from gateway.core.parts import text_of
from gateway.events.kinds import Kind
from gateway.sessions.content import words_of
from gateway.store.base.conversations import LastEntryOfTurn
from gateway.store.base.events import EventRow
from gateway.store.base.inputs import GetInput, InputRow, QueuedInputs, SessionTurn
from gateway.store.base.outbox import DeliveriesOfTurn
from gateway.store.base.store import Committed, Store
from gateway.wire.methods.turns import OPEN_STATES

WAITING = 1000
"""More messages than wait in any session."""
STATES: dict[str, str] = {
    Kind.TURN_COMPLETED: "answered",
    Kind.TURN_FAILED: "failed",
    Kind.TURN_CANCELLED: "cancelled",
    Kind.INPUT_CANCELLED: "cancelled",
    Kind.INPUT_EXPIRED: "expired",
}
"""What the event at the end of a turn says of its state."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a turn ended.

    `turn_id` is the turn that answered: another than the one waited for where that was merged.
    `kind` is a failure's stable word. `text` is what the sender gets, None where it is gone.
    """

    turn_id: TurnId
    state: str
    kind: str = ""
    delivery_key: str = ""
    text: str | None = None


class TurnWaiters:
    """All who wait for turns of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, set[asyncio.Future[Ended | TurnId | None]]] = {}
        self._released = False
        store.listen(self._heard)

    def __len__(self) -> int:
        """How many turns somebody waits for."""
        return len(self._waiting)

    def count(self, turn_id: TurnId) -> int:
        """How many wait for a turn."""
        return len(self._waiting.get(turn_id, ()))

    def release(self) -> None:
        """Let nobody wait from now on: the gateway stops, and turns go on at its next start."""
        self._released = True
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    async def ended(self, turn_id: TurnId) -> Ended | None:
        """How the turn ended, as soon as it has; None when it has not and nobody may wait longer.

        Raises `NotFound`. Cancelling changes nothing.
        """
        while True:
            outcome = await self._next(turn_id)
            if outcome is None or isinstance(outcome, Ended):
                return outcome
            turn_id = outcome

    async def leading(self, row: InputRow) -> InputRow:
        """The input whose turn answers this one: another where it was merged."""
        while row.state == "merged":
            found = await self._store.read(GetInput(row.merged_into))
            if not found:
                break
            row = found[0]
        return row

    async def so_far(self, row: InputRow) -> Ended | None:
        """How the turn that answers an input ended, by the store; None while it has not."""
        row = await self.leading(row)
        if row.state in OPEN_STATES:
            return None
        deliveries = await self._store.read(DeliveriesOfTurn(row.turn_id))
        key = deliveries[0].key if deliveries else ""
        if len(deliveries) == 1:
            text = _shown(deliveries[0].body)
        else:
            # Pieces need not add up to the whole; the transcript has it.
            text = await self._from_transcript(row)
            if text is None and deliveries:
                text = "\n".join(_shown(piece.body) or "" for piece in deliveries)
        return Ended(TurnId(row.turn_id), row.state, row.detail, key, text)

    async def newest_open(self, session_key: str) -> TurnId | None:
        """The turn a session is at, else the newest of those that wait there."""
        for running in await self._store.read(SessionTurn(session_key)):
            return TurnId(running.turn_id)
        waiting = await self._store.read(QueuedInputs(session_key, WAITING))
        return TurnId(waiting[-1].turn_id) if waiting else None

    async def now(self, turn_id: TurnId) -> tuple[InputRow, Ended | None]:
        """The input whose turn answers this one, and how it ended; None while it has not.

        Raises `NotFound`.
        """
        rows = await self._store.read(GetInput(turn_id))
        if not rows:
            raise NotFound(f"there is no turn {turn_id!r}")
        row = await self.leading(rows[0])
        return row, await self.so_far(row)

    async def _next(self, turn_id: TurnId) -> Ended | TurnId | None:
        """The end of a turn, or the turn it was merged into; None: neither, and no more waiting."""
        future: asyncio.Future[Ended | TurnId | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(turn_id, set()).add(future)
        try:
            rows = await self._store.read(GetInput(turn_id))
            if future.done():
                return future.result()
            if not rows:
                raise NotFound(f"there is no turn {turn_id!r}")
            row = rows[0]
            if row.state == "merged":
                return TurnId(row.merged_into)
            ended = await self.so_far(row)
            return ended if ended is not None or self._released else await future
        finally:
            waiting = self._waiting[turn_id]
            waiting.discard(future)
            if not waiting:
                del self._waiting[turn_id]

    async def _from_transcript(self, row: InputRow) -> str | None:
        for entry in await self._store.read(LastEntryOfTurn(row.session_key, row.turn_id)):
            if entry.body is not None:
                said = messages.from_json(orjson.loads(entry.body))
                return said.text if isinstance(said, messages.AssistantMessage) else None
        return None

    def _heard(self, committed: Committed) -> None:
        for event in committed.events:
            waiting = self._waiting.get(event.turn_id)
            outcome = _outcome(event) if waiting else None
            if outcome is not None:
                for future in waiting or ():
                    if not future.done():
                        future.set_result(outcome)


def _outcome(event: EventRow) -> Ended | TurnId | None:
    """What an event means to who waits for its turn; None: go on waiting."""
    if event.kind == Kind.INPUT_MERGED:
        return TurnId(orjson.loads(event.data)["into"])
    state = STATES.get(event.kind)
    if state is None:
        return None
    data = orjson.loads(event.data)
    return Ended(
        TurnId(event.turn_id),
        state,
        data.get("kind", ""),
        data.get("delivery_key", ""),
        _shown(event.body),
    )


def _shown(body: str | None) -> str | None:
    """The words of a content row as text."""
    said = words_of(body)
    return None if said is None else text_of(said)
