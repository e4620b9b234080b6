"""P3, P4: what was paid for is kept, and what cannot be undone is not done twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agents.base.tools import Effect
from agents.models.scripted import Call, Rule
from channels.base.messages import Accepted
from channels.memory import Gate
from gateway.core.errors import ToolError
from gateway.core.ids import RunId
from gateway.runs.context import DECISION_S, decision_key
from gateway.store.base.steps import LoadSteps
from tests.acceptance.manifest import shows
from tests.support.house import House, Notebook, open_house
from tests.support.patience import PATIENCE_S

PAY = Rule("pay", "done: {results}", (Call("pay", '{"to": "bob"}'),))
BOTH = Rule("both", "done: {results}", (Call("first"), Call("second")))


async def cut_in_the_middle(house: House, tool: Notebook, text: str) -> Accepted:
    """The process dies while the tool is at work, and is started again."""
    tool.gate = Gate()
    accepted = await house.say(text)
    await asyncio.wait_for(tool.gate.entered.wait(), PATIENCE_S)
    await house.quiet()
    tool.gate = None
    await house.again()
    await house.quiet()
    return accepted


async def question(house: House, accepted: Accepted) -> str:
    """The event that answers what became of the call that was cut."""
    steps = await house.store.read(LoadSteps(accepted.turn_id))
    (open_,) = [step for step in steps if step.status == "running"]
    return decision_key(open_.path, open_.attempts)


async def decide(house: House, accepted: Accepted, said: dict[str, object]) -> None:
    key = await question(house, accepted)
    await house.gateway.engine.emit(RunId(accepted.turn_id), key, said)
    await house.quiet()
    await house.idle()


@shows("paid.model")
async def test_a_recorded_answer_is_not_asked_for_again(house: House) -> None:
    """The process died between the model's answer and the end of the turn."""
    house.store.cut_at(5, written=False)  # accepted, claimed, prepared, answered; not ended
    await house.while_alive(house.ask("hello"))
    await house.again()
    await house.idle()
    assert house.patient.calls == 1
    assert len(house.seen()) == 1


@shows("paid.tool")
@pytest.mark.parametrize("error", [None, ToolError("no")])
async def test_a_finished_tool_does_not_run_again(tmp_path: Path, error: Exception | None) -> None:
    """Its neighbour in the same round was cut; what it had come to is read from the record."""
    first, second = Notebook("first", error=error), Notebook("second")
    async with open_house(House(tmp_path, rules=[BOTH], tools=[first, second])) as house:
        accepted = await cut_in_the_middle(house, second, "both")
        await house.idle()
        assert await house.state(accepted.turn_id) == "answered"
        assert len(first.calls) == 1
        assert house.seen()[0].text == ("done: no\nnoted" if error else "done: noted\nnoted")


@shows("effects.pure", "effects.idempotent")
@pytest.mark.parametrize("effect", [Effect.PURE, Effect.IDEMPOTENT])
async def test_a_harmless_call_cut_by_a_crash_is_made_again_under_its_key(
    tmp_path: Path, effect: Effect
) -> None:
    """Nobody is asked; the key lets the other side see that it is the same call."""
    tool = Notebook("pay", effect)
    async with open_house(House(tmp_path, rules=[PAY], tools=[tool])) as house:
        accepted = await cut_in_the_middle(house, tool, "pay")
        await house.idle()
        assert await house.state(accepted.turn_id) == "answered"
        assert len(tool.calls) == 2
        assert len({key for _, key in tool.calls}) == 1


@shows("effects.unsafe")
async def test_an_unsafe_call_cut_by_a_crash_is_a_question(tmp_path: Path) -> None:
    """It stays one over further restarts; nothing is said to the sender as if it were answered."""
    tool = Notebook("pay", Effect.UNSAFE)
    async with open_house(House(tmp_path, rules=[PAY], tools=[tool])) as house:
        accepted = await cut_in_the_middle(house, tool, "pay")
        for _ in range(3):
            given = await house.input(accepted.turn_id)
            assert (given.state, given.detail) == ("waiting", "decision")
            await house.again()
            await house.quiet()
        assert len(tool.calls) == 1
        assert house.seen() == []
        assert len(await house.events("turn.waiting")) == 1


@shows("effects.ran")
async def test_told_that_it_was_made_the_turn_goes_on_with_the_result(tmp_path: Path) -> None:
    """The operator has looked it up; the model reads what he says the call returned."""
    tool = Notebook("pay", Effect.UNSAFE)
    async with open_house(House(tmp_path, rules=[PAY], tools=[tool])) as house:
        accepted = await cut_in_the_middle(house, tool, "pay")
        await decide(house, accepted, {"decision": "ran", "result": {"text": "receipt 7"}})
        assert await house.state(accepted.turn_id) == "answered"
        assert [message.text for message in house.seen()] == ["done: receipt 7"]
        assert len(tool.calls) == 1


@shows("effects.did_not_run")
async def test_told_that_it_was_not_made_the_turn_makes_it(tmp_path: Path) -> None:
    """Once more in all, with the same arguments and the same key."""
    tool = Notebook("pay", Effect.UNSAFE)
    async with open_house(House(tmp_path, rules=[PAY], tools=[tool])) as house:
        accepted = await cut_in_the_middle(house, tool, "pay")
        await decide(house, accepted, {"decision": "did_not_run", "result": None})
        assert await house.state(accepted.turn_id) == "answered"
        assert [message.text for message in house.seen()] == ["done: noted"]
        assert len(tool.calls) == 2
        assert len(set(tool.calls)) == 1


@shows("effects.nobody")
async def test_a_question_nobody_answers_ends_in_an_honest_sentence(tmp_path: Path) -> None:
    """And what was said meanwhile is answered."""
    tool = Notebook("pay", Effect.UNSAFE)
    async with open_house(House(tmp_path, rules=[PAY], tools=[tool])) as house:
        accepted = await cut_in_the_middle(house, tool, "pay")
        waiting = await house.say("//anybody there?")
        house.clock.jump_wall(DECISION_S)
        await house.wait(2)
        await house.idle()
        assert (await house.input(accepted.turn_id)).detail == "step_outcome_unknown"
        assert "no operator has said whether it happened" in house.seen()[0].text
        assert await house.state(waiting.turn_id) == "answered"
        assert len(tool.calls) == 1
