"""What every store keeps of inputs, sessions, transcripts, deliveries and bindings."""

import asyncio

import pytest

from gateway.core.errors import Busy, Conflict, Duplicate
from gateway.store.base.bindings import BindingRow, ListBindings, PutBinding, RemoveBinding
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import GetSession, ListSessions, LoadTranscript
from gateway.store.base.inputs import (
    EndInput,
    EndQueued,
    FindInput,
    FindKey,
    GetInput,
    InputsOfTurn,
    KeyRow,
    MergeInput,
    OpenInputs,
    PauseInput,
    QueuedInputs,
    ResumeInput,
    SessionTurn,
    StaleInputs,
    StartInput,
)
from gateway.store.base.outbox import (
    BeginSend,
    CountDeliveries,
    DeliveriesOfTurn,
    EndSend,
    OpenDeliveries,
    RetrySend,
    StateCount,
)
from gateway.store.base.store import Store
from tests.support.store_units import (
    SESSION,
    a_content,
    a_delivery,
    a_key,
    a_session,
    an_entry,
    an_input,
    one,
    put,
    refusal,
)

# Inputs.


async def test_an_input_is_accepted_with_all_it_came_with(store: Store) -> None:
    """Nothing is dropped between the channel and the lane."""
    given = an_input(
        external_id="x1", agent_override="coder", barrier=True, explanation='{"rule":1}'
    )
    receipt = await put(store, a_content(), given)
    row = await one(store, GetInput("t1"))
    assert row.ordinal == receipt.value(1)
    for name in set(given._fields) - {"at", "mailbox"}:
        assert getattr(row, name) == getattr(given, name), name
    assert (row.state, row.body, row.accepted_at, row.ended_at) == ("queued", '"words"', 1, None)
    assert await one(store, FindInput("web", "default", "x1")) == row
    assert await store.read(FindInput("web", "default", "")) == []


async def test_an_input_lives_through_its_states(store: Store) -> None:
    """queued, running, waiting, running, answered; the one end is kept."""
    seen = []
    for op in (
        an_input(),
        StartInput("t1"),
        PauseInput("t1", "approval"),
        ResumeInput("t1"),
        EndInput("t1", "answered", "fine", 9),
    ):
        await put(store, op)
        row = await one(store, GetInput("t1"))
        seen.append((row.state, row.detail, row.ended_at))
    assert seen == [
        ("queued", "", None),
        ("running", "", None),
        ("waiting", "approval", None),
        ("running", "", None),
        ("answered", "fine", 9),
    ]


@pytest.mark.parametrize("state", ["answered", "failed", "expired", "cancelled"])
async def test_an_ended_input_stays_ended(store: Store, state: str) -> None:
    """No write brings it back or gives it another end."""
    await put(store, an_input(), StartInput("t1"), EndInput("t1", state, "why", 5))
    for op in (
        StartInput("t1"),
        MergeInput("t1", "t0", 6),
        PauseInput("t1", "timer"),
        ResumeInput("t1"),
        EndInput("t1", "answered", "", 6),
        EndQueued("t1", "cancelled", 6),
    ):
        assert await refusal(put(store, op)) is Conflict
    row = await one(store, GetInput("t1"))
    assert (row.state, row.detail, row.ended_at) == (state, "why", 5)


async def test_two_endings_cannot_both_win(store: Store) -> None:
    """Cancelling and expiring race with the claim; exactly one of the three holds."""
    for n in range(10):
        turn = f"t{n}"
        await put(store, an_input(turn_id=turn))
        outcomes = await asyncio.gather(
            *(
                refusal(put(store, op))
                for op in (
                    EndQueued(turn, "cancelled", 2),
                    StartInput(turn),
                    EndQueued(turn, "expired", 2),
                )
            )
        )
        assert outcomes.count(None) == 1


async def test_the_mailbox_bound_is_exact_under_concurrency(store: Store) -> None:
    """Sixty send at once, twenty fit; another session has its own bound."""
    outcomes = await asyncio.gather(
        *(refusal(put(store, an_input(turn_id=f"t{n}", mailbox=20))) for n in range(60)),
        *(
            refusal(put(store, an_input(turn_id=f"o{n}", session_key="other", mailbox=20)))
            for n in range(20)
        ),
    )
    assert outcomes[:60].count(Busy) == 40
    assert outcomes[60:] == [None] * 20
    assert len(await store.read(QueuedInputs(SESSION, 99))) == 20


async def test_a_claimed_input_leaves_room_in_the_mailbox(store: Store) -> None:
    """Only what still waits counts."""
    await put(store, an_input(mailbox=1))
    assert await refusal(put(store, an_input(turn_id="t2", mailbox=1))) is Busy
    await put(store, StartInput("t1"))
    await put(store, an_input(turn_id="t2", mailbox=1))


async def test_a_duplicate_is_told_so_although_the_mailbox_is_full(store: Store) -> None:
    """Busy would say that nothing was accepted, which is not true of this input."""
    await put(store, an_input(external_id="x1", mailbox=1))
    again = an_input(turn_id="t2", external_id="x1", mailbox=1)
    assert await refusal(put(store, again)) is Duplicate
    assert await refusal(put(store, an_input(mailbox=1))) is Duplicate
    assert await refusal(put(store, an_input(turn_id="t3", mailbox=1))) is Busy


async def test_an_external_id_belongs_to_its_channel_and_account(store: Store) -> None:
    """Inputs without one are never duplicates of each other."""
    await put(store, an_input(external_id="x1"))
    await put(store, an_input(turn_id="t2", external_id="x1", channel="discord"))
    await put(store, an_input(turn_id="t3", external_id="x1", account="second"))
    await put(store, an_input(turn_id="t4"), an_input(turn_id="t5"))
    kept = [row.turn_id for row in await store.read(OpenInputs(0, 9))]
    assert kept[1:] == ["t2", "t3", "t4", "t5"]


async def test_inputs_are_listed_in_order_of_acceptance(store: Store) -> None:
    """Open ones over all sessions in pages, queued ones of a session, those of a turn."""
    names = ["t9", "t3", "t5", "t1"]
    for n, turn in enumerate(names):
        await put(store, an_input(turn_id=turn, session_key=f"s{n % 2}"))
    await put(store, StartInput("t9"), MergeInput("t5", "t9", 2))
    rows = await store.read(OpenInputs(0, 9))
    assert [row.turn_id for row in rows] == ["t9", "t3", "t1"]
    assert [row.turn_id for row in await store.read(OpenInputs(rows[0].ordinal, 1))] == ["t3"]
    assert [row.turn_id for row in await store.read(QueuedInputs("s1", 9))] == ["t3", "t1"]
    assert [row.turn_id for row in await store.read(QueuedInputs("s0", 9))] == []
    assert [row.turn_id for row in await store.read(InputsOfTurn("t9"))] == ["t9", "t5"]
    assert [row.turn_id for row in await store.read(InputsOfTurn(""))] == []


async def test_a_key_stands_for_its_turn(store: Store) -> None:
    """Per principal, method and key."""
    await put(store, a_key(), a_key(principal="bob", turn_id="t2"), a_key(method="m"))
    assert await one(store, FindKey("ann", "send", "k1")) == KeyRow("hash", "t1")
    assert (await one(store, FindKey("bob", "send", "k1"))).turn_id == "t2"
    assert await store.read(FindKey("ann", "send", "k2")) == []


# Sessions and transcripts.


async def test_a_position_of_a_transcript_is_taken_once(store: Store) -> None:
    """Of turns that write at the same place one wins; the others leave nothing."""
    outcomes = await asyncio.gather(
        *(
            refusal(
                put(
                    store,
                    a_content(content_id=f"c{n}"),
                    an_entry(turn_id=f"t{n}", content_id=f"c{n}"),
                )
            )
            for n in range(16)
        )
    )
    assert outcomes.count(None) == 1
    assert outcomes.count(Conflict) == 15
    (row,) = await store.read(LoadTranscript(SESSION))
    assert row.body == '"words"'
    loser = next(n for n in range(16) if f"c{n}" != row.content_id)
    await put(store, a_content(content_id=f"c{loser}"))


async def test_a_transcript_is_read_in_order_of_its_positions(store: Store) -> None:
    """Whatever the order of writing; an entry without words says so."""
    await put(store, a_content(), an_entry(position=2), an_entry(position=0, content_id="gone"))
    rows = await store.read(LoadTranscript(SESSION))
    assert [(row.position, row.body) for row in rows] == [(0, None), (2, '"words"')]


async def test_a_session_keeps_its_owner(store: Store) -> None:
    """Being touched by another only makes it active."""
    await put(store, a_session(at=1))
    await put(store, a_session(principal="eve", agent_id="other", at=5))
    row = await one(store, GetSession(SESSION))
    assert row == (SESSION, "main", "ann", 1, 5, "")


async def test_sessions_are_listed_most_recent_first_in_pages(store: Store) -> None:
    """Ties are ordered by key, and no page repeats or misses one."""
    await put(store, *(a_session(session_key=f"s{n}", at=n // 2) for n in range(9)))
    seen: list[str] = []
    before = (2**40, "")
    while page := await store.read(ListSessions(*before, 2)):
        seen += [row.session_key for row in page]
        before = (page[-1].last_active_at, page[-1].session_key)
    assert seen == ["s8", "s7", "s6", "s5", "s4", "s3", "s2", "s1", "s0"]


# Deliveries.

TO_STATE: dict[str, tuple[Op, ...]] = {
    "pending": (a_content(), a_delivery()),
    "sending": (a_content(), a_delivery(), BeginSend("d1", 5)),
    **{
        state: (a_content(), a_delivery(), BeginSend("d1", 5), EndSend("d1", state, "m7", "", 6))
        for state in ("sent", "dead", "expired", "unknown")
    },
}
ALLOWED = {
    "BeginSend": {"pending": "sending"},
    "RetrySend": {"sending": "pending"},
    "EndSend": {"pending": "dead", "sending": "dead"},
}


@pytest.mark.parametrize("state", TO_STATE)
@pytest.mark.parametrize(
    "op",
    [BeginSend("d1", 8), RetrySend("d1", 90, "later"), EndSend("d1", "dead", "", "gone", 8)],
    ids=lambda op: type(op).__name__,
)
async def test_a_delivery_moves_only_along_its_states(store: Store, state: str, op: Op) -> None:
    """From every state every operation: what is not in the table is a conflict."""
    await put(store, *TO_STATE[state])
    after = ALLOWED[type(op).__name__].get(state)
    assert await refusal(put(store, op)) is (None if after else Conflict)
    assert [row.state for row in await store.read(DeliveriesOfTurn("t1"))] == [after or state]


async def test_a_delivery_counts_its_attempts(store: Store) -> None:
    """When the last one left, when the next one may, what went wrong, what came back."""
    seen = []
    for ops in (
        (a_content(), a_delivery(at=2)),
        (BeginSend("d1", 5),),
        (RetrySend("d1", 90, "later"),),
        (BeginSend("d1", 91),),
        (EndSend("d1", "sent", "m7", "", 92),),
    ):
        await put(store, *ops)
        row = await one(store, DeliveriesOfTurn("t1"))
        seen.append((row.state, row.attempts, row.next_at, row.error, row.receipt, row.ended_at))
    assert seen == [
        ("pending", 0, 2, "", "", None),
        ("sending", 1, 5, "", "", None),
        ("pending", 1, 90, "later", "", None),
        ("sending", 2, 91, "later", "", None),
        ("sent", 2, 91, "", "m7", 92),
    ]


async def test_deliveries_leave_in_the_order_of_their_ordinals(store: Store) -> None:
    """The ordinal is given at commit; open ones are read in pages, with their words."""
    ordinals = []
    await put(store, a_content())
    for n in (3, 1, 2):
        receipt = await put(store, a_delivery(delivery_id=f"d{n}", key=f"k{n}"))
        ordinals.append(receipt.value(0))
    assert ordinals == sorted(ordinals)
    await put(store, EndSend("d1", "expired", "", "", 5))
    rows = await store.read(OpenDeliveries(0, 9))
    assert [(row.delivery_id, row.body) for row in rows] == [("d3", '"words"'), ("d2", '"words"')]
    assert [row.delivery_id for row in await store.read(OpenDeliveries(ordinals[0], 1))] == ["d2"]
    assert await store.read(CountDeliveries()) == [
        StateCount("expired", 1),
        StateCount("pending", 2),
    ]


# Bindings.


async def test_bindings_keep_the_order_they_were_added_in(store: Store) -> None:
    """Replacing keeps place and date; removing and adding again goes to the end."""
    for n, name in enumerate("cab"):
        await put(store, PutBinding(name, f"{n}", n))
    await put(store, PutBinding("c", "new", 9))
    assert await store.read(ListBindings()) == [
        BindingRow("c", "new", 0),
        BindingRow("a", "1", 1),
        BindingRow("b", "2", 2),
    ]
    await put(store, RemoveBinding("c"))
    await put(store, PutBinding("c", "again", 10))
    assert [row.binding_id for row in await store.read(ListBindings())] == ["a", "b", "c"]


async def test_a_session_has_one_turn_at_a_time_in_the_order_of_acceptance(store: Store) -> None:
    """Whoever asks, and however many: neither beside a turn, nor past an older message."""
    await put(store, a_content(), an_input(), an_input(turn_id="t2"), an_input(turn_id="t3"))
    assert await refusal(put(store, StartInput("t2"))) is Conflict
    assert await store.read(SessionTurn(SESSION)) == []
    await put(store, StartInput("t1"), MergeInput("t2", "t1", 2))
    assert [row.turn_id for row in await store.read(SessionTurn(SESSION))] == ["t1"]
    assert await refusal(put(store, StartInput("t3"))) is Conflict
    await put(store, PauseInput("t1", "approval"))
    assert await refusal(put(store, StartInput("t3"))) is Conflict
    await put(store, EndInput("t1", "answered", "", 3))
    await put(store, StartInput("t3"))


async def test_of_many_who_claim_one_session_at_once_one_gets_it(store: Store) -> None:
    await put(store, a_content(), *(an_input(turn_id=f"t{n}") for n in range(4)))
    claims = (put(store, StartInput(f"t{n % 4}")) for n in range(16))
    outcomes = await asyncio.gather(*claims, return_exceptions=True)
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1


async def test_an_input_is_stale_when_nothing_is_in_its_way_and_nobody_claims_it(
    store: Store,
) -> None:
    """Or when it has expired behind something that is."""
    free, busy = an_input(session_key="free", at=10), an_input(turn_id="t2", at=10)
    waits = an_input(turn_id="t3", at=10)
    late = an_input(turn_id="t4", at=10)._replace(expires_at=20)
    await put(store, a_content(), free, busy, waits, late, StartInput("t2"))
    assert await store.read(StaleInputs(10, 15, 9)) == []
    assert [row.turn_id for row in await store.read(StaleInputs(11, 15, 9))] == ["t1"]
    assert [row.turn_id for row in await store.read(StaleInputs(11, 20, 9))] == ["t1", "t4"]
    assert [row.turn_id for row in await store.read(StaleInputs(11, 20, 1))] == ["t1"]
