"""One execution of one turn: what is recorded, what is shown, and how it is cut short."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import orjson

from agents.base.messages import AssistantMessage, ToolCall, ToolMessage, UserMessage
from agents.base.models import PATIENCE_S, ModelContext, ModelReply, ModelRequest
from agents.base.tools import Effect
from agents.context import INTERRUPTED
from agents.models.scripted import Call, Rule
from channels.memory import Gate
from gateway.core.ids import RunId
from gateway.core.parts import Text
from gateway.turns.boundary import STOPPED
from gateway.turns.taking import BACKGROUND_PATIENCE_S, MAX_RESTARTS
from gateway.turns.world import TURN_S
from tests.support.house import MAIN, Notebook
from tests.unit.gateway.turns.bench import Bench, open_bench
from tests.unit.gateway.turns.rows import row

SLOW = Rule("tell", "once upon a time", deltas=4, latency_s=40)


def two_tools(first: str = "left", second: str = "right") -> Rule:
    return Rule("both", "got {results}", (Call(first, '{"n": 1}'), Call(second, '{"n": 2}')))


class Answering:
    """A model that answers by a function and keeps what it was asked."""

    def __init__(self, answer: Callable[[ModelRequest], ModelReply]) -> None:
        self.requests: list[ModelRequest] = []
        self._answer = answer

    async def open(self) -> None:
        """There is nothing to open."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        self.requests.append(request)
        return self._answer(request)

    async def close(self) -> None:
        """There is nothing to close."""


async def stopped(bench: Bench, *, reached: Callable[[], object] | None = None) -> str:
    """Begin `t_1`, let it come to rest, stop it; how its execution ended."""
    async with asyncio.TaskGroup() as group:
        turn = group.create_task(bench.begin(row(1, "both" if bench.tools else "tell me")))
        await bench.quiet()
        if reached is not None:
            reached()
            await bench.quiet()
        await bench.engine.cancel(RunId("t_1"))
    return turn.result()


# Recording.


async def test_everything_a_turn_is_told_is_a_step() -> None:
    """The snapshot first, then each call of a model and of a tool, in places that never change."""
    tools = (Notebook("left"), Notebook("right", Effect.IDEMPOTENT))
    async with open_bench(rules=[two_tools()], tools=tools) as bench:
        assert await bench.ask("both please") == "ended"
        steps = {step.path: step for step in await bench.steps()}
        assert {path: (step.intent, step.kind, step.effect) for path, step in steps.items()} == {
            "0": ("prepare", "logic", "pure"),
            "1": ("model:0", "llm", "pure"),
            "2.call_0.0": ("tool:left", "tool", "pure"),
            "2.call_1.0": ("tool:right", "tool", "idempotent"),
            "3": ("model:1", "llm", "pure"),
        }
        assert {step.status for step in steps.values()} == {"completed"}
        assert orjson.loads(steps["2.call_0.0"].result or "") == {
            "text": "noted",
            "is_error": False,
        }
        assert [key for tool in tools for _, key in tool.calls] == [
            "t_1:2.call_0.0",
            "t_1:2.call_1.0",
        ]


async def test_the_next_turn_starts_from_what_was_said() -> None:
    """History reaches the model in order, from memory and after a restart from the store."""
    model = Answering(lambda request: ModelReply(f"answer {len(request.messages)}"))
    async with open_bench(model=model) as bench:
        await bench.ask("one")
        await bench.ask("two", 2)
        await bench.restart()
        await bench.ask("three", 3)
        assert model.requests[-1].messages == tuple(await bench.transcript())[:-1]
        assert [len(request.messages) for request in model.requests] == [1, 3, 5]


async def test_what_was_prepared_holds_although_the_agent_is_edited_in_between() -> None:
    """An edit between crash and resume changes nothing: the snapshot was recorded."""
    gate = Gate()
    model = Answering(lambda request: _ask_once(request))
    tool = Notebook("left", gate=gate)
    async with open_bench(model=model, tools=[tool]) as bench:
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.ask("hi"))
            await bench.quiet()
            bench.store.cut()
        bench.agents.agents[MAIN] = replace(bench.agents.agents[MAIN], identity="Edited.")
        tool.gate = None
        await bench.restart()
        assert await bench.execute() == "ended"
        first, second = model.requests
        assert first.system == second.system
        assert "Edited." not in second.system
        assert await bench.shown() == ["used noted"]


def _ask_once(request: ModelRequest) -> ModelReply:
    last = request.messages[-1]
    if isinstance(last, ToolMessage):
        return ModelReply(f"used {last.text}")
    return ModelReply("", (ToolCall("a", "left", "{}"),), "tool_calls")


async def test_a_paid_answer_is_not_paid_for_again() -> None:
    """P3: the model's answer was recorded; the turn was cut before its end was."""
    async with open_bench() as bench:
        await bench.claim(row(1, "hello"))
        bench.store.cut_at(2, written=True)  # the snapshot, then the model's answer
        assert await bench.execute(fresh="turn") == "lost"
        assert (await bench.input()).state == "running"
        await bench.restart()
        assert await bench.execute() == "ended"
        assert bench.scripted.calls == 1
        assert len(await bench.shown()) == 1


async def test_text_that_is_no_unicode_does_not_end_the_turn() -> None:
    """Providers send halves of characters; the answer is shown with a replacement."""
    half = json.loads('"half \\ud800"')

    def answer(request: ModelRequest) -> ModelReply:
        if isinstance(request.messages[-1], ToolMessage):
            return ModelReply(half)
        return ModelReply(half, (ToolCall("a", "left", json.dumps({"n": half})),), "tool_calls")

    tool = Notebook("left", says=half)
    async with open_bench(model=Answering(answer), tools=[tool]) as bench:
        assert await bench.ask("hi") == "ended"
        assert await bench.shown() == ["half \ufffd"]
        assert (await bench.input()).state == "answered"


# Tools side by side.


async def test_results_are_in_the_order_of_the_calls_whoever_is_first() -> None:
    """Both run at once; the model reads them as it asked for them."""
    slow, quick = Notebook("left", says="slow", gate=Gate()), Notebook("right", says="quick")
    async with open_bench(rules=[two_tools()], tools=[slow, quick]) as bench:
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.ask("both"))
            await bench.quiet()
            done = {step.path: step.status for step in await bench.steps()}
            assert done["2.call_1.0"] == "completed"
            assert done["2.call_0.0"] == "running"
            assert slow.gate is not None
            slow.gate.release()
        assert await bench.shown() == ["got slow\nquick"]


async def test_a_finished_tool_is_not_run_again_beside_one_that_was_cut() -> None:
    """P3, within one round."""
    cut, done = Notebook("left", gate=Gate()), Notebook("right")
    async with open_bench(rules=[two_tools()], tools=[cut, done]) as bench:
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.ask("both"))
            await bench.quiet()
            bench.store.cut()
        cut.gate = None
        await bench.restart()
        assert await bench.execute() == "ended"
        assert (len(cut.calls), len(done.calls)) == (2, 1)
        assert cut.calls[0] == cut.calls[1]  # the same key for both attempts


# Showing.


async def test_pieces_are_shown_while_they_come_and_add_up() -> None:
    """Each says where it belongs."""
    async with open_bench(rules=[replace(SLOW, latency_s=0)]) as bench:
        await bench.ask("tell me")
        assert "".join(piece.text for piece in bench.previews) == "once upon a time"
        assert [piece.offset for piece in bench.previews] == [0, 4, 8, 12]
        assert {(piece.turn_id, piece.step, piece.attempt) for piece in bench.previews} == {
            ("t_1", "1", 1)
        }


async def test_a_second_attempt_says_that_it_is_one() -> None:
    """Whoever watches drops the pieces of the first."""
    async with open_bench(rules=[SLOW]) as bench:
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.ask("tell me"))
            await bench.quiet()
            await bench.world_clock.advance(20)
            bench.store.cut()
        await bench.restart()
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.execute())
            await bench.quiet()
            await bench.world_clock.advance(40)
        shown = [(piece.attempt, piece.offset, piece.text) for piece in bench.previews]
        assert shown[:2] == [(1, 0, "once"), (1, 4, " upo")]
        again = MAX_RESTARTS + 1
        assert shown[2:4] == [(again, 0, ""), (again, 0, "once")]
        assert [piece.restarted for piece in bench.previews][:4] == [False, False, True, False]
        assert await bench.shown() == ["once upon a time"]


# Stopping.


async def test_a_stopped_answer_keeps_what_was_said_so_far() -> None:
    """Partial text stays in the transcript, marked; the sender reads it marked, too."""
    async with open_bench(rules=[SLOW]) as bench:
        clock = bench.world_clock
        async with asyncio.TaskGroup() as group:
            turn = group.create_task(bench.ask("tell me"))
            await bench.quiet()
            await clock.advance(25)
            await bench.engine.cancel(RunId("t_1"))
        assert turn.result() == "ended"
        assert (await bench.transcript())[1:] == [AssistantMessage("once upo", partial=True)]
        assert await bench.shown() == [f"once upo\n\n{STOPPED}"]
        assert (await bench.input()).state == "cancelled"
        assert (await bench.run()).status == "cancelled"


async def test_only_the_answer_that_was_cut_counts_as_partial() -> None:
    """What was said before a round of tools was whole, and is kept as such."""
    gate = Gate()

    class Talking(Answering):
        async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
            reply = await super().complete(request, context)
            context.emit(reply.text)
            if not reply.tool_calls:
                await gate.passed()
            return reply

    def answer(request: ModelRequest) -> ModelReply:
        if isinstance(request.messages[-1], ToolMessage):
            return ModelReply("the sec")
        return ModelReply("the first", (ToolCall("a", "left", "{}"),), "tool_calls")

    async with open_bench(model=Talking(answer), tools=[Notebook("left")]) as bench:
        assert await stopped(bench) == "ended"
        said = [m for m in await bench.transcript() if isinstance(m, AssistantMessage)]
        assert [(m.text, m.partial) for m in said] == [("the first", False), ("the sec", True)]


async def test_a_turn_stopped_before_its_first_word_ends_without_one() -> None:
    """Nothing of the agent is in the transcript; the sender is told."""
    async with open_bench(rules=[SLOW]) as bench:
        assert await stopped(bench) == "ended"
        assert await bench.transcript() == [UserMessage((Text("tell me"),))]
        assert await bench.shown() == [STOPPED]


async def test_a_stop_among_tools_keeps_the_results_that_are_there() -> None:
    """A call without a result says that nobody knows; a later turn can read both."""
    cut, done = Notebook("left", Effect.UNSAFE, gate=Gate()), Notebook("right", says="done")
    async with open_bench(rules=[two_tools()], tools=[cut, done]) as bench:
        assert await stopped(bench) == "ended"
        calls = (ToolCall("call_0", "left", '{"n": 1}'), ToolCall("call_1", "right", '{"n": 2}'))
        assert (await bench.transcript())[1:] == [
            AssistantMessage("", calls),
            ToolMessage("call_0", "left", INTERRUPTED, is_error=True),
            ToolMessage("call_1", "right", "done"),
        ]
        assert len(cut.calls) == 1


async def test_a_stop_that_is_cut_ends_as_it_had_begun_to() -> None:
    """What had been reached was recorded: the second process has seen none of it."""
    async with open_bench(rules=[SLOW]) as bench:
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.ask("tell me"))
            await bench.quiet()
            await bench.world_clock.advance(25)
            bench.store.cut_at(3, written=False)  # the wish, what was reached, the end
            await bench.engine.cancel(RunId("t_1"))
        assert (await bench.input()).state == "running"
        await bench.restart()
        assert await bench.execute() == "ended"
        assert (await bench.transcript())[1:] == [AssistantMessage("once upo", partial=True)]
        assert bench.scripted.calls == 1


async def test_a_turn_stopped_before_it_was_executed_asks_nobody() -> None:
    """The wish is in the store; the first record of the turn learns of it."""
    async with open_bench() as bench:
        await bench.claim(row(1, "hello"))
        await bench.engine.cancel(RunId("t_1"))
        assert await bench.execute(fresh="turn") == "ended"
        assert bench.scripted.calls == 0
        assert (await bench.input()).state == "cancelled"
        assert await bench.shown() == [STOPPED]


# Limits.


async def test_a_turn_that_works_too_long_ends_with_a_sentence() -> None:
    """Checked before each call of a model: what was paid for is kept."""
    tool = Notebook("left", gate=Gate(), timeout_s=2 * TURN_S)
    rule = Rule("go", "never said", (Call("left"),))
    async with open_bench(rules=[rule], tools=[tool]) as bench:
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.ask("go"))
            await bench.quiet()
            await bench.world_clock.advance(TURN_S + 1)
            assert tool.gate is not None
            tool.gate.release()
        given = await bench.input()
        assert (given.state, given.detail) == ("failed", "timeout")
        assert bench.scripted.calls == 1
        assert len(await bench.shown()) == 1


async def test_the_time_a_turn_was_not_executed_is_not_its_own() -> None:
    """After a night without power it is still answered."""
    tool = Notebook("left", gate=Gate())
    rule = Rule("go", "done", (Call("left"),))
    async with open_bench(rules=[rule], tools=[tool]) as bench:
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.ask("go"))
            await bench.quiet()
            bench.store.cut()
        await bench.world_clock.advance(10 * TURN_S)
        tool.gate = None
        await bench.restart()
        assert await bench.execute() == "ended"
        assert await bench.shown() == ["done"]


async def test_a_message_that_was_deleted_is_not_answered() -> None:
    """There is nothing to ask the model; the sender is told why."""
    async with open_bench() as bench:
        await bench.claim(row(1, "hi"))
        gone = row(1)._replace(body=None, state="running")
        assert await bench.execute(fresh="turn", inputs=(gone,)) == "ended"
        assert bench.scripted.calls == 0
        assert (await bench.input()).detail == "not_found"
        (said,) = await bench.shown()
        assert "deleted before it was answered" in said


async def test_of_merged_messages_those_that_are_left_are_answered() -> None:
    """Deleting one of several is no reason to drop the others."""
    model = Answering(lambda _: ModelReply("answer"))
    async with open_bench(model=model) as bench:
        rows = (row(1, "one"), row(2, "two"))
        await bench.claim(*rows)
        left = (rows[0]._replace(body=None), rows[1])
        assert await bench.execute(fresh="turn", inputs=left) == "ended"
        (request,) = model.requests
        assert request.messages == (UserMessage((Text("two"),)),)


class Patient(Answering):
    """Keeps how long each call may wait."""

    def __init__(self) -> None:
        super().__init__(lambda request: ModelReply("fine"))
        self.patience: list[float] = []

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        self.patience.append(context.patience_s)
        return await super().complete(request, context)


async def test_a_turn_nobody_looks_at_waits_longer_for_its_model() -> None:
    """A schedule that fails at once for a pause of a minute would be a lost occurrence."""
    model = Patient()
    async with open_bench(model=model) as bench:
        await bench.begin(row(1, "hi"))
        await bench.begin(row(2, "hi")._replace(source="cron"))
    assert model.patience == [PATIENCE_S, BACKGROUND_PATIENCE_S]
