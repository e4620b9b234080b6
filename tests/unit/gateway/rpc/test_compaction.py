"""A conversation summarised by hand: what models see of it, and what else is said meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agents.models.scripted import Rule
from agents.turn import NOT_SUMMARISED, SUMMARISED
from tests.unit.gateway.rpc.talk import BOB, OPERATOR, Refusal, Talk, World, open_world

NOTES = "agent:main:websocket:direct:alice%2Fnotes"
LONG = "x" * 400
"""A hundred tokens, and as many again in the answer."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A summary takes five seconds, and may be refused first."""
    rules = [
        Rule("^User: no", fail="quota"),
        Rule("^User: blank", " "),
        Rule("^User: chat", "x" * 2000),
        Rule("^User: ", "in short", latency_s=5),
    ]
    async with open_world(tmp_path, rules=rules) as opened:
        yield opened


async def said(world: World, *texts: str) -> Talk:
    """Alice's conversation, with an answer to each of these."""
    talk = world.talk()
    for text in texts:
        await talk.call("send", text=text, peer_id="notes")
    return talk


async def compacted(world: World, talk: Talk) -> Any:
    """What the method answers once the model had its time."""
    asked = await talk.request("sessions.compact", {"session_key": NOTES})
    await world.settled()
    await world.clock.advance(5)
    answer = await talk.answer(asked)
    assert "error" not in answer, answer
    return answer["result"]


async def entries(talk: Talk) -> list[tuple[str, str]]:
    """Role and words of each, oldest first."""
    export = await talk.call("sessions.export", session_key=NOTES)
    return [(entry["role"], entry["text"]) for entry in export["entries"]]


async def test_models_see_the_summary_and_people_everything(world: World) -> None:
    talk = await said(world, *(LONG for _ in range(5)))
    before = await talk.call("sessions.context", session_key=NOTES)
    result = await compacted(world, talk)
    after = await talk.call("sessions.context", session_key=NOTES)
    assert (result["state"], result["messages"]) == ("answered", 6)
    assert (result["tokens"], result["left"]) == (before["used"], after["used"])
    assert (before["messages"], after["messages"]) == (10, 5)
    assert after["used"] < before["used"] / 2
    told = await entries(talk)
    assert [role for role, _ in told] == [*(["user", "assistant"] * 5), "summary"]
    assert told[-1] == ("summary", "in short")
    (event,) = (await talk.call("events.list", filter={"kinds": ["turn.compacted"]}))["events"]
    assert (event["turn_id"], event["data"]["messages"]) == (result["turn_id"], 6)
    turn = await talk.call("turns.get", turn_id=result["turn_id"])
    assert (turn["said"], turn["reply"]) == ([], SUMMARISED)


async def test_once_more_does_nothing_until_something_is_said(world: World) -> None:
    """Then the summary is part of what is summarised."""
    talk = await said(world, *(LONG for _ in range(5)))
    first = await compacted(world, talk)
    again = await talk.call("sessions.compact", session_key=NOTES)
    assert (again["messages"], again["tokens"]) == (0, again["left"])
    assert again["left"] == first["left"]
    assert len(await entries(talk)) == 11
    await said(world, *(LONG for _ in range(3)))
    assert (await compacted(world, talk))["messages"] == 12


async def test_a_short_conversation_is_left_alone(world: World) -> None:
    talk = await said(world, LONG, LONG)
    result = await talk.call("sessions.compact", session_key=NOTES)
    assert (result["state"], result["messages"]) == ("answered", 0)
    assert (await talk.call("turns.get", turn_id=result["turn_id"]))["reply"] == NOT_SUMMARISED
    assert not (await talk.call("turns.explain", turn_id=result["turn_id"]))["steps"][1:]


async def test_a_summary_that_gains_nothing_is_not_used(world: World) -> None:
    talk = await said(world, "chat", *(LONG for _ in range(3)))
    result = await talk.call("sessions.compact", session_key=NOTES)
    assert (result["messages"], result["tokens"]) == (0, result["left"])
    assert len(await entries(talk)) == 8


async def test_what_is_said_meanwhile_waits_its_turn(world: World) -> None:
    """Nothing is lost, nothing changes places; a second summary is refused."""
    talk = await said(world, *(LONG for _ in range(4)))
    begun = await talk.call("sessions.compact", session_key=NOTES, wait_ms=0)
    assert (begun["state"] in ("queued", "running"), begun["messages"]) == (True, 0)
    meanwhile = await talk.call("turns.start", text="go on", peer_id="notes")
    for method in ("compact", "rewind", "reset"):
        with pytest.raises(Refusal, match=r"conflict.*has not ended"):
            await talk.call(f"sessions.{method}", session_key=NOTES)
    await world.clock.advance(5)
    answer = await talk.call("turns.wait", turn_id=meanwhile["turn_id"])
    assert answer["reply"] == "You said: go on"
    told = await entries(talk)
    assert told[8:] == [
        ("summary", "in short"),
        ("user", "go on"),
        ("assistant", "You said: go on"),
    ]


async def test_the_summary_is_taken_back_like_any_turn(world: World) -> None:
    talk = await said(world, *(LONG for _ in range(4)))
    result = await compacted(world, talk)
    rewound = await talk.call("sessions.rewind", session_key=NOTES)
    assert (rewound["turns"], rewound["removed"]) == (1, 1)
    context = await talk.call("sessions.context", session_key=NOTES)
    assert context["used"] == result["tokens"]


@pytest.mark.parametrize(("first", "why"), [("no", "credit"), ("blank", "empty")])
async def test_a_failure_is_told_and_changes_nothing(world: World, first: str, why: str) -> None:
    talk = await said(world, first, *(LONG for _ in range(3)))
    with pytest.raises(Refusal, match=f"model_failed.*{why}"):
        await talk.call("sessions.compact", session_key=NOTES)
    assert len(await entries(talk)) == 8


async def test_a_summary_can_be_stopped(world: World) -> None:
    talk = await said(world, *(LONG for _ in range(4)))
    asked = await talk.request("sessions.compact", {"session_key": NOTES})
    await world.settled()
    (newest, *_) = (await talk.call("turns.list", session_key=NOTES))["turns"]
    await talk.call("turns.cancel", turn_id=newest["turn_id"])
    answer = await talk.answer(asked)
    assert answer["error"]["data"]["kind"] == "conflict"
    assert len(await entries(talk)) == 8


async def test_operators_may_and_strangers_may_not(world: World) -> None:
    talk = await said(world, *(LONG for _ in range(4)))
    with pytest.raises(Refusal, match="not_found"):
        await world.talk(BOB).call("sessions.compact", session_key=NOTES)
    await compacted(world, world.talk(OPERATOR))
    (row,) = (await talk.call("sessions.list"))["sessions"]
    assert (row["owner"], (await entries(talk))[-1][0]) == ("alice", "summary")
