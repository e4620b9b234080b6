"""What is somebody else's does not exist: every way in, tried by a stranger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.workspace import default_agent
from gateway.core.clock import settle
from gateway.core.keys import SessionScope, parse_route_key
from gateway.store.base.inputs import GetInput
from tests.unit.gateway.rpc.talk import ALICE, BOB, OPERATOR, Refusal, Talk, World, open_world

OF_TURNS = ("turns.get", "turns.wait", "turns.explain", "turns.cancel")
OF_SESSIONS = (
    *("sessions.get", "sessions.history", "sessions.export", "sessions.context"),
    *("sessions.reset", "sessions.delete", "sessions.rewind", "sessions.fork"),
    "sessions.compact",
)


async def said(world: World, text: str = "a secret", peer: str = "notes") -> dict[str, Any]:
    """Something of Alice's."""
    answer: dict[str, Any] = await world.talk(ALICE).call("send", text=text, peer_id=peer)
    return answer


async def told(talk: Talk, method: str, **params: Any) -> str:
    """What a stranger is told, with the name he asked for left out."""
    with pytest.raises(Refusal) as caught:
        await talk.call(method, **params)
    assert caught.value.kind == "not_found", caught.value
    return caught.value.message


@pytest.mark.parametrize("method", OF_TURNS)
async def test_a_strangers_turn_is_not_there(world: World, method: str) -> None:
    """In the same words as one that never was."""
    turn = await said(world)
    talk = world.talk(BOB)
    real = await told(talk, method, turn_id=turn["turn_id"])
    made_up = await told(talk, method, turn_id="t_999")
    assert real.replace(turn["turn_id"], "?") == made_up.replace("t_999", "?")


@pytest.mark.parametrize("method", OF_SESSIONS)
async def test_a_strangers_session_is_not_there(world: World, method: str) -> None:
    """Neither to read nor to change, and nothing of it is changed."""
    session = (await said(world))["session_key"]
    talk = world.talk(BOB)
    made_up = session.replace("notes", "nothing")
    real = await told(talk, method, session_key=session)
    assert real.replace(session, "?") == (await told(talk, method, session_key=made_up)).replace(
        made_up, "?"
    )
    history = await world.talk(ALICE).call("sessions.history", session_key=session)
    assert len(history["entries"]) == 2


async def test_other_methods_that_take_a_session_hide_it_too(world: World) -> None:
    """Lists by session, and labels."""
    session = (await said(world))["session_key"]
    talk = world.talk(BOB)
    await told(talk, "turns.list", session_key=session)
    await told(talk, "sessions.label", session_key=session, label="mine")
    assert (await world.talk(ALICE).call("sessions.get", session_key=session))["label"] == ""


async def test_lists_hold_ones_own(world: World) -> None:
    """A stranger's are not among them, an operator's list has all."""
    await said(world)
    await world.talk(BOB).call("send", text="mine")
    for method, items in (("turns.list", "turns"), ("sessions.list", "sessions")):
        for principal, count in ((ALICE, 1), (BOB, 1), (OPERATOR, 2)):
            listed = await world.talk(principal).call(method)
            assert len(listed[items]) == count, (method, principal.name)


async def test_events_of_strangers_are_not_told(world: World) -> None:
    """Live, replayed and in pages; with a filter that names the stranger's session and turn too."""
    first = await said(world)
    bob, olga = world.talk(BOB), world.talk(OPERATOR)
    await bob.call("events.subscribe", after_seq=0, previews=True)
    await bob.call("events.subscribe", after_seq=0, filter={"session_key": first["session_key"]})
    await bob.call("events.subscribe", after_seq=0, filter={"turn_id": first["turn_id"]})
    await bob.call("rpc.on", names=["turn.completed"])
    await olga.call("events.subscribe", after_seq=0, previews=True)
    await said(world, "another secret", "live")
    own = await bob.call("send", text="mine")
    await bob.connection.until(
        lambda: any(
            note["result"]["kind"] == "turn.completed" for note in bob.notes("events.event")
        )
    )
    await settle()
    everything = str(bob.connection.notes) + str(bob.connection.deltas)
    assert "secret" not in everything
    assert "alice" not in everything
    assert {delta["turn_id"] for delta in bob.connection.deltas} <= {own["turn_id"]}
    await olga.connection.until(lambda: len(olga.notes("events.event")) >= 9)
    assert "another secret" in str(olga.connection.notes)
    page = await bob.call("events.list", after_seq=0)
    assert {event["turn_id"] for event in page["events"]} == {own["turn_id"]}
    assert page["next_after_seq"] == page["head"]


async def test_a_narrowed_connection_sees_less_at_once(world: World) -> None:
    """Its streams included, without subscribing again."""
    olga = world.talk(OPERATOR)
    await olga.call("events.subscribe", previews=True)
    await said(world, "before", "one")
    await olga.connection.until(lambda: len(olga.notes("events.event")) == 3)
    await olga.call("connect", scopes=["chat"])
    await said(world, "after", "two")
    await world.settled()
    assert "after" not in str(olga.connection.notes) + str(olga.connection.deltas)


@pytest.mark.parametrize(
    "params",
    [
        {"channel": "discord", "peer_id": "42"},
        {"channel": "memory"},
        {"group_id": "team"},
        {"thread_id": "1"},
        {"group_id": "team", "thread_id": "1"},
    ],
)
async def test_nobody_speaks_from_a_place_that_is_not_his(
    world: World, params: dict[str, str]
) -> None:
    """Another channel or a group would be another's conversation."""
    talk = world.talk(ALICE)
    for method in ("send", "turns.start"):
        with pytest.raises(Refusal, match=r"forbidden.*operator"):
            await talk.call(method, text="x", **params)
    assert (await talk.call("turns.list"))["turns"] == []


@pytest.mark.parametrize(
    "peer", ["bob/ws-client", "../bob/x", "bob%2Fws-client", ":", "bob:x", "a/b/c", " ", "\x00"]
)
async def test_no_name_of_a_peer_leads_to_anothers_conversation(world: World, peer: str) -> None:
    """It always stands behind the name of the credential."""
    bobs = await world.talk(BOB).call("send", text="mine")
    alices = await world.talk(ALICE).call("send", text="x", peer_id=peer)
    assert alices["session_key"] != bobs["session_key"]
    (row,) = await world.gateway.store.read(GetInput(alices["turn_id"]))
    assert parse_route_key(row.route_key).peer == f"alice/{peer}"


async def test_the_same_key_of_two_senders_is_two_keys(world: World) -> None:
    """Idempotency is per credential's owner."""
    alices = await world.talk(ALICE).call("send", text="x", idempotency_key="k")
    bobs = await world.talk(BOB).call("send", text="x", idempotency_key="k")
    assert alices["turn_id"] != bobs["turn_id"]


async def test_two_credentials_of_one_name_are_one_owner(world: World) -> None:
    """A rotated token finds its conversations again."""
    turn = await said(world)
    rotated = replace(ALICE, credential_id="k_alice_2")
    assert (await world.talk(rotated).call("turns.get", turn_id=turn["turn_id"]))["reply"]


async def test_in_a_shared_conversation_one_sees_ones_own_turns(tmp_path: Path) -> None:
    """An agent with one conversation for all: the first owns it, the others own what they said."""
    agent = replace(default_agent(tmp_path), dm_scope=SessionScope.MAIN)
    async with open_world(tmp_path, agents=[agent]) as world:
        alice, bob = world.talk(ALICE), world.talk(BOB)
        first = await alice.call("send", text="one")
        await bob.call("events.subscribe", after_seq=0, previews=True)
        second = await bob.call("send", text="two")
        assert first["session_key"] == second["session_key"] == "agent:main:main"
        assert (await bob.call("turns.get", turn_id=second["turn_id"]))["reply"]
        assert (await alice.call("turns.get", turn_id=second["turn_id"]))["reply"]
        await told(bob, "turns.get", turn_id=first["turn_id"])
        await told(bob, "sessions.history", session_key="agent:main:main")
        await bob.connection.until(lambda: len(bob.notes("events.event")) == 3)
        assert {note["result"]["turn_id"] for note in bob.notes("events.event")} == {
            second["turn_id"]
        }
        with pytest.raises(Refusal, match=r"conflict.*one conversation"):
            await bob.call("sessions.new")
