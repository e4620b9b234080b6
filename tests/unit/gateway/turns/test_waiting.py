"""Waiting for turns: told by the commit, never missed, nothing for anybody else."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import orjson
import pytest

from gateway.core.clock import settle
from gateway.core.errors import NotFound, StoreUnavailable
from gateway.core.ids import TurnId
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import AppendEntry, PutContent
from gateway.store.base.inputs import (
    AcceptInput,
    EndInput,
    EndQueued,
    GetInput,
    MergeInput,
    StartInput,
)
from gateway.store.base.outbox import EnqueueDelivery
from gateway.store.base.query import Query
from gateway.store.base.store import Listener, NewEvent, Receipt, Store, Unit
from gateway.turns.waiting import Ended, TurnWaiters
from tests.support.patience import PATIENCE_S
from tests.support.store_units import an_input

SESSION = "agent:main:web:direct:ann"
T1, T2 = TurnId("t1"), TurnId("t2")
Row = TypeVar("Row")


@pytest.fixture
def waiters(store: Store) -> TurnWaiters:
    return TurnWaiters(store)


def accepted(turn_id: str = T1) -> AcceptInput:
    return an_input(turn_id=turn_id, session_key=SESSION, content_id="", explanation="default")


def delivery(part: int, parts: int, content_id: str) -> EnqueueDelivery:
    return EnqueueDelivery(
        f"d{part}", f"t1:{part}", "web:d:ann:", SESSION, T1, part, parts, content_id, 1, 9
    )


def said(content_id: str, text: str) -> PutContent:
    body = orjson.dumps({"role": "assistant", "text": text}).decode()
    return PutContent(content_id, SESSION, body)


async def put(store: Store, *ops: Op, event: NewEvent | None = None) -> Receipt:
    return await store.commit(Unit(ops, (event,) if event is not None else ()))


def event(kind: str, turn_id: str = T1, *, content_id: str = "", **data: str) -> NewEvent:
    return NewEvent(1, kind, SESSION, "main", turn_id, orjson.dumps(data).decode(), content_id)


async def begin_waiting(waiters: TurnWaiters, turn_id: TurnId = T1) -> asyncio.Task[Ended | None]:
    """A task that waits, past its look at the store."""
    task = asyncio.get_running_loop().create_task(waiters.ended(turn_id))
    async with asyncio.timeout(PATIENCE_S):
        while len(waiters) == 0:
            await settle(1)
    return task


async def end_of(waiters: TurnWaiters, turn_id: TurnId) -> Ended:
    """How a turn ended that has."""
    ended = await waiters.ended(turn_id)
    assert ended is not None
    return ended


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("turn.completed", "answered"),
        ("turn.failed", "failed"),
        ("turn.cancelled", "cancelled"),
        ("input.cancelled", "cancelled"),
        ("input.expired", "expired"),
    ],
)
async def test_a_waiter_is_told_by_the_commit(
    store: Store, waiters: TurnWaiters, kind: str, state: str
) -> None:
    """Everything is in the event: state, kind of failure, key and words."""
    await put(store, accepted(), StartInput(T1))
    task = await begin_waiting(waiters)
    end = event(kind, content_id="c1")._replace(data='{"delivery_key": "t1:1", "kind": "rate"}')
    await put(store, said("c1", "hello"), event=end)
    assert await task == Ended(T1, state, "rate", "t1:1", "hello")
    assert len(waiters) == 0


async def test_what_has_ended_already_is_read(store: Store, waiters: TurnWaiters) -> None:
    """Nobody will say it again."""
    ops = (accepted(), StartInput(T1), said("c1", "hello"), delivery(1, 1, "c1"))
    await put(store, *ops, EndInput(T1, "answered", "", 5))
    assert await waiters.ended(T1) == Ended(T1, "answered", "", "t1:1", "hello")


async def test_a_failure_that_was_read_has_its_kind_and_sentence(
    store: Store, waiters: TurnWaiters
) -> None:
    """The sentence is in the outbox, not in the transcript."""
    sentence = PutContent("c1", SESSION, '{"text": "sorry"}')
    ops = (accepted(), StartInput(T1), sentence, delivery(1, 1, "c1"))
    await put(store, *ops, EndInput(T1, "failed", "rate", 5))
    assert await waiters.ended(T1) == Ended(T1, "failed", "rate", "t1:1", "sorry")


async def test_an_answer_in_pieces_is_read_whole(store: Store, waiters: TurnWaiters) -> None:
    """From the transcript; without it, the pieces are better than nothing."""
    pieces = (said("c1", "one"), said("c2", "two"), delivery(1, 2, "c1"), delivery(2, 2, "c2"))
    await put(store, accepted(), StartInput(T1), *pieces, EndInput(T1, "answered", "", 5))
    assert (await end_of(waiters, T1)).text == "one\ntwo"
    await put(store, said("c3", "one two"), AppendEntry(SESSION, 0, T1, "c3", 5))
    assert (await end_of(waiters, T1)).text == "one two"


async def test_words_that_are_gone_are_none(store: Store, waiters: TurnWaiters) -> None:
    """Blanked, or too old to be anywhere."""
    await put(store, accepted(), StartInput(T1), EndInput(T1, "answered", "", 5))
    assert await waiters.ended(T1) == Ended(T1, "answered")
    user = PutContent("c9", SESSION, '{"role": "user", "parts": []}')
    await put(store, user, AppendEntry(SESSION, 0, T1, "c9", 5))
    assert (await end_of(waiters, T1)).text is None
    await put(store, AppendEntry(SESSION, 1, T1, "gone", 5))
    assert (await end_of(waiters, T1)).text is None


async def test_the_turn_that_answers_a_merged_message_is_waited_for(
    store: Store, waiters: TurnWaiters
) -> None:
    """Whether it was merged before or while somebody waits."""
    await put(store, accepted(), accepted(T2))
    early = await begin_waiting(waiters, T2)
    merged = event("input.merged", T2, into=T1)
    await put(store, StartInput(T1), MergeInput(T2, T1, 3), event=merged)
    late = asyncio.get_running_loop().create_task(waiters.ended(T2))
    async with asyncio.timeout(PATIENCE_S):
        while waiters.count(T1) < 2:
            await settle(1)
    await put(store, said("c1", "both"), event=event("turn.completed", content_id="c1"))
    assert await early == await late == Ended(T1, "answered", text="both")
    await put(store, EndInput(T1, "answered", "", 5))
    assert (await end_of(waiters, T2)).turn_id == T1


async def test_what_is_not_there_is_not_waited_for(waiters: TurnWaiters) -> None:
    """And nobody stays entered."""
    with pytest.raises(NotFound, match="'t9'"):
        await waiters.ended(TurnId("t9"))
    assert len(waiters) == 0


async def test_events_before_the_end_wake_nobody(store: Store, waiters: TurnWaiters) -> None:
    """Nor do other turns' and kinds nobody has heard of."""
    await put(store, accepted())
    task = await begin_waiting(waiters)
    for other in (event("turn.started"), event("turn.completed", T2), event("dream.began")):
        await put(store, event=other)
    await settle()
    assert not task.done()
    await put(store, EndQueued(T1, "expired", 2), event=event("input.expired"))
    assert await task == Ended(T1, "expired")


async def test_at_a_stop_nobody_waits_any_longer(store: Store, waiters: TurnWaiters) -> None:
    """Who waits learns that there is no end yet, who comes later too; an end is still an end."""
    await put(store, accepted(), accepted(T2), StartInput(T1))
    task = await begin_waiting(waiters)
    waiters.release()
    assert await task is None
    assert await waiters.ended(T2) is None
    assert len(waiters) == 0
    await put(store, EndInput(T1, "answered", "", 5))
    assert await waiters.ended(T1) == Ended(T1, "answered")


async def test_all_who_wait_are_told_and_one_may_leave(store: Store, waiters: TurnWaiters) -> None:
    """A waiter that gives up takes nobody along."""
    await put(store, accepted())
    leaving = await begin_waiting(waiters)
    staying = asyncio.get_running_loop().create_task(waiters.ended(T1))
    async with asyncio.timeout(PATIENCE_S):
        while waiters.count(T1) < 2:
            await settle(1)
    leaving.cancel()
    await asyncio.wait({leaving})
    await put(store, event=event("turn.completed"))
    assert await staying == Ended(T1, "answered")
    assert len(waiters) == 0


class Slow:
    """A store whose reads wait until they are told, as of when they were asked."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.asked = asyncio.Event()
        self.release = asyncio.Event()
        self.fails = False

    async def read(self, query: Query[Row]) -> list[Row]:
        rows = await self._inner.read(query)
        if isinstance(query, GetInput):
            self.asked.set()
            await self.release.wait()
            if self.fails:
                raise StoreUnavailable("gone")
        return rows

    def listen(self, listener: Listener) -> None:
        self._inner.listen(listener)

    async def commit(self, unit: Unit) -> Receipt:
        return await self._inner.commit(unit)

    def post(self, unit: Unit) -> None:
        self._inner.post(unit)

    async def close(self) -> None:
        await self._inner.close()


async def test_an_end_while_the_state_is_being_read_is_not_missed(store: Store) -> None:
    """The read says running, the commit came behind it."""
    slow = Slow(store)
    waiters = TurnWaiters(slow)
    await put(store, accepted(), StartInput(T1))
    task = asyncio.get_running_loop().create_task(waiters.ended(T1))
    await slow.asked.wait()
    await put(store, EndInput(T1, "answered", "", 5), event=event("turn.completed"))
    slow.release.set()
    assert await task == Ended(T1, "answered")


async def test_a_store_that_is_gone_ends_the_waiting(store: Store) -> None:
    """With its own error, and nobody stays entered."""
    slow = Slow(store)
    slow.fails = True
    waiters = TurnWaiters(slow)
    await put(store, accepted())
    slow.release.set()
    with pytest.raises(StoreUnavailable):
        await waiters.ended(T1)
    assert len(waiters) == 0
