"""P6, P8: every message comes to something its sender is told, and one can see why."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from agents.base.messages import AssistantMessage
from agents.failures import SENTENCES
from agents.models.scripted import CATEGORIES, Rule, ScriptedModel
from gateway.core.errors import Busy, ModelCategory
from gateway.core.ids import AgentId
from gateway.intake.intake import MAILBOX
from gateway.sessions.live import MAX_LIVE
from gateway.store.base.steps import LoadSteps
from gateway.turns.boundary import STOPPED
from tests.acceptance.manifest import shows
from tests.support.house import MAIN, House, agent, inbound, open_house
from tests.support.patience import PATIENCE_S

SLOW = Rule("story", "once upon a time", deltas=4, latency_s=8)


@shows("silence.model")
@pytest.mark.parametrize("category", CATEGORIES)
async def test_a_failing_model_is_an_honest_sentence_and_the_session_goes_on(
    house: House, category: ModelCategory
) -> None:
    """Each kind of failure; the next message is answered."""
    answer = await house.ask(f"fail {category}")
    assert answer.split(";")[0].startswith(SENTENCES[category].split(";")[0].split("{")[0])
    (failed,) = await house.events("turn.failed")
    assert orjson.loads(failed.data)["kind"] == category
    assert "hello again" in await house.ask("say hello again")


@shows("silence.open")
async def test_a_model_that_cannot_be_made_ready_still_gets_every_message_an_end(
    tmp_path: Path,
) -> None:
    """Weights are missing, a package is broken: calls fail one by one, with a sentence."""

    class Broken(ScriptedModel):
        async def open(self) -> None:
            raise RuntimeError("no weights")

    async with open_house(House(tmp_path, model=Broken([Rule("hi", fail="server")]))) as house:
        accepted = await house.say("hi")
        await house.idle()
        assert (await house.input(accepted.turn_id)).detail == "server"
        assert len(house.seen()) == 1


@shows("silence.agent")
async def test_an_agent_removed_before_the_answer_is_told_to_the_sender(tmp_path: Path) -> None:
    """The message was accepted for it; other agents are not asked instead."""
    house = House(tmp_path, agents=[agent(), agent("luna")])
    async with open_house(house):
        await house.send(replace(inbound("hold a"), agent=AgentId("luna")))
        await house.reached("a")
        late = await house.send(replace(inbound("//late"), agent=AgentId("luna")))
        del house.agents.agents[AgentId("luna")]
        house.release("a")
        await house.idle()
        assert (await house.input(late.turn_id)).detail == "unknown_agent"
        assert "'luna' is gone" in house.seen()[-1].text
        assert await house.ask("main?") == "You said: main?"
    assert house.agents.ids() == (MAIN,)


@shows("silence.stop")
async def test_a_stopped_turn_keeps_what_it_had_said_and_says_that_it_was_stopped(
    tmp_path: Path,
) -> None:
    """Half an answer is not taken for a whole one, neither by the sender nor by the next turn."""
    async with open_house(House(tmp_path, rules=[SLOW])) as house:
        accepted = await house.say("a story")
        await house.wait(5)
        await house.channel.cancel(accepted.turn_id)
        await house.idle()
        assert await house.state(accepted.turn_id) == "cancelled"
        assert [message.text for message in house.seen()] == [f"once upo\n\n{STOPPED}"]
        last = (await house.transcript(accepted.session))[-1]
        assert last == AssistantMessage("once upo", partial=True)
        await house.again()
        assert len(await house.transcript(accepted.session)) == 2


@shows("silence.busy")
async def test_a_flood_is_accepted_or_refused_and_every_message_is_accounted_for(
    house: House,
) -> None:
    """Refusals are typed and say when to try again; what was accepted is answered."""
    await house.say("hold a")
    await house.reached("a")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_try(house, number)) for number in range(3 * MAILBOX)]
    outcomes = [task.result() for task in tasks]
    accepted = [outcome for outcome in outcomes if isinstance(outcome, str)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Busy)]
    assert (len(accepted), len(refused)) == (MAILBOX, 2 * MAILBOX)
    assert all(error.retry_after_ms for error in refused)
    house.release("a")
    await house.idle()
    states = [await house.state(turn) for turn in accepted]
    assert sorted(states) == ["answered", *["merged"] * (MAILBOX - 1)]


async def _try(house: House, number: int) -> str | Busy:
    try:
        return (await house.say(f"message {number}")).turn_id
    except Busy as error:
        return error


# Two hundred turns, each with its synced commits.
@pytest.mark.timeout(60)
@shows("silence.bounded")
async def test_two_hundred_peers_once_each_leave_nothing_behind(house: House) -> None:
    """No lane and no queue of a destination; remembered conversations are bounded."""
    async with asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(house.say("hello", peer=f"peer {number}"))
    async with asyncio.timeout(PATIENCE_S):
        await house.gateway.idle()
    gateway = house.gateway
    assert len(house.seen()) == 200
    assert len(gateway.lanes) == len(gateway.outbox) == 0
    assert len(gateway.sessions) <= MAX_LIVE


@shows("silence.poison")
async def test_a_turn_that_takes_the_process_down_each_time_is_given_up(house: House) -> None:
    """It is tried a few times, alone in the end; then its sender is told, and the next goes on."""
    accepted = await house.say("hold a")
    await house.reached("a")
    waiting = await house.say("//next")
    for _ in range(10):
        await house.again()
        await house.quiet()
        if await house.state(accepted.turn_id) != "running":
            break
    await house.idle()
    assert (await house.input(accepted.turn_id)).detail == "run_quarantined"
    assert await house.state(waiting.turn_id) == "answered"
    assert [message.turn_id for message in house.seen()] == [accepted.turn_id, waiting.turn_id]


@shows("explain.route")
async def test_the_rule_that_won_is_kept_with_the_message(tmp_path: Path) -> None:
    """So that one can ask weeks later why this agent answered."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    bindings = [{"id": "shop", "agent": "luna", "match": {"channel": "memory", "peer": "bob"}}]
    routes = {"default_agent": "main", "bindings": bindings}
    (workspace / "routes.json").write_bytes(orjson.dumps(routes))
    async with open_house(House(tmp_path, agents=[agent(), agent("luna")])) as house:
        bound = await house.say("hi", peer="bob")
        default = await house.say("hi", peer="ann")
        assert (await house.input(bound.turn_id)).explanation == "binding shop"
        assert (await house.input(default.turn_id)).explanation == "default"
        await house.idle()


@shows("explain.turn")
async def test_the_log_and_the_steps_tell_what_happened_to_a_turn(house: House) -> None:
    """In order, with the interruption and the second attempt in it."""
    accepted = await house.say("hold a")
    await house.reached("a")
    await house.quiet()
    await house.again()
    house.release("a")
    await house.idle()
    assert [event.kind for event in await house.events(turn_id=accepted.turn_id)] == [
        "input.accepted",
        "turn.started",
        "turn.resumed",
        "turn.completed",
        "delivery.sent",
    ]
    steps = await house.store.read(LoadSteps(accepted.turn_id))
    assert {step.intent: step.attempts for step in steps} == {"prepare": 1, "model:0": 2}
