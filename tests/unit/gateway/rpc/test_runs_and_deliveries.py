"""What an operator looks at: runs, their steps, and answers on their way out."""

from __future__ import annotations

import pytest

from gateway.core.errors import DeliveryPermanent
from tests.unit.gateway.rpc.talk import OPERATOR, Refusal, Talk, World


async def dead(world: World, talk: Talk, text: str = "one") -> str:
    """A delivery that will never work."""
    world.memory.fail_next(DeliveryPermanent("there is no such chat"))
    turn = await talk.call("send", text=text, channel="memory", peer_id="42")
    await world.gateway.outbox.drained()
    explained = await talk.call("turns.explain", turn_id=turn["turn_id"])
    (delivery,) = explained["deliveries"]
    assert delivery["state"] == "dead"
    return str(delivery["delivery_id"])


async def test_runs_are_listed_and_looked_into(world: World) -> None:
    """Newest first, by status, in pages."""
    talk = world.talk(OPERATOR)
    done = [(await talk.call("send", text=str(n), peer_id=str(n)))["turn_id"] for n in range(3)]
    running = (await talk.call("turns.start", text="slow"))["turn_id"]
    await world.settled()
    listed = (await talk.call("runs.list", status="running"))["runs"]
    assert [run["run_id"] for run in listed] == [running]
    page = await talk.call("runs.list", status="completed", limit=2)
    rest = await talk.call("runs.list", status="completed", cursor=page["next_cursor"])
    assert sorted(run["run_id"] for run in (*page["runs"], *rest["runs"])) == sorted(done)
    run = await talk.call("runs.get", run_id=done[0])
    assert (run["task"], run["input"], run["ended_at"] is not None) == (
        "turn",
        {"inputs": [done[0]]},
        True,
    )


async def test_steps_are_told_in_the_order_in_which_they_began(world: World) -> None:
    """In pages, with their results."""
    talk = world.talk(OPERATOR)
    turn = (await talk.call("send", text="time?"))["turn_id"]
    first = await talk.call("runs.steps", run_id=turn, limit=3)
    rest = await talk.call("runs.steps", run_id=turn, limit=3, cursor=first["next_cursor"])
    steps = [*first["steps"], *rest["steps"]]
    assert [step["kind"] for step in steps] == ["logic", "llm", "tool", "llm"]
    assert steps[3]["result"]["text"].startswith("It is")
    assert rest["next_cursor"] is None


async def test_a_long_result_of_a_step_is_left_out(world: World) -> None:
    """Its length is told."""
    talk = world.talk(OPERATOR)
    turn = (await talk.call("send", text="x" * 10_000))["turn_id"]
    steps = (await talk.call("runs.steps", run_id=turn))["steps"]
    assert steps[1]["result"] is None
    assert steps[1]["result_bytes"] > 10_000


async def test_a_run_is_cancelled(world: World) -> None:
    """Once: what has ended stays as it is, and what is not there is not found."""
    talk = world.talk(OPERATOR)
    turn = (await talk.call("turns.start", text="slow"))["turn_id"]
    await world.settled()
    assert await talk.call("runs.cancel", run_id=turn) == {"run_id": turn}
    assert (await talk.call("turns.wait", turn_id=turn))["state"] == "cancelled"
    with pytest.raises(Refusal, match="run_terminal"):
        await talk.call("runs.cancel", run_id=turn)
    for method in ("runs.cancel", "runs.get", "runs.steps"):
        with pytest.raises(Refusal, match="not_found"):
            await talk.call(method, run_id="t_999")


async def test_deliveries_are_counted(world: World) -> None:
    """Under both names; nothing at first."""
    talk = world.talk(OPERATOR)
    assert (await talk.call("delivery.stats"))["states"] == {}
    await dead(world, talk)
    await talk.call("send", text="two", channel="memory", peer_id="42")
    await talk.call("turns.start", text="three", peer_id="p")
    await world.idle()
    stats = await talk.call("deliveries.stats")
    assert stats == await talk.call("delivery.stats")
    assert (stats["total_succeeded"], stats["total_failed"], stats["available"]) == (1, 1, 1)
    assert (stats["total_attempted"], stats["pending"]) == (2, 0)


async def test_a_delivery_is_looked_at(world: World) -> None:
    """With its words and what went wrong."""
    talk = world.talk(OPERATOR)
    id = await dead(world, talk)
    found = await talk.call("deliveries.get", delivery_id=id)
    assert (found["text"], found["state"], found["attempts"]) == ("You said: one", "dead", 1)
    assert "no such chat" in found["error"]
    (listed,) = (await talk.call("deliveries.list", state="dead"))["deliveries"]
    assert {**listed, "text": found["text"]} == found
    assert (await talk.call("deliveries.list", state="sent"))["deliveries"] == []
    page = await talk.call("deliveries.list", limit=1)
    assert (await talk.call("deliveries.list", cursor=page["next_cursor"]))["deliveries"] == []


async def test_a_dead_delivery_is_sent_again(world: World) -> None:
    """Once it may work; what was sent is not sent again."""
    talk = world.talk(OPERATOR)
    id = await dead(world, talk)
    retried = await talk.call("deliveries.retry", delivery_id=id)
    assert retried["delivery_id"] == id
    (shown,) = await world.memory.wait_sent(1)
    assert shown.text == "You said: one"
    await world.gateway.outbox.drained()
    assert (await talk.call("deliveries.get", delivery_id=id))["state"] == "sent"
    with pytest.raises(Refusal, match=r"conflict.*sent"):
        await talk.call("deliveries.retry", delivery_id=id)


async def test_deliveries_are_forgotten(world: World) -> None:
    """One by its id, or all that failed; what is on its way stays."""
    talk = world.talk(OPERATOR)
    first = await dead(world, talk)
    for text in ("two", "three"):
        await dead(world, talk, text)
    assert await talk.call("deliveries.purge", delivery_id=first) == {"purged": 1}
    with pytest.raises(Refusal, match="not_found"):
        await talk.call("deliveries.purge", delivery_id=first)
    gate = world.memory.block_next()
    await talk.call("send", text="four", channel="memory", peer_id="42")
    await gate.entered.wait()
    (sending,) = (await talk.call("deliveries.list", state="sending"))["deliveries"]
    with pytest.raises(Refusal, match=r"conflict.*sending"):
        await talk.call("deliveries.purge", delivery_id=sending["delivery_id"])
    assert await talk.call("deliveries.purge") == {"purged": 2}
    assert await talk.call("deliveries.purge") == {"purged": 0}
    gate.release()
    for method in ("deliveries.get", "deliveries.retry"):
        with pytest.raises(Refusal, match="not_found"):
            await talk.call(method, delivery_id="d_999")
