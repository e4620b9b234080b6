"""What effects do: every failure of a model or a tool is something the turn can be told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agents.base.effects import CallModel, ModelFailure
from agents.base.messages import Messages, ToolCall, UserMessage
from agents.base.models import Model, ModelContext, ModelReply, ModelRequest
from agents.base.tools import MAX_RESULT_CHARS, Effect, Folder, Tool, ToolContext, ToolResult
from agents.models.scripted import Rule, ScriptedModel
from channels.memory import Gate
from gateway.core.clock import ManualClock, settle
from gateway.core.errors import LeaseLost, StoreUnavailable, ToolError
from gateway.core.ids import AgentId, SequentialIds
from gateway.core.parts import Text
from gateway.events.previews import Previews
from gateway.turns.world import COMPACTING_S, World, by_name
from tests.support.house import MAIN, Notebook, agent


def world(*tools: Tool, model: Model | None = None, clock: ManualClock | None = None) -> World:
    model = model or ScriptedModel()
    return World(clock or ManualClock(), SequentialIds(), model, by_name(tools), Previews())


def asked(text: str) -> CallModel:
    return CallModel(ModelRequest("scripted", "", (UserMessage((Text(text),)),)), 0)


def call(name: str = "note") -> ToolCall:
    return ToolCall("call_1", name, '{"a": 1}')


class Pieces:
    """Keeps what a model says while it says it."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, text: str) -> None:
        self.said.append(text)


class Raising:
    """A model whose adapter has a bug, or worse."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def open(self) -> None:
        """There is nothing to open."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        raise self.error

    async def close(self) -> None:
        """There is nothing to close."""


# Models.


async def test_a_models_answer_is_passed_on_with_its_pieces() -> None:
    """Pieces go to whoever watches while they come."""
    pieces = Pieces()
    outcome = await world().call_model(asked("say hi"), ModelContext(ManualClock(), pieces))
    assert isinstance(outcome, ModelReply)
    assert outcome.text == "".join(pieces.said) == "You said: say hi"


async def test_a_refusing_model_is_a_value_with_its_category() -> None:
    """P3: it is recorded and replayed like an answer."""
    rule = Rule("please", fail="rate", retry_after_ms=1500)
    outcome = await world(model=ScriptedModel([rule])).call_model(
        asked("please"), ModelContext(ManualClock(), Pieces())
    )
    assert isinstance(outcome, ModelFailure)
    assert (outcome.category, outcome.retry_after_ms) == ("rate", 1500)


@pytest.mark.parametrize("error", [RuntimeError("secret"), StoreUnavailable("secret")])
async def test_a_bug_in_an_adapter_is_a_value_without_its_text(error: Exception) -> None:
    """The operator finds it in the log by its id; it may hold anything."""
    outcome = await world(model=Raising(error)).call_model(
        asked("hi"), ModelContext(ManualClock(), Pieces())
    )
    assert outcome == ModelFailure("bad_response", "the model adapter failed (error e_1)")


async def test_the_control_flow_of_runs_is_not_a_failure_of_the_model() -> None:
    """The engine decides what a lost lease means."""
    with pytest.raises(LeaseLost):
        await world(model=Raising(LeaseLost())).call_model(
            asked("hi"), ModelContext(ManualClock(), Pieces())
        )


# Tools.


async def test_a_tool_gets_its_arguments_its_place_and_its_key() -> None:
    """The key is the same for every attempt of one call; the folder is the agent's own."""
    seen: list[ToolContext] = []

    class Looking(Notebook):
        async def run(self, arguments: str, context: ToolContext) -> ToolResult:
            seen.append(context)
            return ToolResult(arguments)

    result = await world(Looking()).call_tool(call(), agent(), "t_1:2.a.0")
    assert result == ToolResult('{"a": 1}')
    (context,) = seen
    assert (context.agent, context.folder, context.key) == (
        "main",
        Folder(Path("/nonexistent")),
        "t_1:2.a.0",
    )


async def test_a_tool_that_is_not_there_or_denied_is_not_run() -> None:
    """Whatever the snapshot says: the check is made where the effect would happen."""
    tool = Notebook(needs_folder=True)
    for name, who in (
        ("other", agent()),
        ("note", agent(denied_tools=frozenset({"note"}))),
        ("note", replace(agent(), directory=None)),
    ):
        result = await world(tool).call_tool(call(name), who, "k")
        assert result == ToolResult(f"There is no tool named {name!r} here.", is_error=True)
    assert tool.calls == []


@pytest.mark.parametrize("error", [ToolError("use fewer"), StoreUnavailable("use fewer")])
async def test_a_refusal_is_read_by_the_model(error: Exception) -> None:
    """Our own errors are sentences for whoever must act."""
    result = await world(Notebook(error=error)).call_tool(call(), agent(), "k")
    assert result == ToolResult("use fewer", is_error=True)


@pytest.mark.parametrize(
    ("effect", "doubt"),
    [
        (Effect.PURE, ""),
        (Effect.IDEMPOTENT, "; it is not known whether it took effect"),
        (Effect.UNSAFE, "; it is not known whether it took effect"),
    ],
)
async def test_a_tool_that_breaks_leaves_the_turn_alive(effect: Effect, doubt: str) -> None:
    """The model learns that it failed, and whether that may have changed something."""
    tool = Notebook(effect=effect, error=RuntimeError("secret"))
    result = await world(tool).call_tool(call(), agent(), "k")
    assert result == ToolResult(f"The tool failed inside (error e_1){doubt}.", is_error=True)


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (Effect.PURE, "The tool did not finish within 5 s."),
        (
            Effect.UNSAFE,
            "The tool did not finish within 5 s; it is not known whether it took effect.",
        ),
    ],
)
async def test_a_tool_that_takes_too_long_is_ended(effect: Effect, said: str) -> None:
    """At its own limit, not earlier."""
    clock = ManualClock()
    tool = Notebook(effect=effect, timeout_s=5, gate=Gate())
    async with asyncio.TaskGroup() as group:
        calling = group.create_task(world(tool, clock=clock).call_tool(call(), agent(), "k"))
        await clock.advance(4.9)
        assert not calling.done()
        await clock.advance(0.2)
    assert calling.result() == ToolResult(said, is_error=True)


async def test_the_control_flow_of_runs_is_not_a_failure_of_the_tool() -> None:
    """A tool that calls others may be told that the lease is over."""
    with pytest.raises(LeaseLost):
        await world(Notebook(error=LeaseLost())).call_tool(call(), agent(), "k")


async def test_cancelling_ends_the_tool() -> None:
    """A stopped turn leaves nothing running behind."""
    tool = Notebook(gate=Gate())
    async with asyncio.TaskGroup() as group:
        calling = group.create_task(world(tool).call_tool(call(), agent(), "k"))
        await settle()
        calling.cancel()
    assert calling.cancelled()


def test_a_call_has_the_effect_of_its_tool() -> None:
    """A call of nothing changes nothing."""
    here = world(Notebook("pay", Effect.UNSAFE), Notebook("look"))
    assert here.effect_of(call("pay")) is Effect.UNSAFE
    assert here.effect_of(call("look")) is Effect.PURE
    assert here.effect_of(call("nothing")) is Effect.PURE


class Notes:
    """Takes notes of what is about to be summarised: slowly, or not at all."""

    def __init__(self, *, error: Exception | None = None, gate: Gate | None = None) -> None:
        self.taken: list[Messages] = []
        self._error = error
        self._gate = gate

    async def __call__(self, agent_id: AgentId, session_key: str, beginning: Messages, /) -> None:
        self.taken.append(beginning)
        if self._gate is not None:
            await self._gate.passed()
        if self._error is not None:
            raise self._error


BEGINNING: Messages = (UserMessage((Text("my name is Ann"),)),)


@pytest.mark.parametrize("error", [None, StoreUnavailable("full"), ValueError("a bug")])
async def test_who_takes_notes_before_a_summary_sees_it_and_harms_nobody(
    error: Exception | None,
) -> None:
    notes = Notes(error=error)
    await replace(world(), compacting=notes).remember(MAIN, "s", BEGINNING)
    assert notes.taken == [BEGINNING]


async def test_notes_that_take_too_long_are_not_waited_for() -> None:
    clock, notes = ManualClock(), Notes(gate=Gate())
    slow = replace(world(clock=clock), compacting=notes)
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(slow.remember(MAIN, "s", BEGINNING))
        await settle()
        await clock.advance(COMPACTING_S - 1)
        assert not taking.done()
        await clock.advance(1)
    assert notes.taken == [BEGINNING]


def test_a_tool_waits_for_others_only_where_it_says_so() -> None:
    """Any other takes one of the places of tools; one that is not there takes none."""

    class Remote(Notebook):
        waits = True

    here = world(Notebook(), Remote("remote"))
    assert [here.waits(call(name)) for name in ("note", "remote", "none")] == [False, True, True]


async def test_a_result_is_recorded_no_longer_than_a_model_may_read_it() -> None:
    """A hundred of them are on record for as long as the turn is."""
    long = world(Notebook(says="x" * (MAX_RESULT_CHARS + 7)))
    result = await long.call_tool(call(), agent(), "k")
    assert result.text.endswith("[cut here; 7 more characters are more than one result may have]")
    assert result.text.startswith("x" * MAX_RESULT_CHARS)
