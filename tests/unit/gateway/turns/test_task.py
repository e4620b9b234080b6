"""A turn as a durable task: how it runs, waits, is given up, and what the lane is told."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from agents.base.messages import AssistantMessage, UserMessage
from agents.base.tools import Effect
from agents.models.scripted import Call, Rule
from channels.memory import Gate
from gateway.core.errors import Bug, RunCancelled, RunQuarantined, TurngateError
from gateway.core.ids import RunId
from gateway.core.parts import Text
from gateway.runs.context import DECISION_S, decision_key
from gateway.store.base.conversations import AppendEntry, BlankSession, PutContent
from gateway.store.base.store import Unit
from gateway.turns.boundary import STOPPED
from gateway.turns.task import manifest
from tests.support.house import MAIN, Notebook
from tests.unit.gateway.turns.bench import Bench, open_bench
from tests.unit.gateway.turns.rows import SESSION, body, row

PAY = Rule("pay", "done: {results}", (Call("pay", '{"to": "bob"}'),))


async def cut_while_paying(bench: Bench, tool: Notebook) -> None:
    """The process ends while an unsafe tool is at work; the next one parks the turn."""
    tool.gate = Gate()
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.ask("pay"))
        await bench.quiet()
        bench.store.cut()
    tool.gate = None
    await bench.restart()
    assert await bench.execute() == "parked"


def test_a_turn_is_about_the_messages_it_answers() -> None:
    """The same messages in the same order: a replay with others is refused."""
    one, two = row(1), row(2)
    assert manifest([one]).hash() == manifest([one._replace(state="running")]).hash()
    assert manifest([one]).hash() != manifest([one, two]).hash() != manifest([two, one]).hash()


async def test_a_turn_runs_from_the_store_when_nothing_is_at_hand() -> None:
    """As after a restart: leading and merged messages, in their order."""
    async with open_bench() as bench:
        await bench.claim(row(1, "say one"), row(2, "say two"))
        assert await bench.execute(fresh="turn") == "ended"
        assert await bench.transcript() == [
            UserMessage((Text("say one"),)),
            UserMessage((Text("say two"),)),
            AssistantMessage("You said: say one\nsay two"),
        ]


async def test_only_the_execution_that_wrote_the_end_of_a_turn_says_so() -> None:
    """The lane goes on after the one; after any other it looks how the input stands."""
    async with open_bench() as bench:
        assert await bench.ask("hi") == "ended"
        assert await bench.execute() == "over"


async def test_words_deleted_since_the_claim_do_not_come_back_with_a_failure() -> None:
    """The end of a turn that failed is built from the store, not from what its lane had at hand."""
    async with open_bench() as bench:
        at_hand = row(1, "secret")
        await bench.claim(at_hand)
        await bench.store.commit(Unit((BlankSession(SESSION),)))
        del bench.agents.agents[MAIN]
        assert await bench.execute(fresh="turn", inputs=(at_hand,)) == "ended"
        assert (await bench.input()).detail == "unknown_agent"
        async with bench.sessions.using(SESSION) as session:
            assert "secret" not in str(session.history)


async def test_an_agent_that_is_gone_is_told_to_the_sender() -> None:
    """It was there when the message was accepted."""
    async with open_bench() as bench:
        await bench.claim(row(1, "hi"))
        del bench.agents.agents[MAIN]
        assert await bench.execute(fresh="turn") == "ended"
        assert (await bench.input()).detail == "unknown_agent"
        (said,) = await bench.shown()
        assert "'main' is gone from the workspace" in said


@pytest.mark.parametrize(
    ("error", "status", "state", "detail"),
    [
        (RunCancelled("stop"), "cancelled", "cancelled", ""),
        (RunQuarantined("too often"), "quarantined", "failed", "run_quarantined"),
        (Bug("an id", error_id="e_1"), "failed", "failed", "internal"),
    ],
)
async def test_a_turn_that_cannot_go_on_has_an_end_like_any_other(
    error: TurngateError, status: str, state: str, detail: str
) -> None:
    """P1: exactly one terminal state; P6: and a sentence."""
    async with open_bench() as bench:
        await bench.claim(row(1, "hi"))
        finish = await bench.task.abandon(RunId("t_1"), error)
        assert finish.status == status
        await bench.store.commit(Unit(finish.ops, finish.events))
        assert finish.after is not None
        finish.after()
        given = await bench.input()
        assert (given.state, given.detail) == (state, detail)
        (said,) = await bench.shown()
        assert said == (
            STOPPED if state == "cancelled" else f"This could not be answered: {error}."
        )


async def test_a_message_deleted_in_the_store_still_has_an_end() -> None:
    """Its words are gone, also for the end of its turn; its place in the conversation is kept."""
    async with open_bench() as bench:
        await bench.claim(row(1, "one"), row(2, "two"))
        await bench.store.commit(Unit((BlankSession(SESSION),)))
        assert await bench.execute(fresh="turn") == "ended"
        assert (await bench.input()).detail == "not_found"
        assert await bench.transcript() == []
        assert await bench.ask("three", 3) == "ended"
        assert (await bench.transcript())[0] == UserMessage((Text("three"),))
        assert (await bench.input("t_3")).state == "answered"


async def test_the_sentence_of_a_failure_can_always_be_stored() -> None:
    """An error may repeat what it was given."""
    async with open_bench() as bench:
        await bench.claim(row(1, "hi"))
        finish = await bench.task.abandon(RunId("t_1"), Bug("half \ud800"))
        await bench.store.commit(Unit(finish.ops, finish.events))
        assert (await bench.input()).state == "failed"


async def test_a_conversation_remembered_wrongly_is_read_again() -> None:
    """Somebody else has written an entry: the turn fails aloud, and the next one knows of it."""
    async with open_bench() as bench:
        await bench.ask("one")
        foreign = body("from elsewhere")
        put = PutContent("c_foreign", SESSION, foreign)
        await bench.store.commit(Unit((put, AppendEntry(SESSION, 2, "t_x", "c_foreign", 1))))
        assert await bench.ask("two", 2) == "ended"
        assert (await bench.input("t_2")).detail == "conflict"
        assert await bench.ask("three", 3) == "ended"
        assert (await bench.input("t_3")).state == "answered"
        said = [message for message in await bench.transcript() if isinstance(message, UserMessage)]
        texts = [part.text for message in said for part in message.parts if isinstance(part, Text)]
        assert texts[:2] == ["one", "from elsewhere"]
        assert texts[-1] == "three"


async def test_an_unsafe_call_cut_by_a_crash_waits_for_a_decision() -> None:
    """P4: it is not made a second time; the input says what it waits for, and so does the log."""
    tool = Notebook("pay", Effect.UNSAFE)
    async with open_bench(rules=[PAY], tools=[tool]) as bench:
        await cut_while_paying(bench, tool)
        given = await bench.input()
        assert (given.state, given.detail) == ("waiting", "decision")
        assert (await bench.run()).status == "suspended"
        (event,) = await bench.events("turn.waiting")
        assert (event.turn_id, orjson.loads(event.data)) == ("t_1", {"reason": "decision"})
        assert len(tool.calls) == 1
        assert await bench.shown() == []


async def test_a_woken_turn_runs_again_and_ends() -> None:
    """It is `running` while it does, and takes the decision for the call's result."""
    tool = Notebook("pay", Effect.UNSAFE)
    async with open_bench(rules=[PAY], tools=[tool]) as bench:
        await cut_while_paying(bench, tool)
        key = decision_key("2.call_0.0", 1)
        await bench.engine.emit(RunId("t_1"), key, {"decision": "ran", "result": {"text": "ok"}})
        assert await bench.execute() == "ended"
        assert (await bench.input()).state == "answered"
        assert await bench.shown() == ["done: ok"]
        assert len(tool.calls) == 1


async def test_a_turn_can_wait_more_than_once() -> None:
    """It did not run, so it runs now, and is cut again: the second question is another one."""
    tool = Notebook("pay", Effect.UNSAFE)
    async with open_bench(rules=[PAY], tools=[tool]) as bench:
        await cut_while_paying(bench, tool)
        key = decision_key("2.call_0.0", 1)
        await bench.engine.emit(RunId("t_1"), key, {"decision": "did_not_run"})
        tool.gate = Gate()
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.execute())
            await bench.quiet()
            assert (await bench.input()).state == "running"
            bench.store.cut()
        tool.gate = None
        await bench.restart()
        assert await bench.execute() == "parked"
        assert (await bench.input()).state == "waiting"
        assert len(tool.calls) == 2
        assert len(await bench.events("turn.waiting")) == 2


async def test_a_decision_nobody_takes_in_time_ends_the_turn() -> None:
    """The sender is told that nobody knows."""
    tool = Notebook("pay", Effect.UNSAFE)
    async with open_bench(rules=[PAY], tools=[tool]) as bench:
        await cut_while_paying(bench, tool)
        await bench.clock.advance(DECISION_S + 1)
        assert await bench.execute() == "ended"
        assert (await bench.input()).detail == "step_outcome_unknown"
        (said,) = await bench.shown()
        assert "no operator has said whether it happened" in said
        assert len(tool.calls) == 1


async def test_a_waiting_turn_can_be_stopped() -> None:
    """The call stays open in the transcript, marked as such."""
    tool = Notebook("pay", Effect.UNSAFE)
    async with open_bench(rules=[PAY], tools=[tool]) as bench:
        await cut_while_paying(bench, tool)
        await bench.engine.cancel(RunId("t_1"))
        assert await bench.execute() == "ended"
        assert (await bench.input()).state == "cancelled"
        assert len(tool.calls) == 1


async def test_what_comes_back_goes_to_its_lane() -> None:
    """The engine hands runs out; lanes decide when they are executed."""
    async with open_bench() as bench:
        await bench.claim(row(1, "hi"))
        run = await bench.run()
        bench.task.requeue(run, alone=True)
        assert bench.returned.runs == [(run, True)]
