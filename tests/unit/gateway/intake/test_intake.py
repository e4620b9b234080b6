"""The way in: durable or refused, never twice, on a real store behind a real route table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from agents.base import messages
from agents.base.summaries import WANTED
from channels.base.messages import Accepted, Inbound, SourceClass
from gateway.core.clock import ManualClock, settle
from gateway.core.errors import Busy, Conflict, InvalidInput, StoreUnavailable, UnknownAgent
from gateway.core.ids import AgentId, SequentialIds, TurnId
from gateway.core.keys import MAX_KEY_CHARS, RouteKey, SessionScope
from gateway.core.parts import Image, Text
from gateway.intake.intake import ACCEPTING, TURN_GUESS_MS, Intake
from gateway.routing.bindings import Binding, Match
from gateway.routing.identities import Identities
from gateway.routing.router import Router
from gateway.routing.table import Table
from gateway.store.base.conversations import GetSession, ListSessions
from gateway.store.base.events import EventRow, ReadEvents
from gateway.store.base.inputs import EndQueued, InputRow, OpenInputs
from gateway.store.base.store import Receipt, Unit
from gateway.store.sqlite.store import open_sqlite
from tests.support.cutting import CuttableStore
from tests.support.house import Roster, agent, inbound

MAILBOX = 3


class Collected:
    """What takes over after the commit: keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[InputRow] = []
        self.cancelled: list[TurnId] = []
        self.refused: set[str] = set()

    def put(self, row: InputRow) -> int:
        self.rows.append(row)
        return len(self.rows) - 1

    def check(self, principal: str) -> None:
        if principal in self.refused:
            raise Busy("too much", retry_after_ms=7000)

    async def cancel(self, turn_id: TurnId) -> None:
        self.cancelled.append(turn_id)


class Door:
    """An intake over a store, with two agents; opened again, it is another process."""

    def __init__(self, store: CuttableStore) -> None:
        self.store = store
        self.clock = ManualClock()
        self.agents = Roster(agent(), agent("luna", dm_scope=SessionScope.PER_PEER))
        self._ids = SequentialIds()
        self.open()

    def open(self) -> None:
        rule = Binding("shop", AgentId("luna"), Match(channel="memory", peer="luna's friend"))
        table = Table.build(
            [rule], (), agents=[AgentId("main"), AgentId("luna")], default_agent=AgentId("main")
        )
        self.turns = Collected()
        self.intake = Intake(
            store=self.store,
            clock=self.clock,
            ids=self._ids,
            router=Router(table, self.agents, Identities()),
            turns=self.turns,
            mailbox=MAILBOX,
        )

    async def accept(self, message: Inbound) -> Accepted:
        return await self.intake.accept(message)

    async def fill(self, *, peer: str = "ann") -> list[TurnId]:
        """Until the mailbox takes no more."""
        return [
            (await self.accept(inbound(f"number {number}", peer=peer))).turn_id
            for number in range(MAILBOX)
        ]

    async def stored(self) -> list[InputRow]:
        return await self.store.read(OpenInputs(0, 100))

    async def events(self) -> list[EventRow]:
        return await self.store.read(ReadEvents(0, 100))


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    store = CuttableStore(await open_sqlite(tmp_path / "turngate.db"))
    yield Door(store)
    await store.close()


# What is accepted.


async def test_an_acknowledged_message_is_durable_and_in_its_lane(door: Door) -> None:
    """P1: the row, the conversation, the words and the event hold before the sender is told."""
    accepted = await door.accept(replace(inbound("hi"), external_id="e1"))
    (row,) = await door.stored()
    assert (row.turn_id, row.session_key) == (accepted.turn_id, str(accepted.session))
    assert (row.state, row.source, row.barrier) == ("queued", "person", 0)
    assert (accepted.agent, accepted.position, accepted.duplicate) == ("main", 0, False)
    (session,) = await door.store.read(GetSession(row.session_key))
    assert (session.agent_id, session.principal) == ("main", "local")
    (event,) = await door.events()
    assert (event.kind, event.turn_id, event.session_key) == (
        "input.accepted",
        row.turn_id,
        row.session_key,
    )
    assert orjson.loads(event.data) == {"channel": "memory", "external_id": "e1"}
    assert "hi" in str(event.body)


@pytest.mark.parametrize(
    "message",
    [
        inbound("hi"),
        inbound("a picture", Image("https://a/b.png")),
        inbound("in a group", group="g", thread="th"),
        replace(inbound("job"), source=SourceClass.CRON, ttl_ms=5000, agent=AgentId("luna")),
    ],
)
async def test_the_lane_gets_the_row_that_the_store_has(door: Door, message: Inbound) -> None:
    """A turn must not depend on whether its input comes from memory or from a restart."""
    await door.accept(message)
    (row,) = await door.stored()
    assert door.turns.rows == [row]


async def test_the_acknowledgement_says_how_many_wait_before(door: Door) -> None:
    """The lane counts; it is told to the sender as it is."""
    positions = [(await door.accept(inbound(f"{n}"))).position for n in range(MAILBOX)]
    assert positions == [0, 1, 2]


async def test_a_message_keeps_where_it_came_from_and_why_it_went_there(door: Door) -> None:
    """P8: the winning rule is kept with the message."""
    await door.accept(inbound("hi", peer="luna's friend"))
    await door.accept(inbound("hi", peer="ann"))
    await door.accept(replace(inbound("hi"), agent=AgentId("luna")))
    bound, default, override = await door.stored()
    assert (bound.agent_id, bound.explanation) == ("luna", "binding shop")
    assert (default.agent_id, default.explanation) == ("main", "default")
    assert (override.agent_id, override.agent_override) == ("luna", "luna")
    assert bound.destination == str(RouteKey("memory", peer="luna's friend").destination())


@pytest.mark.parametrize(
    ("message", "alone"),
    [
        (inbound("plain"), False),
        (inbound("/new"), True),
        (inbound("look", Image("https://a/b.png")), True),
        (replace(inbound(""), parts=(Image("https://a/b.png"),)), True),
        (inbound("half / half"), False),
    ],
)
async def test_commands_and_attachments_are_answered_alone(
    door: Door, message: Inbound, alone: bool
) -> None:
    """They are barriers: nothing merges with them or across them."""
    await door.accept(message)
    (row,) = await door.stored()
    assert bool(row.barrier) is alone


async def test_a_time_to_live_becomes_a_moment(door: Door) -> None:
    """Counted from the acceptance; without one a message does not age."""
    await door.accept(replace(inbound("soon"), ttl_ms=5000))
    await door.accept(inbound("whenever"))
    soon, whenever = await door.stored()
    assert soon.expires_at == door.clock.now_ms() + 5000
    assert whenever.expires_at == 0


async def test_messages_reach_their_lanes_in_the_order_of_their_acceptance(door: Door) -> None:
    """However many come at once: the lane's order is the store's."""
    async with asyncio.TaskGroup() as group:
        for number in range(60):
            group.create_task(door.accept(inbound("hi", peer=f"peer {number % 20}")))
    ordinals = [row.ordinal for row in door.turns.rows]
    assert len(ordinals) == 60
    assert ordinals == sorted(ordinals)


# What was accepted before.


async def test_a_channels_own_id_is_accepted_once(door: Door) -> None:
    """A platform that repeats a message gets the turn it started."""
    message = replace(inbound("hi"), external_id="m1")
    first = await door.accept(message)
    again = await door.accept(message)
    assert again == replace(first, duplicate=True)
    assert len(door.turns.rows) == len(await door.stored()) == len(await door.events()) == 1


async def test_a_repeated_id_is_known_after_a_restart_and_after_its_end(door: Door) -> None:
    """The channel resends what it has no acknowledgement for, whatever became of it here."""
    message = replace(inbound("hi"), external_id="m1")
    first = await door.accept(message)
    await door.store.commit(Unit((EndQueued(first.turn_id, "cancelled", 1),)))
    door.open()
    again = await door.accept(message)
    assert (again.turn_id, again.duplicate) == (first.turn_id, True)
    assert door.turns.rows == []


async def test_a_repeated_message_is_known_when_the_mailbox_is_full(door: Door) -> None:
    """`busy` would make the sender try again for ever, although it was accepted."""
    first = await door.accept(replace(inbound("first"), external_id="m1"))
    second = await door.accept(replace(inbound("second"), idempotency_key="k1"))
    await door.accept(inbound("third"))
    with pytest.raises(Busy):
        await door.accept(inbound("fourth"))
    again = await door.accept(replace(inbound("first"), external_id="m1"))
    assert (again.turn_id, again.duplicate) == (first.turn_id, True)
    again = await door.accept(replace(inbound("second"), idempotency_key="k1"))
    assert (again.turn_id, again.duplicate) == (second.turn_id, True)


async def test_the_same_id_elsewhere_is_another_message(door: Door) -> None:
    """Ids belong to an account of a channel; messages without one are never the same."""
    await door.accept(replace(inbound("hi"), external_id="m1"))
    elsewhere = inbound("hi")
    elsewhere = replace(elsewhere, route=replace(elsewhere.route, account="other"))
    assert not (await door.accept(replace(elsewhere, external_id="m1"))).duplicate
    assert not (await door.accept(inbound("hi"))).duplicate
    assert not (await door.accept(inbound("hi", peer="bob"))).duplicate


async def test_a_message_said_twice_at_once_is_one(door: Door) -> None:
    """Two connections of one client race; one turn comes of it."""
    message = replace(inbound("hi"), idempotency_key="k1")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(door.accept(message)) for _ in range(5)]
    told = [task.result() for task in tasks]
    assert len({accepted.turn_id for accepted in told}) == 1
    assert sum(not accepted.duplicate for accepted in told) == 1
    assert len(await door.stored()) == 1


async def test_an_idempotency_key_stands_for_one_body(door: Door) -> None:
    """Same key, same body: the same turn, also in another process. Other body: a conflict."""
    message = replace(inbound("hi"), idempotency_key="k1")
    first = await door.accept(message)
    door.open()
    assert (await door.accept(message)).turn_id == first.turn_id
    others = [
        replace(message, parts=(Text("ho"),)),
        replace(message, route=replace(message.route, peer="bob")),
        replace(message, agent=AgentId("luna")),
    ]
    for other in others:
        with pytest.raises(Conflict, match="the idempotency key 'k1' was used for another"):
            await door.accept(other)
    assert len(await door.stored()) == 1
    assert len(await door.events()) == 1


async def test_a_key_with_another_body_is_a_conflict_in_a_full_mailbox_too(door: Door) -> None:
    """Waiting would not help this sender."""
    await door.accept(replace(inbound("hi"), idempotency_key="k1"))
    await door.accept(inbound("more"))
    await door.accept(inbound("more"))
    with pytest.raises(Conflict):
        await door.accept(replace(inbound("ho"), idempotency_key="k1"))


async def test_keys_of_two_principals_do_not_meet(door: Door) -> None:
    """Nobody learns of another's turns by guessing keys."""
    message = replace(inbound("hi"), idempotency_key="k1")
    first = await door.accept(message)
    other = await door.accept(replace(message, principal="somebody else"))
    assert other.turn_id != first.turn_id
    assert not other.duplicate


async def test_a_known_id_under_a_fresh_key_is_still_known(door: Door) -> None:
    """The channel's id goes before the sender's key, which stays free."""
    first = await door.accept(replace(inbound("hi"), external_id="m1"))
    again = await door.accept(replace(inbound("hi"), external_id="m1", idempotency_key="k1"))
    assert (again.turn_id, again.duplicate) == (first.turn_id, True)
    assert not (await door.accept(replace(inbound("new"), idempotency_key="k1"))).duplicate


async def test_a_known_message_is_known_although_its_agent_is_gone(door: Door) -> None:
    """It was accepted; that nobody could accept it now changes nothing."""
    message = replace(inbound("hi"), external_id="m1", idempotency_key="k1")
    first = await door.accept(message)
    del door.agents.agents[AgentId("main")]
    assert (await door.accept(message)).turn_id == first.turn_id
    with pytest.raises(UnknownAgent):
        await door.accept(inbound("hi"))


# What is refused.


async def test_a_full_mailbox_refuses_and_keeps_nothing(door: Door) -> None:
    """P6: typed, with the depth and when to try again."""
    await door.fill()
    before = (await door.stored(), await door.events())
    with pytest.raises(Busy, match="3 messages wait already") as caught:
        await door.accept(replace(inbound("one more"), external_id="m9", idempotency_key="k9"))
    assert caught.value.retry_after_ms == MAILBOX * TURN_GUESS_MS
    assert (await door.stored(), await door.events()) == before
    assert len(door.turns.rows) == MAILBOX


async def test_a_full_mailbox_is_one_conversations_own(door: Door) -> None:
    """P5: somebody else's flood is nobody else's trouble."""
    await door.fill()
    assert not (await door.accept(inbound("hi", peer="bob"))).duplicate


async def test_a_refused_message_is_accepted_once_there_is_room(door: Door) -> None:
    """Its id and its key were not used up by the refusal."""
    first, *_ = await door.fill()
    message = replace(inbound("again"), external_id="m1", idempotency_key="k1")
    with pytest.raises(Busy):
        await door.accept(message)
    await door.store.commit(Unit((EndQueued(first, "cancelled", 1),)))
    assert not (await door.accept(message)).duplicate


async def test_a_message_for_nobody_leaves_no_trace(door: Door) -> None:
    """Routing is decided before anything is written, the conversation included."""
    with pytest.raises(UnknownAgent, match="'lena'"):
        await door.accept(replace(inbound("hi"), agent=AgentId("lena")))
    assert await door.events() == []
    assert await door.store.read(OpenInputs(0, 10)) == []
    assert await door.store.read(GetSession("agent:lena:memory:direct:ann")) == []


@pytest.mark.parametrize(
    "message",
    [
        replace(inbound("hi"), parts=()),
        replace(inbound("hi"), external_id="x" * 513),
        inbound("\ud800"),
        inbound("hi", peer="p" * MAX_KEY_CHARS),
        replace(inbound("hi"), ttl_ms=-1),
    ],
)
async def test_a_message_that_breaks_a_rule_leaves_no_trace(door: Door, message: Inbound) -> None:
    """Each rule has its own test in `test_limits`."""
    with pytest.raises(InvalidInput):
        await door.accept(message)
    assert await door.events() == []


async def test_a_conversation_whose_key_could_not_be_read_back_is_refused(door: Door) -> None:
    """This peer fits the route; inside the key of luna's conversation it is encoded twice."""
    message = replace(inbound("hi", peer="%" * 600), agent=AgentId("luna"))
    with pytest.raises(InvalidInput, match="the session key has at most"):
        await door.accept(message)
    assert await door.events() == []
    assert (await door.accept(replace(message, agent=AgentId("main")))).agent == "main"


async def test_a_store_that_does_not_write_is_told_to_the_sender(door: Door) -> None:
    """Nothing is acknowledged that does not hold, and no lane hears of it."""
    door.store.refuse(1)
    with pytest.raises(StoreUnavailable):
        await door.accept(replace(inbound("hi"), external_id="m1"))
    assert door.turns.rows == []
    assert not (await door.accept(replace(inbound("hi"), external_id="m1"))).duplicate


async def test_a_gateway_that_stops_refuses_and_says_so(door: Door) -> None:
    """Known messages included: the store is about to close."""
    await door.accept(replace(inbound("hi"), external_id="m1"))
    await door.intake.close()
    for message in (inbound("hi"), replace(inbound("hi"), external_id="m1")):
        with pytest.raises(Busy, match="stopping"):
            await door.accept(message)
    (session,) = await door.store.read(ListSessions(10**15, "", 1))
    with pytest.raises(Busy, match="stopping"):
        await door.intake.summarise(session, inbound("").route, "local")
    assert len(await door.stored()) == 1


async def test_a_summary_is_asked_for_where_nothing_waits(door: Door) -> None:
    """It stands alone in its lane, says nothing and belongs to who asked; its conversation does not
    change hands."""
    (turn_id,) = [(await door.accept(inbound("hi"))).turn_id]
    (session,) = await door.store.read(ListSessions(10**15, "", 1))
    with pytest.raises(Conflict):
        await door.intake.summarise(session, inbound("").route, "olga")
    await door.store.commit(Unit((EndQueued(turn_id, "cancelled", 1),)))
    asked = await door.intake.summarise(session, inbound("", peer="olga").route, "olga")
    (row,) = await door.stored()
    assert row == door.turns.rows[-1]
    assert (row.turn_id, row.session_key, row.principal) == (asked, session.session_key, "olga")
    assert (row.barrier, row.body) == (1, orjson.dumps(messages.to_json(WANTED)).decode())
    (after,) = await door.store.read(ListSessions(10**15, "", 1))
    assert after.principal == "local"


async def test_stopping_finishes_what_was_begun(door: Door) -> None:
    """Who was being accepted is acknowledged, not left in doubt."""
    async with asyncio.TaskGroup() as group:
        accepting = group.create_task(door.accept(inbound("hi")))
        await settle(3)
        await door.intake.close()
        assert len(door.turns.rows) == 1
    assert accepting.result().turn_id == door.turns.rows[0].turn_id


async def test_a_sender_that_stops_waiting_leaves_no_message_that_no_lane_knows(
    door: Door,
) -> None:
    """It was on its way into the store; it is answered, and known when it is sent again."""
    message = replace(inbound("hi"), external_id="m1")
    async with asyncio.TaskGroup() as group:
        accepting = group.create_task(door.accept(message))
        await settle(3)
        accepting.cancel()
    assert accepting.cancelled()
    await door.intake.close()
    (row,) = door.turns.rows
    assert (await door.stored()) == [row]
    door.open()
    assert (await door.accept(message)).turn_id == row.turn_id


async def test_a_wish_to_stop_a_turn_goes_to_the_lanes(door: Door) -> None:
    """Channels know the intake alone."""
    await door.intake.cancel(TurnId("t_7"))
    assert door.turns.cancelled == ["t_7"]


async def test_one_that_has_too_much_waiting_is_refused_and_its_known_messages_are_not(
    door: Door,
) -> None:
    """Nothing is kept of what is refused; what was acknowledged once is again."""
    message = replace(inbound("hello"), external_id="e1")
    accepted = await door.accept(message)
    door.turns.refused.add(message.principal)
    with pytest.raises(Busy, match="too much") as busy:
        await door.accept(inbound("more"))
    assert busy.value.retry_after_ms == 7000
    again = await door.accept(message)
    assert (again.turn_id, again.duplicate) == (accepted.turn_id, True)
    assert len(await door.stored()) == 1


async def test_a_sender_with_many_messages_has_half_of_those_that_are_committed(
    tmp_path: Path,
) -> None:
    """The next sender's commit is in the store's queue at once, whatever that of the first is."""
    opened = CuttableStore(await open_sqlite(tmp_path / "turngate.db"))
    door, seen = Door(opened), list[int]()
    commit = opened.commit

    async def counted(unit: Unit) -> Receipt:
        seen.append(door.intake.bounds()[0].used)
        return await commit(unit)

    opened.commit = counted  # type: ignore[method-assign]  # the queue is seen where it is filled
    async with asyncio.TaskGroup() as group:
        for number in range(ACCEPTING):
            group.create_task(door.accept(inbound(f"m{number}", peer=f"p{number}")))
    assert max(seen) == ACCEPTING // 2
    assert len(await door.stored()) == ACCEPTING
    await opened.close()
