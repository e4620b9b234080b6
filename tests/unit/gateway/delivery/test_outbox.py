"""The worker that sends: order, doubt, restarts and ends, on a real store and a real channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import orjson
import pytest

from channels.base.channel import Capabilities, Intake
from channels.base.messages import Outbound, Receipt
from gateway.core.clock import SystemClock
from gateway.core.errors import DeliveryPermanent, DeliveryTransient, DeliveryUnknown
from gateway.core.ids import TurnId
from gateway.delivery.outbox import ABANDONED_MS
from gateway.delivery.policy import BACKOFF_S, SEND_S, UNKNOWN_ATTEMPTS
from gateway.runs.lease import LEASE_S
from gateway.store.base.conversations import BlankSession
from gateway.store.base.outbox import CountDeliveries, EndSend
from gateway.store.base.store import Unit
from gateway.store.postgres.store import connect_store
from gateway.store.sqlite.store import open_sqlite
from tests.support import database
from tests.support.cutting import CuttableStore
from tests.support.patience import PATIENCE_S
from tests.unit.gateway.delivery.post import PLAIN, Post

DEDUPES = Capabilities(dedupes=True)
HOUR_S = 3600.0


@pytest.fixture
async def store() -> AsyncIterator[CuttableStore]:
    opened = CuttableStore(await open_sqlite(None))
    yield opened
    await opened.close()


@pytest.fixture
def post(store: CuttableStore) -> Post:
    """A destination that cannot tell a second copy."""
    return Post(store)


@pytest.fixture
def deduping(store: CuttableStore) -> Post:
    """A destination that shows a key once."""
    return Post(store, able=DEDUPES)


async def interrupted(post: Post, text: str) -> TurnId:
    """A delivery that was shown, and whose process ended before it could say so."""
    gate = post.channel.block_next(shown=True)
    turn = await post.write(text)
    async with asyncio.timeout(PATIENCE_S):
        await gate.entered.wait()
    await post.cut()
    assert await post.state(turn) == "sending"
    return turn


# Sending.


async def test_an_answer_leaves_with_its_key_and_its_receipt_is_kept(post: Post) -> None:
    """The receipt is the destination's own name for the message."""
    turn = await post.write("hi")
    await post.done()
    (sent,) = post.channel.sent
    assert (sent.text, sent.key, sent.turn_id, sent.attempt) == ("hi", f"{turn}:1", turn, 1)
    row = await post.row(turn)
    assert (row.state, row.receipt, row.attempts, row.error) == ("sent", "memory-1", 1, "")
    assert row.ended_at == post.clock.now_ms()


async def test_pieces_of_an_answer_arrive_in_order_and_say_which_they_are(
    store: CuttableStore,
) -> None:
    """`part` of `parts` lets a channel number them."""
    post = Post(store, able=Capabilities(limit=5))
    await post.write("one two three")
    await post.done()
    assert [(message.text, message.part, message.parts) for message in post.channel.sent] == [
        ("one", 1, 3),
        ("two", 2, 3),
        ("three", 3, 3),
    ]


async def test_a_receipt_may_hold_anything(post: Post) -> None:
    """What a destination says is foreign text; it must not keep the mark from being written."""

    class Odd(Nowhere):
        async def send(self, message: Outbound) -> Receipt:
            return Receipt("\ud800" + "x" * 5000)

    await post.reopen([Odd()])
    turn = await post.write("hi", channel="nowhere")
    await post.done()
    row = await post.row(turn)
    assert row.state == "sent"
    assert len(row.receipt) <= 600


async def test_nothing_is_left_of_a_destination_that_has_everything(post: Post) -> None:
    """A million peers answered once must not stay in memory."""
    for name in ("ann", "bob"):
        await post.write("hi", to=name)
    assert len(post.outbox) == 2
    await post.done()
    assert len(post.outbox) == 0


async def test_what_its_receiver_fetches_is_never_sent(store: CuttableStore) -> None:
    """Neither now nor after a restart; whatever account it is for, one channel stands for all."""
    post = Post(store, able=Capabilities(pulled=True))
    turn = await post.write("hi")
    assert len(post.outbox) == 0
    await post.reopen()
    assert len(post.outbox) == 0
    assert await post.state(turn) == "available"
    assert post.channel.attempts == []


# Order.


async def test_deliveries_to_one_destination_leave_in_order_and_others_do_not_wait(
    post: Post,
) -> None:
    """P5: a stuck destination delays its own messages only."""
    gate = post.channel.block_next()
    await post.write("first")
    await post.write("second")
    await post.quiet()
    assert gate.entered.is_set()
    await post.write("hello bob", to="bob")
    await post.quiet()
    assert post.texts() == ["hello bob"]
    assert post.tried() == ["first"]
    gate.release()
    await post.done()
    assert post.texts() == ["hello bob", "first", "second"]


async def test_a_delivery_that_is_retried_keeps_its_place(post: Post) -> None:
    """A reader sees the answers in the order in which they were given."""
    post.channel.fail_next(DeliveryTransient("busy"))
    await post.write("first")
    await post.write("second")
    await post.done()
    assert post.texts() == ["first", "second"]
    assert post.tried() == ["first", "first", "second"]


@pytest.mark.parametrize("error", [DeliveryPermanent("gone"), DeliveryUnknown("who knows")])
async def test_a_delivery_that_is_given_up_does_not_block_the_next(
    post: Post, error: Exception
) -> None:
    """`dead` and `unknown` are ends, not obstacles."""
    post.channel.fail_next(error)
    await post.write("first")
    await post.write("second")
    await post.done()
    assert post.texts() == ["second"]
    assert post.tried() == ["first", "second"]


async def test_many_answers_woken_at_once_keep_their_order(post: Post) -> None:
    """The order of commits is the order of leaving, however busy the store is."""
    for number in range(30):
        await post.write(f"{number}")
    await post.done()
    assert post.texts() == [f"{number}" for number in range(30)]


# Failures.


async def test_a_transient_failure_is_tried_again_after_each_pause(post: Post) -> None:
    """5, 25, 120, 600, 600 … seconds apart, and not a moment earlier."""
    pauses = (*BACKOFF_S, 600.0)
    for _ in pauses:
        post.channel.fail_next(DeliveryTransient("busy"))
    turn = await post.write("hi")
    for number, pause in enumerate(pauses, start=1):
        await post.wait(0)
        assert len(post.tried()) == number
        row = await post.row(turn)
        assert (row.state, row.attempts) == ("pending", number)
        assert row.error == "DeliveryTransient: busy"
        await post.wait(pause - 0.5)
        assert len(post.tried()) == number
        await post.wait(0.5)
    assert await post.state(turn) == "sent"
    assert {message.key for message in post.channel.attempts} == {f"{turn}:1"}
    assert [message.attempt for message in post.channel.attempts] == [1, 2, 3, 4, 5, 6]


async def test_a_destination_that_says_when_is_asked_then(post: Post) -> None:
    """Its hint goes before our own pauses; the fixture's jitter adds a tenth."""
    post.channel.fail_next(DeliveryTransient("slow down", retry_after_ms=60_000))
    turn = await post.write("hi")
    await post.wait(59.0)
    assert len(post.tried()) == 1
    await post.wait(7.5)
    assert await post.state(turn) == "sent"


async def test_an_answer_nobody_takes_expires_and_the_next_goes_on(post: Post) -> None:
    """An hour-old answer does not pop up; the operator reads why."""
    for _ in range(3):
        post.channel.fail_next(DeliveryTransient("busy"))
    old = await post.write("old", ttl_ms=60_000)
    new = await post.write("new")
    await post.done()
    assert post.texts() == ["new"]
    row = await post.row(old)
    assert (row.state, row.attempts, row.error) == ("expired", 3, "DeliveryTransient: busy")
    assert await post.state(new) == "sent"


async def test_what_waited_too_long_behind_another_expires_unsent(post: Post) -> None:
    """The time to live counts from the answer, not from its first attempt."""
    gate = post.channel.block_next()
    await post.write("first")
    late = await post.write("second", ttl_ms=10_000)
    await post.wait(11)
    gate.release()
    await post.done()
    assert post.texts() == ["first"]
    assert await post.state(late) == "expired"
    assert (await post.row(late)).attempts == 0


async def test_what_may_have_been_shown_is_never_sent_again_by_itself(post: Post) -> None:
    """P2: where a receiver cannot tell copies, the doubt is shown instead of resolved by luck."""
    post.channel.fail_next(DeliveryUnknown("connection lost"), shown=True)
    turn = await post.write("hi")
    await post.done()
    await post.reopen()
    await post.done()
    assert await post.state(turn) == "unknown"
    assert post.channel.attempts == []


async def test_where_copies_are_dropped_a_doubt_is_sent_again_with_the_same_key(
    deduping: Post,
) -> None:
    """Sent twice, seen once."""
    deduping.channel.fail_next(DeliveryUnknown("connection lost"), shown=True)
    turn = await deduping.write("hi")
    await deduping.done()
    assert [message.key for message in deduping.channel.attempts] == [f"{turn}:1"] * 2
    assert deduping.texts() == ["hi"]
    assert await deduping.state(turn) == "sent"


async def test_a_doubt_that_stays_one_is_given_up_after_a_few_attempts(deduping: Post) -> None:
    """The next message does not wait for ever behind it."""
    for _ in range(UNKNOWN_ATTEMPTS):
        deduping.channel.fail_next(DeliveryUnknown("?"))
    turn = await deduping.write("first")
    await deduping.write("second")
    await deduping.done()
    assert await deduping.state(turn) == "unknown"
    assert deduping.texts() == ["second"]


async def test_an_error_of_no_known_kind_counts_as_a_doubt(post: Post) -> None:
    """A bug in a channel says nothing about what was shown; its text is kept in short."""
    post.channel.fail_next(RuntimeError("broken \ud800" + "x" * 5000))
    turn = await post.write("first")
    await post.write("second")
    await post.done()
    row = await post.row(turn)
    assert row.state == "unknown"
    assert row.error.startswith("RuntimeError: broken \\ud800xxx")
    assert len(row.error) <= 600
    assert post.texts() == ["second"]


async def test_a_send_without_an_end_is_a_doubt_after_a_while(post: Post) -> None:
    """Nobody knows whether it arrived; waiting longer would only delay the next."""
    post.channel.block_next()
    turn = await post.write("first")
    await post.write("second")
    await post.wait(SEND_S - 1)
    assert await post.state(turn) == "sending"
    await post.wait(2)
    assert await post.state(turn) == "unknown"
    assert post.texts() == ["second"]


async def test_a_mark_the_store_refuses_is_written_later(post: Post, store: CuttableStore) -> None:
    """What was sent is not forgotten because the disk was full for a moment."""
    gate = post.channel.block_next()
    turn = await post.write("hi")
    await post.quiet()
    store.refuse(3)
    gate.release()
    await post.done()
    assert await post.state(turn) == "sent"
    assert post.tried() == ["hi"]


async def test_nothing_is_sent_before_the_mark_that_it_is_being_sent(
    post: Post, store: CuttableStore
) -> None:
    """Otherwise a crash after it would send it a second time."""
    turn = await post.write("hi")
    store.refuse(1)
    await post.quiet()
    assert post.tried() == []
    await post.done()
    assert await post.state(turn) == "sent"


async def test_what_was_ended_by_somebody_else_is_left_alone(
    post: Post, store: CuttableStore
) -> None:
    """An operator may purge what waits; the message behind it goes on."""
    gate = post.channel.block_next()
    await post.write("first")
    purged = await post.write("second")
    await post.write("third")
    await post.quiet()
    row = await post.row(purged)
    await store.commit(Unit((EndSend(row.delivery_id, "dead", "", "purged", 1),)))
    gate.release()
    await post.done()
    assert post.texts() == ["first", "third"]
    assert (await post.row(purged)).error == "purged"


async def test_a_bug_in_one_delivery_does_not_hold_up_the_next(post: Post) -> None:
    """It stays open, so that the next start takes it up."""

    class Careless(Nowhere):
        def __init__(self) -> None:
            self.texts: list[str] = []

        async def send(self, message: Outbound) -> Receipt:
            self.texts.append(message.text)
            return Receipt() if message.text == "second" else None  # type: ignore[return-value]  # the bug

    careless = Careless()
    await post.reopen([careless])
    first = await post.write("first", channel="nowhere")
    second = await post.write("second", channel="nowhere")
    await post.done()
    assert careless.texts == ["first", "second"]
    assert [await post.state(turn) for turn in (first, second)] == ["sending", "sent"]


# Restarts.


async def test_what_a_turn_has_said_leaves_after_a_restart_in_order(post: Post) -> None:
    """The process may end right after the turn: whoever runs next sends its answer."""
    turns = [await post.write(text, woken=False) for text in ("first", "second", "third")]
    other = await post.write("hello bob", to="bob", woken=False)
    await post.reopen()
    turns.append(await post.write("fourth"))
    await post.done()
    assert post.tried() == ["first", "second", "third", "fourth"]
    assert {await post.state(turn) for turn in (*turns, other)} == {"sent"}


async def test_a_send_cut_by_the_end_of_its_process_is_a_doubt(post: Post) -> None:
    """It was shown in the first life; the second cannot know and does not guess."""
    turn = await interrupted(post, "hi")
    await post.reopen()
    after = await post.write("next")
    await post.done()
    row = await post.row(turn)
    assert (row.state, row.error) == ("unknown", "the process ended while it was being sent")
    assert post.texts() == ["next"]
    assert await post.state(after) == "sent"


async def test_a_cut_send_goes_again_with_the_same_key_where_copies_are_dropped(
    deduping: Post,
) -> None:
    """At least once with a stable key is seen once; it keeps its place before later answers."""
    turn = await interrupted(deduping, "hi")
    await deduping.reopen()
    await deduping.write("next")
    await deduping.done()
    assert deduping.texts() == ["hi", "next"]
    assert deduping.channel.sent[0].key == f"{turn}:1"
    assert deduping.channel.sent[0].attempt == 2
    assert await deduping.state(turn) == "sent"


async def test_pieces_go_on_with_the_first_that_has_not_left(store: CuttableStore) -> None:
    """A restart in the middle of a long answer repeats nothing and leaves nothing out."""
    post = Post(store, able=Capabilities(limit=5))
    gate = post.channel.block_next()
    post.channel.block_next()
    turn = await post.write("one two three")
    await post.quiet()
    gate.release()
    await post.quiet()
    assert post.texts() == ["one"]
    await post.cut()
    await post.reopen()
    await post.done()
    # The second was being sent: here nobody can tell, so it is not repeated.
    assert [row.state for row in await post.rows(turn)] == ["sent", "unknown", "sent"]
    assert post.texts() == ["three"]


async def test_backoff_holds_over_a_restart(post: Post) -> None:
    """A restart is no reason to hammer a destination that asked for time."""
    post.channel.fail_next(DeliveryTransient("busy", retry_after_ms=60_000))
    turn = await post.write("hi")
    await post.quiet()
    await post.cut()
    await post.reopen()
    await post.wait(59)
    assert post.tried() == []
    await post.wait(8)
    assert await post.state(turn) == "sent"


class Nowhere:
    """A channel that takes nothing in."""

    name = "nowhere"
    account = "default"
    capabilities = Capabilities()

    async def run(self, intake: Intake) -> None:
        """Nobody speaks here."""

    async def send(self, message: Outbound) -> Receipt:
        raise DeliveryTransient("nobody is here")

    async def close(self) -> None:
        """There is nothing to close."""


async def test_without_its_channel_an_answer_waits_and_then_expires_with_the_reason(
    post: Post,
) -> None:
    """It is not handed to another channel and not dropped; nothing is counted as an attempt."""
    turn = await post.write("hi", channel="telegram")
    await post.wait(HOUR_S - 120)
    row = await post.row(turn)
    assert (row.state, row.attempts) == ("pending", 0)
    await post.done()
    row = await post.row(turn)
    assert (row.state, row.attempts) == ("expired", 0)
    assert row.error == "no channel 'telegram' with account 'default' runs here"
    assert post.channel.attempts == []


async def test_an_answer_leaves_once_its_channel_is_back(post: Post) -> None:
    """Leaving a channel out of one start loses nothing."""
    gate = post.channel.block_next()
    await post.write("first")
    second = await post.write("second")
    await post.quiet()
    await post.cut()
    gate.release()
    await post.reopen([])
    await post.wait(100)
    assert await post.state(second) == "pending"
    await post.cut()
    await post.reopen()
    await post.done()
    assert post.texts() == ["second"]


async def test_a_cut_send_is_not_judged_while_its_channel_is_away(deduping: Post) -> None:
    """Whether copies are dropped is the channel's to say; it is asked when it is back."""
    turn = await interrupted(deduping, "hi")
    await deduping.reopen([])
    await deduping.wait(100)
    assert await deduping.state(turn) == "sending"
    await deduping.cut()
    await deduping.reopen()
    await deduping.done()
    assert deduping.texts() == ["hi"]


async def test_a_text_that_was_deleted_is_not_sent(post: Post) -> None:
    """A delivery whose content is gone is dead, with the reason, and blocks nothing."""
    turn = await post.write("secret", kept=False, woken=False)
    await post.write("next", woken=False)
    await post.reopen()
    await post.done()
    row = await post.row(turn)
    assert (row.state, row.attempts, row.error) == ("dead", 0, "its text was deleted")
    assert post.texts() == ["next"]


async def test_what_is_deleted_while_it_waits_is_not_sent(post: Post, store: CuttableStore) -> None:
    """Whether it waits for another attempt or behind another message."""
    post.channel.fail_next(DeliveryTransient("busy"))
    turns = [await post.write(text) for text in ("first secret", "second secret")]
    await post.quiet()
    await store.commit(Unit((BlankSession("session of ann"),)))
    await post.done()
    assert [await post.state(turn) for turn in turns] == ["dead", "dead"]
    assert [(await post.row(turn)).attempts for turn in turns] == [1, 0]
    assert post.texts() == []


async def test_a_store_that_cannot_be_asked_about_a_message_is_asked_again(
    post: Post, store: CuttableStore
) -> None:
    """Nothing leaves before it is known that it still may."""
    post.channel.fail_next(DeliveryTransient("busy"))
    turn = await post.write("hi")
    await post.quiet()
    store.refuse_reads(2)
    await post.wait(5)
    assert post.tried() == ["hi"]
    await post.done()
    assert post.tried() == ["hi", "hi"]
    store.refuse_reads(0)
    assert await post.state(turn) == "sent"


# Stopping.


async def test_stopping_waits_for_a_send_that_ends_in_time(post: Post) -> None:
    """An orderly stop leaves no doubt behind where it can."""
    gate = post.channel.block_next()
    turn = await post.write("hi")
    await post.quiet()
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(post.outbox.stop(grace_s=5))
        await post.clock.advance(4)
        assert not stopping.done()
        gate.release()
    assert await post.state(turn) == "sent"


async def test_stopping_ends_a_send_that_takes_too_long(post: Post) -> None:
    """It stays marked as being sent: the next start knows of the doubt."""
    post.channel.block_next()
    turn = await post.write("hi")
    waiting = await post.write("next")
    await post.quiet()
    await post.clock.drive(post.outbox.stop(grace_s=5))
    assert len(post.outbox) == 0
    assert await post.state(turn) == "sending"
    assert await post.state(waiting) == "pending"


async def test_stopping_does_not_wait_for_a_pause(post: Post) -> None:
    """What is pending stays so; no time has to pass."""
    post.channel.fail_next(DeliveryTransient("busy"))
    turn = await post.write("hi")
    await post.quiet()
    async with asyncio.timeout(PATIENCE_S):
        await post.outbox.stop(grace_s=5)
    assert await post.state(turn) == "pending"
    assert len(post.outbox) == 0


async def test_what_is_woken_after_the_stop_is_kept(post: Post) -> None:
    """A turn may end while the gateway does; its answer is sent by the next start."""
    await post.outbox.stop(grace_s=5)
    turn = await post.write("hi")
    await post.done()
    assert await post.state(turn) == "pending"
    await post.reopen()
    await post.done()
    assert post.texts() == ["hi"]


# What the log says.


async def test_each_end_is_an_event_with_its_reason(post: Post) -> None:
    """The log tells the operator of every delivery's end, in order, without anybody's words."""
    post.channel.fail_next(DeliveryPermanent("gone"))
    post.channel.fail_next(DeliveryUnknown("lost"))
    dead = await post.write("a secret")
    unknown = await post.write("b secret")
    sent = await post.write("c secret")
    expired = await post.write("d secret", channel="telegram", ttl_ms=1000)
    await post.done()
    found = {}
    for event in await post.events():
        assert event.content_id == ""
        assert "secret" not in event.data
        found[event.turn_id] = (event.kind, event.session_key, orjson.loads(event.data))
    assert len(found) == 4
    kinds = {turn: kind for turn, (kind, _, _) in found.items()}
    assert kinds == {
        dead: "delivery.dead",
        unknown: "delivery.unknown",
        sent: "delivery.sent",
        expired: "delivery.expired",
    }
    row = await post.row(dead)
    assert found[dead][1] == "session of ann"
    assert found[dead][2] == {
        "delivery_id": row.delivery_id,
        "attempts": 1,
        "error": "DeliveryPermanent: gone",
    }
    assert found[expired][2]["attempts"] == 0


async def test_retries_are_no_events(post: Post, store: CuttableStore) -> None:
    """Only ends are told; how it is going is read from the rows."""
    post.channel.fail_next(DeliveryTransient("busy"))
    await post.write("hi")
    await post.quiet()
    assert await post.events() == []
    assert [(row.state, row.total) for row in await store.read(CountDeliveries())] == [
        ("pending", 1)
    ]
    await post.done()
    assert [event.kind for event in await post.events()] == ["delivery.sent"]


async def test_what_a_dead_process_left_is_adopted_by_one_of_the_others(deduping: Post) -> None:
    """Not before nobody can be at it any more, and however many want it."""
    turn = await interrupted(deduping, "one")
    waits = await deduping.write("two", woken=False)
    others = [deduping.beside() for _ in range(2)]
    for outbox, _ in others:
        await outbox.start()
    assert [len(outbox) for outbox, _ in others] == [0, 0]
    await deduping.clock.advance(ABANDONED_MS / 1000 + 1)
    for outbox, _ in others:
        await outbox.adopt()
    await asyncio.gather(*(deduping.clock.drive(outbox.drained()) for outbox, _ in others))
    shown = [message.key for _, channel in others for message in channel.attempts]
    assert sorted(shown) == sorted([f"{turn}:1", f"{waits}:1"])
    assert [(await deduping.row(each)).state for each in (turn, waits)] == ["sent", "sent"]


@pytest.mark.postgres
@pytest.mark.timeout(20)  # the server may have to start
@pytest.mark.parametrize("dedupes", [True, False])
async def test_what_a_killed_process_left_on_postgresql_leaves_once(dedupes: bool) -> None:
    """Each process with connections of its own, all adopting at one moment; within lease + 5 s."""
    assert ABANDONED_MS <= LEASE_S * 1000 + 5000
    database.server()
    url = await database.fresh_url()
    async with AsyncExitStack() as stack:
        stores = []
        for _ in range(4):
            stores.append(CuttableStore(await connect_store(url, clock=SystemClock())))
            stack.push_async_callback(stores[-1].close)
        post = Post(stores[0], able=DEDUPES if dedupes else PLAIN)
        turns = [await interrupted(post, "one")]
        turns += [await post.write(f"{n}", woken=False) for n in range(5)]
        others = [post.beside(store) for store in stores[1:]]
        await post.clock.advance(ABANDONED_MS / 1000 + 1)
        await asyncio.gather(*(outbox.adopt() for outbox, _ in others))
        await asyncio.gather(*(outbox.drained() for outbox, _ in others))
        states = [(await post.row(turn)).state for turn in turns]
        shown = [message.key for _, channel in others for message in channel.attempts]
    # Where a second copy would be seen, nobody can know about the first one.
    expected = turns if dedupes else turns[1:]
    assert sorted(shown) == sorted(f"{turn}:1" for turn in expected)
    assert states == ["sent" if turn in expected else "unknown" for turn in turns]
