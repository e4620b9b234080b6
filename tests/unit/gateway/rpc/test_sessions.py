"""Conversations: found, read, named, begun anew, deleted."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from agents.models.scripted import Rule
from gateway.store.base.conversations import LoadTranscript
from gateway.store.base.events import ReadEvents
from gateway.store.base.runs import GetRun
from tests.unit.gateway.rpc.talk import OPERATOR, Refusal, World, open_world

NOTES = "agent:main:websocket:direct:alice%2Fnotes"


async def test_sessions_are_listed_most_recent_first(world: World) -> None:
    """In pages, of one agent or of all."""
    talk = world.talk()
    for peer in ("a", "b", "c", "a"):
        await world.clock.advance(1)
        await talk.call("send", text="x", peer_id=peer)
    first = await talk.call("sessions.list", limit=2)
    second = await talk.call("sessions.list", limit=2, cursor=first["next_cursor"])
    peers = [row["session_key"][-1] for row in (*first["sessions"], *second["sessions"])]
    assert peers == ["a", "c", "b"]
    assert second["next_cursor"] is None
    for agent, count in (("main", 3), ("luna", 0)):
        assert len((await talk.call("sessions.list", agent_id=agent))["sessions"]) == count
        olga = world.talk(OPERATOR)
        assert len((await olga.call("sessions.list", agent_id=agent))["sessions"]) == count


async def test_a_session_tells_how_long_it_is(world: World) -> None:
    """Messages, and turns under way."""
    talk = world.talk()
    await talk.call("send", text="x", peer_id="notes")
    await talk.call("turns.start", text="slow", peer_id="notes")
    found = await talk.call("sessions.get", session_key=NOTES)
    assert (found["entries"], found["open_turns"], found["owner"]) == (2, 1, "alice")


async def test_history_is_read_from_its_end(world: World) -> None:
    """Tool calls and their results included."""
    talk = world.talk()
    await talk.call("send", text="x", peer_id="notes")
    turn = await talk.call("send", text="time?", peer_id="notes")
    page = await talk.call("sessions.history", session_key=NOTES, limit=4)
    roles = [entry["role"] for entry in page["entries"]]
    assert roles == ["assistant", "tool", "assistant", "user"]
    assert page["entries"][1]["name"] == "current_time"
    assert page["entries"][1]["call_id"] == page["entries"][2]["tool_calls"][0]["id"]
    assert {entry["turn_id"] for entry in page["entries"]} == {turn["turn_id"]}
    rest = await talk.call("sessions.history", session_key=NOTES, cursor=page["next_cursor"])
    assert [entry["position"] for entry in rest["entries"]] == [1, 0]
    assert rest["next_cursor"] is None


async def test_an_export_is_the_whole_of_it(world: World) -> None:
    """Oldest first, as the pages say."""
    talk = world.talk()
    for n in range(3):
        await talk.call("send", text=str(n), peer_id="notes")
    export = await talk.call("sessions.export", session_key=NOTES)
    history = await talk.call("sessions.history", session_key=NOTES)
    assert export["entries"] == history["entries"][::-1]
    assert export["session"]["session_key"] == NOTES


async def test_an_export_too_large_for_a_frame_leads_to_pages(tmp_path: Path) -> None:
    """Which are there."""
    async with open_world(tmp_path, max_result_bytes=3000) as world:
        talk = world.talk()
        for _ in range(2):
            await talk.call("turns.start", text="x" * 800, peer_id="notes")
            await world.idle()
        with pytest.raises(Refusal, match=r"result_too_large.*sessions\.history"):
            await talk.call("sessions.export", session_key=NOTES)
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await talk.call("sessions.history", session_key=NOTES, cursor=cursor)
            seen += [entry["position"] for entry in page["entries"]]
            cursor = page["next_cursor"]
            assert len(orjson.dumps(page)) <= 3000
        assert seen == [3, 2, 1, 0], "long words make pages shorter and hide nothing"


async def test_words_longer_than_a_page_are_on_one_of_their_own(tmp_path: Path) -> None:
    """A model may have said more than any client may."""
    async with open_world(tmp_path, max_result_bytes=1000) as world:
        talk = world.talk()
        answer = await talk.call("send", text="x" * 1200, peer_id="notes")
        assert answer["reply"].endswith("x" * 1200)
        turn = await talk.call("turns.get", turn_id=answer["turn_id"])
        assert turn["reply"] == answer["reply"]
        page = await talk.call("sessions.history", session_key=NOTES)
        assert [entry["text"] for entry in page["entries"]] == [answer["reply"]]
        page = await talk.call("sessions.history", session_key=NOTES, cursor=page["next_cursor"])
        assert [entry["position"] for entry in page["entries"]] == [0]
        assert page["next_cursor"] is None


async def test_context_is_an_estimate(world: World) -> None:
    """It grows with what is said; the window is not known."""
    talk = world.talk()
    await talk.call("send", text="x", peer_id="notes")
    small = await talk.call("sessions.context", session_key=NOTES)
    await talk.call("send", text="x" * 4000, peer_id="notes")
    large = await talk.call("sessions.context", session_key=NOTES)
    assert (small["messages"], large["messages"], large["total"]) == (2, 4, None)
    assert large["used"] - small["used"] >= 1000


async def test_a_new_session_is_fresh(world: World) -> None:
    """It has its name, its peer leads into it, and it is listed before anything is said."""
    talk = world.talk()
    made = await talk.call("sessions.new", label="plans")
    (listed,) = (await talk.call("sessions.list"))["sessions"]
    assert (listed["session_key"], listed["label"]) == (made["session_key"], "plans")
    answer = await talk.call("send", text="x", peer_id=made["peer_id"])
    assert answer["session_key"] == made["session_key"]
    assert (await talk.call("sessions.new"))["session_key"] != made["session_key"]
    olgas = await world.talk(OPERATOR).call("sessions.new", agent_id="main")
    assert olgas["session_key"].endswith(f":{olgas['peer_id']}")
    with pytest.raises(Refusal, match="unknown_agent"):
        await talk.call("sessions.new", agent_id="nobody")


async def test_a_session_is_renamed(world: World) -> None:
    """Its key stays; an empty name is none."""
    talk = world.talk()
    await talk.call("send", text="x", peer_id="notes")
    for label in ("plans ☃", ""):
        await talk.call("sessions.label", session_key=NOTES, label=label)
        assert (await talk.call("sessions.get", session_key=NOTES))["label"] == label


async def test_a_reset_session_begins_anew(world: World) -> None:
    """The agent sees nothing of before, also in what was in memory; the log keeps the words."""
    talk = world.talk()
    await talk.call("send", text="x", peer_id="notes")
    assert (await talk.call("sessions.reset", session_key=NOTES))["cleared"] == 2
    assert (await talk.call("sessions.get", session_key=NOTES))["entries"] == 0
    await talk.call("send", text="y", peer_id="notes")
    entries = (await talk.call("sessions.history", session_key=NOTES))["entries"]
    assert [(one["position"], one["text"]) for one in entries] == [(1, "You said: y"), (0, "y")]
    assert "You said: x" in str(await talk.call("events.list"))


async def test_a_deleted_session_is_gone_everywhere(world: World) -> None:
    """Words, runs, and the session itself; what happened stays, without them."""
    talk = world.talk()
    turn = await talk.call("send", text="a secret", peer_id="notes")
    await talk.call("send", text="kept", peer_id="other")
    result = await talk.call("sessions.delete", session_key=NOTES)
    assert result == {"session_key": NOTES, "blanked": 2}
    with pytest.raises(Refusal, match="not_found"):
        await talk.call("sessions.get", session_key=NOTES)
    assert [row["session_key"][-5:] for row in (await talk.call("sessions.list"))["sessions"]] == [
        "other"
    ]
    await talk.call("events.subscribe", after_seq=0)
    await talk.note("events.caught_up")
    everything = [
        talk.connection.notes,
        await talk.call("turns.get", turn_id=turn["turn_id"]),
        await talk.call("turns.explain", turn_id=turn["turn_id"]),
        await world.talk(OPERATOR).call("events.list"),
        await world.talk(OPERATOR).call("deliveries.list"),
        await world.gateway.store.read(ReadEvents(0, 100)),
        await world.gateway.store.read(LoadTranscript(NOTES)),
        await world.gateway.store.read(GetRun(turn["turn_id"])),
    ]
    assert "secret" not in str(everything)
    assert "kept" in str(everything)
    again = await talk.call("send", text="fresh", peer_id="notes")
    entries = (await talk.call("sessions.history", session_key=again["session_key"]))["entries"]
    assert [entry["text"] for entry in entries] == ["You said: fresh", "fresh"]


async def test_turns_are_taken_back(world: World) -> None:
    """Whole ones, the last first; the agent goes on from what is left."""
    talk = world.talk()
    for text in ("one", "time?", "two"):
        await talk.call("send", text=text, peer_id="notes")
    rewound = await talk.call("sessions.rewind", session_key=NOTES, count=2)
    assert rewound == {"session_key": NOTES, "turns": 2, "removed": 6, "remaining": 2}
    await talk.call("send", text="three", peer_id="notes")
    entries = (await talk.call("sessions.history", session_key=NOTES))["entries"]
    assert [entry["text"] for entry in entries] == [
        *("You said: three", "three", "You said: one", "one")
    ]
    assert [entry["position"] for entry in entries] == [3, 2, 1, 0]
    all_of_it = await talk.call("sessions.rewind", session_key=NOTES, count=1000)
    assert (all_of_it["turns"], all_of_it["remaining"]) == (2, 0)
    again = await talk.call("sessions.rewind", session_key=NOTES)
    assert (again["turns"], again["removed"]) == (0, 0)


async def test_a_conversation_is_copied_and_goes_on_twice(world: World) -> None:
    """Up to a turn or as a whole; what happens to one is nothing to the other."""
    talk = world.talk()
    turns = [(await talk.call("send", text=text, peer_id="notes"))["turn_id"] for text in "abc"]
    copy = await talk.call("sessions.fork", session_key=NOTES, turn_id=turns[1], label="again")
    assert copy["entries"] == 4
    answer = await talk.call("send", text="d", peer_id=copy["peer_id"], agent_id=copy["agent_id"])
    assert answer["session_key"] == copy["session_key"]
    await talk.call("sessions.delete", session_key=NOTES)
    export = await talk.call("sessions.export", session_key=copy["session_key"])
    said = [entry["text"] for entry in export["entries"] if entry["role"] == "user"]
    assert said == ["a", "b", "d"]
    assert (export["session"]["label"], export["session"]["owner"]) == ("again", "alice")
    whole = await talk.call("sessions.fork", session_key=copy["session_key"])
    assert whole["entries"] == 6
    with pytest.raises(Refusal, match="not_found"):
        await talk.call("sessions.fork", session_key=copy["session_key"], turn_id="t_999")


@pytest.mark.parametrize("method", ["reset", "delete", "rewind", "compact"])
async def test_a_session_with_a_turn_under_way_stays(world: World, method: str) -> None:
    """Its answer would be written into what was meant to be empty."""
    talk = world.talk()
    await talk.call("send", text="x", peer_id="notes")
    turn = await talk.call("turns.start", text="slow", peer_id="notes")
    with pytest.raises(Refusal, match=r"conflict.*cancel"):
        await talk.call(f"sessions.{method}", session_key=NOTES)
    assert (await talk.call("sessions.get", session_key=NOTES))["entries"] == 2
    await talk.call("turns.cancel", turn_id=turn["turn_id"])
    await talk.call("turns.wait", turn_id=turn["turn_id"])
    await talk.call(f"sessions.{method}", session_key=NOTES)


async def test_a_partial_answer_says_so(tmp_path: Path) -> None:
    """It was stopped in the middle."""
    async with open_world(tmp_path, rules=[Rule("^slow", "one two three", latency_s=4)]) as world:
        talk = world.talk()
        turn = await talk.call("turns.start", text="slow", peer_id="notes")
        await world.settled()
        await world.clock.advance(2)
        await talk.call("turns.cancel", turn_id=turn["turn_id"])
        await talk.call("turns.wait", turn_id=turn["turn_id"])
        (last, *_) = (await talk.call("sessions.history", session_key=NOTES))["entries"]
        assert (last["role"], last["partial"]) == ("assistant", True)
