"""Conversations at hand while somebody is talking, and out of memory when nobody is."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import AsyncExitStack

import orjson
import pytest
import structlog

from agents.base import messages
from agents.base.messages import AssistantMessage, Message, ToolMessage, UserMessage
from gateway.core.clock import ManualClock
from gateway.core.errors import StoreUnavailable
from gateway.core.parts import Text
from gateway.sessions.live import IDLE_S, MAX_LIVE, LiveSessions
from gateway.store.base.conversations import AppendEntry, BlankSession, PutContent
from gateway.store.base.query import Query, Row
from gateway.store.base.store import Unit
from tests.unit.gateway.runs.stores import FlakyStore

KEY = "agent:main:main"


@pytest.fixture
def sessions(store: FlakyStore, clock: ManualClock) -> LiveSessions:
    return LiveSessions(store, clock)


def said(text: str) -> Message:
    return UserMessage((Text(text),))


def answered(text: str) -> Message:
    return AssistantMessage(text)


async def keep(store: FlakyStore, *texts: str, key: str = KEY, start: int = 0) -> None:
    """Write a transcript as a boundary does."""
    for position, text in enumerate(texts, start):
        content = f"{key}-{position}"
        body = orjson.dumps(messages.to_json(said(text))).decode()
        entry = AppendEntry(key, position, "t1", content, 1)
        await store.commit(Unit((PutContent(content, key, body), entry)))


async def use(sessions: LiveSessions, key: str) -> None:
    async with sessions.using(key):
        pass


async def test_a_conversation_is_loaded_once_and_extended_in_memory(
    store: FlakyStore, sessions: LiveSessions
) -> None:
    """The store is read when somebody begins to talk, not at each turn."""
    await keep(store, "hi", "there")
    async with sessions.using(KEY) as session:
        assert session.history == [said("hi"), said("there")]
        assert session.revision == 2
        session.extend((said("and"), answered("so")))
    async with sessions.using(KEY) as again:
        assert again is session
        assert again.history[2:] == [said("and"), answered("so")]
        assert again.revision == 4
    assert store.reads == 1


async def test_a_new_conversation_is_empty(sessions: LiveSessions) -> None:
    """Its first message takes position 0."""
    async with sessions.using(KEY) as session:
        assert (session.history, session.revision) == ([], 0)


async def test_users_at_the_same_time_share_a_conversation(
    store: FlakyStore, sessions: LiveSessions
) -> None:
    """Also when they came while it was being loaded."""
    await keep(store, "hi")
    async with AsyncExitStack() as stack:
        found = await asyncio.gather(
            *(stack.enter_async_context(sessions.using(KEY)) for _ in range(5))
        )
        assert all(session is found[0] for session in found)
        assert found[0].users == 5
    assert found[0].users == 0


async def test_a_blanked_entry_keeps_its_position_and_says_nothing(
    store: FlakyStore, sessions: LiveSessions
) -> None:
    """The next message does not take the place of one that was deleted."""
    await keep(store, "secret", "secret too")
    await store.commit(Unit((BlankSession(KEY),)))
    await keep(store, "fresh", start=2)
    async with sessions.using(KEY) as session:
        assert session.history == [said("fresh")]
        assert session.revision == 3


async def test_an_entry_nobody_can_read_is_reported_and_skipped(
    store: FlakyStore, sessions: LiveSessions
) -> None:
    """One broken row must not silence a conversation."""
    for position, body in enumerate(("{", '{"role": "alien"}', "[]")):
        content = PutContent(f"c{position}", KEY, body)
        entry = AppendEntry(KEY, position, "t1", f"c{position}", 1)
        await store.commit(Unit((content, entry)))
    with structlog.testing.capture_logs() as lines:
        async with sessions.using(KEY) as session:
            assert (session.history, session.revision) == ([], 3)
    assert [line["position"] for line in lines] == [0, 1, 2]


async def test_an_idle_conversation_leaves_after_a_while(
    store: FlakyStore, sessions: LiveSessions, clock: ManualClock
) -> None:
    """Counted from when it was last let go of."""
    async with sessions.using("a"):
        await clock.advance(IDLE_S)
        assert sessions.sweep() == 0
    await use(sessions, "b")
    await clock.advance(IDLE_S - 1)
    await use(sessions, "b")
    await clock.advance(1)
    assert sessions.sweep() == 1
    assert len(sessions) == 1
    reads = store.reads
    await use(sessions, "a")
    assert store.reads == reads + 1


async def test_the_least_recently_used_leave_when_there_are_too_many(
    store: FlakyStore, clock: ManualClock
) -> None:
    """By when they were let go of last, however long they had been used."""
    sessions = LiveSessions(store, clock, max_live=2)
    async with sessions.using("long"):
        await use(sessions, "b")
        await use(sessions, "c")
    await use(sessions, "d")
    assert len(sessions) == 2
    reads = store.reads
    await use(sessions, "long")
    await use(sessions, "d")
    assert store.reads == reads
    await use(sessions, "c")
    assert store.reads == reads + 1


async def test_the_least_recently_used_leave_when_too_much_was_said(
    store: FlakyStore, clock: ManualClock
) -> None:
    """Somebody who sends the largest messages into many conversations takes no more memory."""
    sessions = LiveSessions(store, clock, max_chars=1000)
    for key in ("a", "b", "c"):
        async with sessions.using(key) as session:
            session.extend((said("x" * 300), AssistantMessage("y" * 50), ToolMessage("", "", "z")))
    assert len(sessions) == 2
    async with sessions.using("b") as session:
        session.extend((said("x" * 900),))
    assert len(sessions) == 0
    for key in ("d", "e"):
        async with sessions.using(key) as session:
            session.extend((said("x" * 400),))
    assert len(sessions) == 2, "what has left counts no longer"


async def test_a_conversation_in_use_never_leaves(store: FlakyStore, clock: ManualClock) -> None:
    """Neither by age nor by number; the bound holds again once they are let go of."""
    sessions = LiveSessions(store, clock, max_live=2)
    async with AsyncExitStack() as stack:
        used = [await stack.enter_async_context(sessions.using(f"u{n}")) for n in range(5)]
        await use(sessions, "idle")
        await clock.advance(10 * IDLE_S)
        assert sessions.sweep() == 0
        assert len(sessions) == 5
        for number, session in enumerate(used):
            async with sessions.using(f"u{number}") as same:
                assert same is session
    assert len(sessions) == 2


async def test_a_forgotten_conversation_is_read_again(
    store: FlakyStore, sessions: LiveSessions
) -> None:
    """Who is using it keeps what it has, and does not bring it back."""
    async with sessions.using(KEY) as old:
        old.extend((said("not durable after all"),))
        sessions.forget(KEY)
        async with sessions.using(KEY) as new:
            assert new is not old
            assert new.history == []
    assert len(sessions) == 1
    async with sessions.using(KEY) as after:
        assert after is new
    sessions.forget("nobody")


async def test_a_load_that_fails_leaves_nothing(store: FlakyStore, sessions: LiveSessions) -> None:
    """The next user reads again."""
    store.down = True
    with pytest.raises(StoreUnavailable):
        await use(sessions, KEY)
    assert len(sessions) == 0
    store.down = False
    await keep(store, "hi")
    async with sessions.using(KEY) as session:
        assert session.history == [said("hi")]


async def test_whoever_is_cut_off_lets_go(sessions: LiveSessions) -> None:
    """A failure or a cancellation in the block does not keep the conversation in memory."""
    with pytest.raises(ValueError, match="cut"):
        async with sessions.using(KEY) as session:
            raise ValueError("cut")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), sessions.using(KEY):
            await asyncio.Event().wait()
    assert session.users == 0


@pytest.mark.timeout(30)
async def test_memory_is_flat_over_ten_thousand_people(
    store: FlakyStore, sessions: LiveSessions
) -> None:
    """Each says something once; at most so many stay."""

    class Empty(FlakyStore):
        async def read(self, query: Query[Row]) -> list[Row]:
            return []

    sessions = LiveSessions(Empty(store), ManualClock())

    async def talk(people: range) -> None:
        for number in people:
            async with sessions.using(f"agent:main:web:direct:{number}") as session:
                session.extend((said("x" * 200),))

    await talk(range(2 * MAX_LIVE))
    assert len(sessions) == MAX_LIVE
    tracemalloc.start()
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    await talk(range(2 * MAX_LIVE, 12 * MAX_LIVE))
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(sessions) == MAX_LIVE
    # A thousand conversations were allocated since: their size, and not ten times that.
    assert after - before < 2_000 * MAX_LIVE
