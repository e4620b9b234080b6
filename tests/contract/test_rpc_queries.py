"""What every store answers to the questions and wishes of the methods: lists, labels, deletions."""

import pytest

from gateway.core.errors import Conflict, NotFound
from gateway.store.base.agents import AgentRow, ListAgents, PutAgent, RemoveAgent
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import (
    AppendEntry,
    BlankSession,
    ClearTranscript,
    CutTranscript,
    DropRuns,
    DropSession,
    ExpectIdle,
    GetSession,
    HistoryPage,
    HistoryRow,
    LastEntryOfTurn,
    ListSessions,
    LoadTranscript,
    SessionRow,
    SessionsOfAgent,
    SessionsOfPrincipal,
    SetLabel,
)
from gateway.store.base.events import ReadEvents
from gateway.store.base.inputs import (
    EndInput,
    EndQueued,
    GetInput,
    ListTurns,
    MergeInput,
    StartInput,
    TurnRow,
    TurnsOfPrincipal,
    TurnsOfSession,
)
from gateway.store.base.outbox import (
    BeginSend,
    CountAttempts,
    DeliveriesOfTurn,
    EndSend,
    GetDelivery,
    ListDeliveries,
    MarkPulled,
    OpenDeliveries,
    PurgeDelivery,
    PurgeFailed,
    RetryDelivery,
)
from gateway.store.base.profiles import ListStandings, PutStanding, StandingRow
from gateway.store.base.retention import PruneDeliveries
from gateway.store.base.runs import GetRun, ListRuns
from gateway.store.base.steps import LoadSteps
from gateway.store.base.store import Store, Unit
from tests.support.store_units import (
    SESSION,
    a_begin,
    a_content,
    a_delivery,
    a_run,
    a_run_end,
    a_session,
    an_entry,
    an_input,
    happened,
    one,
    put,
    refusal,
)

ALL = 2**62

# Turns.


async def test_turns_are_listed_newest_first_in_pages(store: Store) -> None:
    """A page ends where the next begins, and says what became of each."""
    for n in range(5):
        await put(store, an_input(turn_id=f"t{n}"))
    await put(
        store, StartInput("t0"), MergeInput("t1", "t0", 7), EndInput("t0", "failed", "rate", 9)
    )
    first = await store.read(ListTurns(ALL, 3))
    rest = await store.read(ListTurns(first[-1].ordinal, 3))
    assert [row.turn_id for row in (*first, *rest)] == ["t4", "t3", "t2", "t1", "t0"]
    assert rest[-1] == TurnRow(
        rest[-1].ordinal, "t0", SESSION, "main", "web", "ann", "failed", "rate", "", 1, 9
    )
    assert (rest[-2].state, rest[-2].merged_into) == ("merged", "t0")


async def test_turns_of_a_session_and_of_a_principal_are_found(store: Store) -> None:
    """Others' are not among them."""
    await put(store, an_input(turn_id="t1"), an_input(turn_id="t2", session_key="other"))
    await put(store, an_input(turn_id="t3", principal="eve"))
    of_session = await store.read(TurnsOfSession(SESSION, ALL, 9))
    of_ann = await store.read(TurnsOfPrincipal("ann", ALL, 9))
    assert [row.turn_id for row in of_session] == ["t3", "t1"]
    assert [row.turn_id for row in of_ann] == ["t2", "t1"]
    assert [row.turn_id for row in await store.read(TurnsOfPrincipal("ann", ALL, 1))] == ["t2"]
    assert await store.read(TurnsOfSession(SESSION, of_session[-1].ordinal, 9)) == []


# Sessions.


async def test_a_session_has_a_label(store: Store) -> None:
    """It stays when the session is active again, and a session that is not there gets none."""
    await put(store, a_session(at=1))
    await put(store, SetLabel(SESSION, "plans"), a_session(at=3))
    assert await one(store, GetSession(SESSION)) == SessionRow(
        SESSION, "main", "ann", 1, 3, "plans"
    )
    assert await refusal(put(store, SetLabel("nobody", "x"))) is NotFound


async def test_sessions_of_an_owner_and_of_an_agent_are_listed(store: Store) -> None:
    """Most recently active first, in pages, by either or both."""
    for n, (owner, agent) in enumerate(
        [("ann", "main"), ("eve", "main"), ("ann", "coder"), ("ann", "main")]
    ):
        await put(store, a_session(session_key=f"s{n}", principal=owner, agent_id=agent, at=n))

    async def keys(query: SessionsOfPrincipal | SessionsOfAgent | ListSessions) -> list[str]:
        return [row.session_key for row in await store.read(query)]

    assert await keys(SessionsOfPrincipal("ann", "", ALL, "", 9)) == ["s3", "s2", "s0"]
    assert await keys(SessionsOfPrincipal("ann", "main", ALL, "", 9)) == ["s3", "s0"]
    assert await keys(SessionsOfPrincipal("ann", "", 3, "s3", 1)) == ["s2"]
    assert await keys(SessionsOfAgent("main", ALL, "", 9)) == ["s3", "s1", "s0"]
    assert await keys(SessionsOfAgent("main", 1, "s1", 9)) == ["s0"]
    assert await keys(ListSessions(ALL, "", 2)) == ["s3", "s2"]


async def test_history_is_read_from_its_end(store: Store) -> None:
    """In pages, and the last thing a turn said is found by the turn."""
    for n in range(4):
        entry = AppendEntry(SESSION, n, f"t{n // 2}", f"c{n}", n)
        await put(store, a_content(content_id=f"c{n}", body=f'"{n}"'), entry)
    page = await store.read(HistoryPage(SESSION, ALL, 3))
    assert page == [HistoryRow(n, f"t{n // 2}", n, f'"{n}"') for n in (3, 2, 1)]
    assert [row.position for row in await store.read(HistoryPage(SESSION, 1, 3))] == [0]
    assert (await one(store, LastEntryOfTurn(SESSION, "t0"))).body == '"1"'
    assert await store.read(LastEntryOfTurn(SESSION, "t9")) == []


@pytest.mark.parametrize(
    ("ops", "idle"),
    [
        ((), True),
        ((an_input(),), False),
        ((an_input(), StartInput("t1")), False),
        ((an_input(), EndQueued("t1", "cancelled", 2)), True),
        ((an_input(), StartInput("t1"), EndInput("t1", "answered", "", 2)), True),
        ((an_input(session_key="other"),), True),
    ],
)
async def test_a_session_is_idle_without_open_inputs(
    store: Store, ops: tuple[Op, ...], idle: bool
) -> None:
    """Expecting it changes nothing but the outcome of the unit."""
    await put(store, a_session(), *ops)
    before = await one(store, GetSession(SESSION))
    outcome = await refusal(put(store, ExpectIdle(SESSION), SetLabel(SESSION, "seen")))
    assert outcome is (None if idle else Conflict)
    after = await one(store, GetSession(SESSION))
    assert after == (before._replace(label="seen") if idle else before)


async def test_a_cleared_transcript_begins_anew_and_the_log_keeps_the_words(store: Store) -> None:
    """What is forgotten is the conversation, not what happened."""
    await store.commit(Unit(events=(happened(content_id="c1"),)))
    await put(store, a_content(), a_session(), an_entry())
    await put(store, ClearTranscript(SESSION))
    assert await store.read(LoadTranscript(SESSION)) == []
    assert (await one(store, ReadEvents(0, 9))).body == '"words"'
    await put(store, an_entry())
    assert len(await store.read(LoadTranscript(SESSION))) == 1


async def test_a_transcript_is_cut_from_a_position_on(store: Store) -> None:
    """What is before it stays, and others' is not touched."""
    for n in range(3):
        entry = AppendEntry(SESSION, n, f"t{n}", "c1", n)
        await put(store, entry, entry._replace(session_key="other"))
    assert await refusal(put(store, CutTranscript(SESSION, 1, 2))) is Conflict
    receipt = await put(store, CutTranscript(SESSION, 1, 3))
    assert receipt.touched == [2]
    assert [row.position for row in await store.read(LoadTranscript(SESSION))] == [0]
    assert len(await store.read(LoadTranscript("other"))) == 3


async def test_a_deleted_session_leaves_tombstones_everywhere(store: Store) -> None:
    """Transcript, input, delivery and log lose the words; another session keeps its own."""
    await store.commit(Unit(events=(happened(content_id="c1"),)))
    await put(store, a_content(), a_session(), an_entry(), a_delivery(), an_input())
    await put(store, a_run(run_id="t1"), a_begin(run_id="t1"), a_run(run_id="t2"))
    await put(store, a_content(content_id="c2", session_key="other"))
    await put(store, an_input(turn_id="t2", session_key="other", content_id="c2"))
    await put(store, BlankSession(SESSION), DropRuns(SESSION), DropSession(SESSION))
    assert (await one(store, LoadTranscript(SESSION))).body is None
    assert (await one(store, GetInput("t1"))).body is None
    assert (await one(store, DeliveriesOfTurn("t1"))).body is None
    assert (await one(store, ReadEvents(0, 9))).body is None
    assert await store.read(GetSession(SESSION)) == []
    assert (await store.read(GetRun("t1")), await store.read(LoadSteps("t1"))) == ([], [])
    assert len(await store.read(GetRun("t2"))) == 1
    assert (await one(store, GetInput("t2"))).body == '"words"'
    await put(store, BlankSession(SESSION), DropRuns(SESSION))
    assert await refusal(put(store, DropSession(SESSION))) is NotFound


# Runs.


async def test_runs_are_listed_newest_first(store: Store) -> None:
    """By their id, in pages, of any status or of one."""
    for n in (1, 3, 2):
        await put(store, a_run(run_id=f"r{n}"))
    await put(store, a_run_end(run_id="r2"))
    rows = await store.read(ListRuns("~", "", 2))
    assert [row.run_id for row in rows] == ["r3", "r2"]
    assert [row.run_id for row in await store.read(ListRuns("r2", "", 9))] == ["r1"]
    assert [row.run_id for row in await store.read(ListRuns("~", "running", 9))] == ["r3", "r1"]
    ended = await one(store, GetRun("r2"))
    assert rows[1] == ended._replace(input="null", result="null")
    await put(store, a_run(run_id="r4", task="report"))
    assert [row.run_id for row in await store.read(ListRuns("~", "", 9, "report"))] == ["r4"]


# Deliveries.


async def test_a_delivery_that_is_fetched_is_available_and_then_sent(store: Store) -> None:
    """No worker sees it, it is marked once, and age takes it like any that has ended."""
    await put(store, a_delivery(state="available"))
    assert await store.read(OpenDeliveries(0, 9)) == []
    assert (await one(store, GetDelivery("d1"))).state == "available"
    assert await refusal(put(store, BeginSend("d1", 2))) is Conflict
    for at in (5, 6):
        await put(store, MarkPulled("t1:0", at))
        row = await one(store, GetDelivery("d1"))
        assert (row.state, row.attempts, row.ended_at) == ("sent", 1, 5)
    await put(store, a_delivery(delivery_id="d2", key="k2", state="available", at=3))
    await put(store, PruneDeliveries(4, 9))
    assert [row.delivery_id for row in await store.read(ListDeliveries(ALL, "", 9))] == ["d1"]


async def test_only_what_is_available_is_marked_as_fetched(store: Store) -> None:
    """A pushed delivery is sent by its channel alone."""
    await put(store, a_delivery())
    await put(store, MarkPulled("t1:0", 5))
    assert (await one(store, GetDelivery("d1"))).state == "pending"


async def test_deliveries_are_listed_newest_first(store: Store) -> None:
    """In pages, of any state or of one."""
    for n in range(3):
        await put(store, a_delivery(delivery_id=f"d{n}", key=f"k{n}"))
    await put(store, EndSend("d1", "dead", "", "gone", 4))
    rows = await store.read(ListDeliveries(ALL, "", 2))
    assert [row.delivery_id for row in rows] == ["d2", "d1"]
    below = await store.read(ListDeliveries(rows[-1].ordinal, "", 9))
    assert [row.delivery_id for row in below] == ["d0"]
    assert [row.delivery_id for row in await store.read(ListDeliveries(ALL, "dead", 9))] == ["d1"]
    assert rows[1] == await one(store, GetDelivery("d1"))
    assert await store.read(GetDelivery("nobody")) == []


async def test_attempts_are_counted_over_all_deliveries(store: Store) -> None:
    """Without any it is zero."""
    assert (await one(store, CountAttempts())).attempts == 0
    await put(store, a_delivery(), BeginSend("d1", 2), a_delivery(delivery_id="d2", key="k2"))
    assert (await one(store, CountAttempts())).attempts == 1


@pytest.mark.parametrize("state", ["dead", "expired", "unknown"])
async def test_what_failed_can_be_tried_again(store: Store, state: str) -> None:
    """As if new, in its old place; what is open or sent cannot."""
    await put(store, a_delivery())
    assert await refusal(put(store, RetryDelivery("d1", 5, 99))) is Conflict
    await put(store, BeginSend("d1", 2), EndSend("d1", state, "", "gone", 4))
    await put(store, RetryDelivery("d1", 5, 99))
    row = await one(store, OpenDeliveries(0, 9))
    assert (row.state, row.attempts, row.next_at, row.error) == ("pending", 0, 5, "")
    assert (row.expires_at, row.ended_at) == (99, None)
    await put(store, EndSend("d1", "sent", "m1", "", 6))
    assert await refusal(put(store, RetryDelivery("d1", 7, 99))) is Conflict


async def test_ended_deliveries_can_be_forgotten(store: Store) -> None:
    """One by its id, or all that failed; what is open stays."""
    for n, state in enumerate(["dead", "expired", "unknown", "sent"]):
        await put(store, a_delivery(delivery_id=f"d{n}", key=f"k{n}"))
        await put(store, EndSend(f"d{n}", state, "", "", 4))
    await put(store, a_delivery(delivery_id="d9", key="k9"))
    assert await refusal(put(store, PurgeDelivery("d9"))) is Conflict
    await put(store, PurgeDelivery("d0"))
    receipt = await put(store, PurgeFailed(9))
    assert receipt.touched == [2]
    left = await store.read(ListDeliveries(ALL, "", 9))
    assert [row.delivery_id for row in left] == ["d9", "d3"]


# Agents.


async def test_added_agents_are_kept_replaced_and_removed(store: Store) -> None:
    """A replaced one keeps the time it came."""
    await put(store, PutAgent("luna", '{"a":1}', 3), PutAgent("ada", "{}", 4))
    await put(store, PutAgent("luna", '{"a":2}', 5))
    assert await store.read(ListAgents()) == [
        AgentRow("ada", "{}", 4),
        AgentRow("luna", '{"a":2}', 3),
    ]
    await put(store, RemoveAgent("ada"))
    assert [row.agent_id for row in await store.read(ListAgents())] == ["luna"]
    assert await refusal(put(store, RemoveAgent("ada"))) is NotFound


# Profiles.


async def test_of_what_is_known_of_a_key_the_newest_holds(store: Store) -> None:
    """Two processes may write what they learnt in any order."""
    await put(store, PutStanding("k2", "big", "{}", 1), PutStanding("k1", "big", '{"a":2}', 5))
    await put(store, PutStanding("k1", "big", '{"a":1}', 4), PutStanding("k1", "", "{}", 1))
    assert await store.read(ListStandings()) == [
        StandingRow("k1", "", "{}", 1),
        StandingRow("k1", "big", '{"a":2}', 5),
        StandingRow("k2", "big", "{}", 1),
    ]
